"""CPU per forwarded packet in rooms of several shapes, and per participant in small rooms.

    ./dev bench rooms [--case audio-1-25 …] [--repeats 5] [--seconds 8]

Packets out are those that arrived at raw participants, plus those of the witness where one decodes
beside them. Without a gap in any stream, and with what a witness heard and saw, a figure counts;
else the run fails.
"""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import dataclass
from typing import Any

from tests.interop.guest import Guest

from .figures import baseline
from .figures.bench import Bench, leave, options, run, witness
from .figures.servers import OURS, Target
from .peers.order import Order
from .peers.pool import Count, Pool, counts

SETTLE_S = 3.0
HERTZ = 440.0


@dataclass(frozen=True, slots=True)
class Case:
    """Rooms of one shape."""

    name: str
    publish: tuple[str, ...]
    publishers: int
    listeners: int
    """who only receive"""
    rooms: int = 1
    workers: int = 1
    watched: bool = False
    """a client decodes in the first room: it costs CPU beside the server, so only in one case of
    each kind"""

    @property
    def people(self) -> int:
        """Raw participants in all rooms."""
        return self.rooms * (self.publishers + self.listeners)

    @property
    def receivers(self) -> int:
        """To how many each packet goes, witness aside."""
        return self.publishers + self.listeners - 1


CASES = {
    case.name: case
    for case in (
        Case("audio-1-25", ("audio",), 1, 25, watched=True),
        Case("audio-25-25", ("audio",), 25, 0),
        Case("video-1-10", ("camera",), 1, 10, watched=True),
        Case("video-1-50", ("camera",), 1, 50),
        Case("small-rooms", ("audio",), 2, 0, rooms=25),
        Case("small-rooms-video", ("audio", "camera"), 2, 0, rooms=5),
    )
}


def orders(bench: Bench, target: Target, case: Case) -> list[list[Order]]:
    """Orders of each room's participants; those who only receive come first."""
    rooms: list[list[Order]] = []
    for number in range(case.rooms):
        room = bench.room()
        audios = case.publishers * ("audio" in case.publish)
        videos = case.publishers * ("camera" in case.publish)
        names = [f"l{number}-{place}" for place in range(case.listeners)]
        names += [f"p{number}-{place}" for place in range(case.publishers)]
        rooms.append(
            [
                bench.order(
                    target, room, name, *(case.publish if name[0] == "p" else ()),
                    audios=max(1, audios), videos=max(1, videos), hertz=HERTZ,
                )
                for name in names
            ]
        )  # fmt: skip
    return rooms


async def measure(bench: Bench) -> None:
    """All cases that were chosen, on all servers."""
    for name in bench.options.case or CASES:
        case = CASES[name]
        size, rate = 0, 0.0
        for repeat in range(bench.options.repeats):
            for target in bench.targets:
                found = await _once(bench, target, case, repeat)
                if target.name == OURS:
                    size, rate = found
        bare = baseline.seal_and_send_us(size, case.receivers, rate)
        bench.report.set_bare(f"{case.name}: CPU per packet out", bare)


async def _once(bench: Bench, target: Target, case: Case, repeat: int) -> tuple[int, float]:
    """Measure once; return the mean size of a packet out and how many a second came in."""
    rooms = orders(bench, target, case)
    async with bench.pool(target, case.workers) as pool:
        await pool.prepare(*case.publish)
        everybody = [order for room in rooms for order in room]
        # listeners first: no one hears the beginning of a stream as a gap
        everybody.sort(key=lambda order: bool(order.publish))
        await pool.join(everybody)
        if not case.watched:
            await asyncio.sleep(SETTLE_S)
            return await _window(bench, target, case, pool, repeat, None)
        async with witness(target, room_of(rooms[0][0], target)) as client:
            await _decodes(client, rooms[0][-1].identity, case)
            await asyncio.sleep(SETTLE_S)
            return await _window(bench, target, case, pool, repeat, client)


def room_of(order: Order, target: Target) -> str:
    """The room of a participant, read from its token."""
    from livekit import api

    claims = api.TokenVerifier(target.server.key, target.server.secret).verify(order.token)
    return claims.video.room if claims.video else ""


async def _decodes(client: Guest, publisher: str, case: Case) -> None:
    """Check that the media is media."""
    if "audio" in case.publish:
        await (await client.ear(publisher)).hears_tone(HERTZ)
    if "camera" in case.publish:
        await (await client.eye(publisher)).sees_bars()


async def _window(
    bench: Bench, target: Target, case: Case, pool: Pool, repeat: int, client: Guest | None
) -> tuple[int, float]:
    loop = asyncio.get_running_loop()
    before, begin = await pool.snapshot(), loop.time()
    cpu_s, waited_s = target.meter.cpu_s(), target.meter.waited_s()
    await asyncio.sleep(bench.options.seconds)
    cpu_s, waited_s = target.meter.cpu_s() - cpu_s, target.meter.waited_s() - waited_s
    seconds = loop.time() - begin
    found = counts(before, await pool.snapshot())
    packets = sum(count.packets for count in found)
    to_witness = sum(count.sent for count in found) if client is not None else 0
    out = packets + to_witness
    _check(bench, target, case, found)
    report, size = bench.report, round(sum(count.bytes for count in found) / max(1, packets))
    report.add(target.name, f"{case.name}: CPU per packet out", "µs", 1e6 * cpu_s / max(1, out))
    report.add(
        target.name, f"{case.name}: CPU per participant-second", "ms",
        1e3 * cpu_s / seconds / (case.people + (client is not None)),
    )  # fmt: skip
    line: dict[str, Any] = {
        "case": case.name, "server": target.name, "repeat": repeat, "seconds": round(seconds, 2),
        "packets_out": out, "packet_bytes": size, "cpu_s": round(cpu_s, 3),
        "waited_s": round(waited_s, 3), "rss_kib": target.meter.rss_kib(),
    }  # fmt: skip
    report.line(**line)
    return size, sum(count.sent for count in found) / seconds


def _check(bench: Bench, target: Target, case: Case, found: list[Count]) -> None:
    """Nothing missing, nothing forged, nobody starved."""
    name = f"{target.name} {case.name}"
    for count in found:
        if count.left:
            bench.report.fail(f"{name}: {count.identity} was ended: {count.left}")
    gaps = sum(count.gaps for count in found)
    if gaps:
        bench.report.fail(f"{name}: {gaps} numbers missing")
    if sum(count.refused for count in found):
        bench.report.fail(f"{name}: packets that were not authentic")
    streams = sum(count.flows for count in found)
    wanted = case.rooms * case.publishers * case.receivers * len(case.publish)
    if streams != wanted:
        bench.report.fail(f"{name}: {streams} streams carried packets, not {wanted}")


def main() -> int:
    """The command."""
    parser = options(__doc__)
    parser.add_argument("--case", nargs="+", choices=sorted(CASES), metavar="CASE",
                        help=", ".join(CASES))  # fmt: skip
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    return run("rooms", parser, measure)


if __name__ == "__main__":
    leave(main())
