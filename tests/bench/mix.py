"""Mixing 20 participants, decoded already, to one output of 8 kHz; and how late ticks are.

    ./dev bench mix [--repeats 5] [--seconds 10] [--inputs 20]

Each input is 48 kHz mono, as Opus decodes. Bare is the sum of the same blocks and one soxr stream to
8 kHz. `drifting`: clocks 50 ppm off, which are followed. Lateness: the loop of `roomful_media.pace`
in real time with the mixer in it. Fails above 25 ms of CPU a second with 20 inputs.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from fractions import Fraction

import numpy as np
import soxr

from roomful.clock import SystemClock
from roomful_media.frames import AudioBlock
from roomful_media.mix import TICK_MS, Mixer
from roomful_media.pace import Metronome, ticks
from roomful_media.resample import Resampler

from .figures.report import Report
from .figures.servers import OURS

RATE, OUT = 48_000, 8000
TICKS_PER_S = 1000 // TICK_MS
BLOCK = RATE // TICKS_PER_S
AHEAD = 3
"""blocks that are there before their time"""
INPUTS, MOST_MS = 20, 25.0


def blocks(inputs: int, count: int, ppm: float = 0.0) -> list[list[AudioBlock]]:
    """Tones, made before anything is measured; a second of each, again and again."""
    made: list[list[AudioBlock]] = []
    at = np.arange(RATE) / RATE
    for number in range(inputs):
        wave = (0.05 * np.sin(2 * np.pi * (200 + 50 * number) * at)).astype(np.float32)
        step_us = 1e6 * BLOCK / (RATE * (1 + ppm * (-1) ** number * 1e-6))
        pieces = [wave[n * BLOCK : (n + 1) * BLOCK, None] for n in range(TICKS_PER_S)]
        made.append(
            [AudioBlock(pieces[n % TICKS_PER_S], RATE, round(n * step_us)) for n in range(count)]
        )
    return made


def mixed(inputs: list[list[AudioBlock]]) -> float:
    """Return CPU seconds: every block written, every tick taken, one listener at 8 kHz."""
    mixer, out = Mixer(RATE, 1, 0), Resampler(RATE, OUT, 1)
    for number in range(len(inputs)):
        mixer.add(f"p{number}")
    before, made = time.process_time(), 0
    for n in range(len(inputs[0])):
        for number, own in enumerate(inputs):
            mixer.write(f"p{number}", own[n])
        if n >= AHEAD:
            made += len(out.process(mixer.tick().without("p0")))
    used = time.process_time() - before
    assert made > 0.9 * OUT * (len(inputs[0]) - AHEAD) / TICKS_PER_S - OUT // 10
    return used


def bare(inputs: list[list[AudioBlock]]) -> float:
    """The arithmetic alone."""
    out = soxr.ResampleStream(RATE, OUT, 1, dtype="float32")
    before = time.process_time()
    for n in range(len(inputs[0])):
        total = np.zeros((BLOCK, 1), np.float32)
        for own in inputs:
            total += own[n].samples
        out.resample_chunk(total - inputs[0][n].samples)
    return time.process_time() - before


async def paced(inputs: list[list[AudioBlock]]) -> Metronome:
    """Run the mixer in real time; its metronome knows how late it was."""
    clock = SystemClock()
    mixer = Mixer(RATE, 1, 0)
    for number in range(len(inputs)):
        mixer.add(f"p{number}")
    metronome = Metronome(Fraction(1, TICKS_PER_S), clock.monotonic() + 0.1)
    n = 0
    async for due in ticks(metronome, clock):
        mixer.skip(due.dropped)
        for _ in range(due.run):
            for number, own in enumerate(inputs):
                mixer.write(f"p{number}", own[n % len(own)])
            mixer.tick().without("p0")
        n += due.run + due.dropped
        if n >= len(inputs[0]):
            break
    return metronome


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5, help="in turn with the bare operation")
    parser.add_argument("--seconds", type=float, default=10.0, help="of media in each")
    parser.add_argument("--inputs", type=int, default=INPUTS)
    options = parser.parse_args()
    count = int(options.seconds * TICKS_PER_S)
    steady, drifting = (blocks(options.inputs, count, ppm) for ppm in (0.0, 50.0))
    report, name = Report("mix"), f"{options.inputs} inputs → 8 kHz: CPU per second"
    bares: list[float] = []
    found: list[float] = []
    for _ in range(options.repeats):
        bares.append(1e3 * bare(steady) / options.seconds)
        found.append(1e3 * mixed(steady) / options.seconds)
        report.add(OURS, name, "ms", found[-1])
        report.add(OURS, f"{name}, drifting", "ms", 1e3 * mixed(drifting) / options.seconds)
        metronome = asyncio.run(paced(steady))
        report.add(OURS, "tick lateness, median", "ms", 1e3 * metronome.lateness_s(0.5))
        report.add(OURS, "tick lateness, p99", "ms", 1e3 * metronome.lateness_s(0.99))
        report.add(OURS, "ticks dropped", "", metronome.dropped)
    for figure in (name, f"{name}, drifting"):
        report.set_bare(figure, statistics.median(bares))
    if options.inputs == INPUTS and statistics.median(found) > MOST_MS:
        report.fail(f"{statistics.median(found):.1f} ms a second, {MOST_MS:g} is the bar")
    return report.finish()


if __name__ == "__main__":
    raise SystemExit(main())
