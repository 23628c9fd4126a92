"""What being there costs: memory and CPU per idle participant, memory per subscribed track.

    ./dev bench memory [--steps 20 40 60] [--tracks 4]

Read when all has settled after each step; a figure is the slope of the straight line through all
steps (least squares), so that what the first participant brings does not count.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Sequence
from itertools import pairwise

from .figures.bench import Bench, leave, options, run
from .figures.servers import Target

PER_ROOM = 5
LISTENERS = 20
SETTLE_S = 3.0


async def measure(bench: Bench) -> None:
    """Both slopes, on all servers; a repeat starts where the one before ended."""
    for _ in range(bench.options.repeats):
        for target in bench.targets:
            await _participants(bench, target)
            await _tracks(bench, target)


async def _participants(bench: Bench, target: Target) -> None:
    """Rooms of five in which nobody publishes."""
    steps = [0, *bench.options.steps]
    async with bench.pool(target) as pool:
        # the first participants load what is loaded once
        await pool.join([bench.order(target, bench.room(), "first")])
        memory, idle = list[tuple[int, float]](), list[tuple[int, float]]()
        for before, after in pairwise((0, *steps)):
            names = range(before, after)
            rooms = {number // PER_ROOM: bench.room() for number in names}
            await pool.join([bench.order(target, rooms[n // PER_ROOM], f"idle-{n}") for n in names])
            await asyncio.sleep(SETTLE_S)
            memory.append((after, target.meter.rss_kib()))
            idle.append((after, 1e3 * await _cpu_per_s(target)))
    _tell(bench, target, "memory per participant", "KiB", memory)
    _tell(bench, target, "idle: CPU per participant-second", "ms", idle)
    bench.report.add(target.name, "idle: CPU per second of one participant alone", "ms", idle[0][1])


async def _cpu_per_s(target: Target) -> float:
    before = target.meter.cpu_s()
    await asyncio.sleep(SETTLE_S)
    return (target.meter.cpu_s() - before) / SETTLE_S


async def _tracks(bench: Bench, target: Target) -> None:
    """One speaker, twenty listeners, a track more at each step."""
    room = bench.room()
    async with bench.pool(target) as pool:
        await pool.prepare("audio")
        tracks = bench.options.tracks
        await pool.join(
            [bench.order(target, room, f"listener-{n}", audios=tracks) for n in range(LISTENERS)]
            + [bench.order(target, room, "speaker", "audio")]
        )
        await asyncio.sleep(SETTLE_S)
        points: list[tuple[int, float]] = [(LISTENERS, target.meter.rss_kib())]
        for track in range(2, tracks + 1):
            await pool.publish("speaker", "audio")
            await asyncio.sleep(SETTLE_S)
            points.append((LISTENERS * track, target.meter.rss_kib()))
        flows = sum(len(peer["flows"]) for peer in (await pool.snapshot()).values())
    if flows != points[-1][0]:
        bench.report.fail(f"{target.name}: {flows} tracks arrived, not {points[-1][0]}")
    _tell(bench, target, "memory per subscribed track", "KiB", points)


def _tell(
    bench: Bench, target: Target, figure: str, unit: str, points: Sequence[tuple[int, float]]
) -> None:
    """Add the slope through the points."""
    slope, _ = statistics.linear_regression(*zip(*points, strict=True))
    bench.report.add(target.name, figure, unit, slope)
    bench.report.line(server=target.name, what=figure, points=points)


def main() -> int:
    """The command."""
    parser = options(__doc__)
    parser.add_argument("--steps", type=int, nargs="+", default=[20, 40, 60],
                        help="participants after each step")  # fmt: skip
    parser.add_argument("--tracks", type=int, default=4, help="of the speaker")
    return run("memory", parser, measure)


if __name__ == "__main__":
    leave(main())
