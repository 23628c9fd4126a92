"""Memory of the server: slope per idle participant, and per subscribed track.

    ./dev bench memory [--steps 20 40 60] [--tracks 4]

Resident memory is read when it has settled after each step; the slope is that of the straight line
through all steps (least squares), so that what the first participant brings does not count.
"""

from __future__ import annotations

import asyncio
import statistics
from itertools import pairwise

from .figures.bench import Bench, leave, options, run
from .figures.servers import Target
from .peers.pool import Pool

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
    async with Pool(target.server.url) as pool:
        # the first participants load what is loaded once
        await pool.join([bench.order(target, bench.room(), "first")])
        await asyncio.sleep(SETTLE_S)
        points = [(0, target.meter.rss_kib())]
        for before, after in pairwise(steps):
            names = range(before, after)
            rooms = {number // PER_ROOM: bench.room() for number in names}
            await pool.join(
                [bench.order(target, rooms[n // PER_ROOM], f"idle-{n}") for n in names]
            )
            await asyncio.sleep(SETTLE_S)
            points.append((after, target.meter.rss_kib()))
        cpu_s = target.meter.cpu_s()
        await asyncio.sleep(SETTLE_S)
        idle = (target.meter.cpu_s() - cpu_s) / SETTLE_S / (steps[-1] + 1)
    _tell(bench, target, "participant", points)
    bench.report.add(target.name, "idle: CPU per participant-second", "ms", 1e3 * idle)


async def _tracks(bench: Bench, target: Target) -> None:
    """One speaker, twenty listeners, a track more at each step."""
    room = bench.room()
    async with Pool(target.server.url) as pool:
        await pool.prepare("audio")
        tracks = bench.options.tracks
        await pool.join(
            [bench.order(target, room, f"listener-{n}", audios=tracks) for n in range(LISTENERS)]
            + [bench.order(target, room, "speaker", "audio")]
        )
        await asyncio.sleep(SETTLE_S)
        points = [(LISTENERS, target.meter.rss_kib())]
        for track in range(2, tracks + 1):
            await pool.publish("speaker", "audio")
            await asyncio.sleep(SETTLE_S)
            points.append((LISTENERS * track, target.meter.rss_kib()))
        flows = sum(len(peer["flows"]) for peer in (await pool.snapshot()).values())
    if flows != points[-1][0]:
        bench.report.fail(f"{target.name}: {flows} tracks arrived, not {points[-1][0]}")
    _tell(bench, target, "subscribed track", points)


def _tell(bench: Bench, target: Target, what: str, points: list[tuple[int, int]]) -> None:
    slope, _ = statistics.linear_regression(*zip(*points, strict=True))
    bench.report.add(target.name, f"memory per {what}", "KiB", slope)
    bench.report.line(server=target.name, what=what, kib=points)


def main() -> int:
    """The command."""
    parser = options(__doc__)
    parser.add_argument("--steps", type=int, nargs="+", default=[20, 40, 60],
                        help="participants after each step")  # fmt: skip
    parser.add_argument("--tracks", type=int, default=4, help="of the speaker")
    return run("memory", parser, measure)


if __name__ == "__main__":
    leave(main())
