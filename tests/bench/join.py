"""Joining: CPU of the server per join, and how long until the first packet is there.

    ./dev bench join [--joins 30] [--repeats 3]

Raw participants join one after the other a room in which somebody speaks, with one peer connection
and two data channels; then real clients do; then a crowd joins one room at once, all speaking.
Beside it, a bare DTLS handshake in the same run.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Any

from roomful_testing.peer.description import OPUS
from tests.interop.guest import guest

from .figures import baseline
from .figures.bench import Bench, leave, options, run
from .figures.report import quantiles
from .figures.servers import Target
from .peers.order import Reading

PAUSE_S = 0.2
SETTLE_S = 1.0
CROWD, AT_ONCE, CROWD_WITHIN_S = 25, 8, 60.0
RAW, SDK = "raw participant", "client (SDK)"


async def measure(bench: Bench) -> None:
    """Raw joins and client joins, on all servers."""
    for _ in range(bench.options.repeats):
        for target in bench.targets:
            await _raw(bench, target)
            await _clients(bench, target)
            await _crowd(bench, target)
    bench.report.set_bare(f"{RAW}: CPU per join", baseline.handshake_ms())


async def _raw(bench: Bench, target: Target) -> None:
    """Each joins a room of its own in which one speaks: every join costs the same."""
    count = bench.options.joins
    rooms = [bench.room() for _ in range(count)]
    async with bench.pool(target) as pool:
        await pool.prepare("audio")
        await pool.join(
            [bench.order(target, room, f"speaker-{n}", "audio") for n, room in enumerate(rooms)]
        )
        await asyncio.sleep(SETTLE_S)
        idle_cpu_s = await _idle(target, PAUSE_S * 10) / (PAUSE_S * 10)
        cpu_s, begin, connected = target.meter.cpu_s(), time.monotonic(), list[float]()
        for number, room in enumerate(rooms):
            order = bench.order(
                target, room, f"guest-{number}", reading=Reading.AT_ONCE.value, feedback=False
            )
            connected += await pool.join([order])
            await asyncio.sleep(PAUSE_S)
        elapsed = time.monotonic() - begin
        cpu_s = target.meter.cpu_s() - cpu_s
        heard = _first_audio_ms(await pool.snapshot())
    if len(heard) < count:
        bench.report.fail(f"{target.name}: {len(heard)} of {count} heard anything")
    # what the speakers alone cost; the listeners' packets are part of a join's figure
    net_ms = 1e3 * (cpu_s - idle_cpu_s * elapsed) / count
    _tell(bench, target, RAW, net_ms, connected, heard)


async def _idle(target: Target, seconds: float) -> float:
    before = target.meter.cpu_s()
    await asyncio.sleep(seconds)
    return target.meter.cpu_s() - before


def _first_audio_ms(snapshot: dict[str, dict[str, Any]]) -> list[float]:
    """ms from knocking to the first audio packet, of every listener."""
    return [
        (flow["first_ns"] - peer["began_ns"]) / 1e6
        for identity, peer in snapshot.items()
        if identity.startswith("guest")
        for flow in peer["flows"].values()
        if flow["pt"] == OPUS
    ]


async def _clients(bench: Bench, target: Target) -> None:
    """The same with clients of the Python SDK, which encode and decode nothing meanwhile."""
    count = max(3, bench.options.joins // 5)
    connected: list[float] = []
    async with AsyncExitStack() as stack:
        cpu_s = target.meter.cpu_s()
        for number in range(count):
            begin = time.monotonic()
            await stack.enter_async_context(guest(target.server, f"client-{number}", bench.room()))
            connected.append((time.monotonic() - begin) * 1e3)
            await asyncio.sleep(PAUSE_S)
        cpu_s = target.meter.cpu_s() - cpu_s
    _tell(bench, target, SDK, 1e3 * cpu_s / count, connected, [])


async def _crowd(bench: Bench, target: Target) -> None:
    """Everybody renegotiates with everybody's coming: work in the square of the crowd."""
    room = bench.room()
    async with bench.pool(target) as pool:
        await pool.prepare("audio")
        orders = [
            bench.order(target, room, f"crowd-{n}", "audio", audios=CROWD) for n in range(CROWD)
        ]
        cpu_s, begin = target.meter.cpu_s(), time.monotonic()
        await pool.join(orders, AT_ONCE)
        streams = 0
        while streams < CROWD * (CROWD - 1) and time.monotonic() - begin < CROWD_WITHIN_S:
            await asyncio.sleep(PAUSE_S)
            streams = sum(len(peer["flows"]) for peer in (await pool.snapshot()).values())
        seconds, cpu_s = time.monotonic() - begin, target.meter.cpu_s() - cpu_s
    if streams < CROWD * (CROWD - 1):
        bench.report.fail(f"{target.name}: only {streams} streams in a crowd of {CROWD}")
    name = f"crowd of {CROWD}"
    bench.report.add(target.name, f"{name}: until all hear all", "s", seconds)
    bench.report.add(target.name, f"{name}: CPU until then", "s", cpu_s)
    bench.report.line(
        server=target.name, who=name, seconds=round(seconds, 2), cpu_s=round(cpu_s, 2)
    )


def _tell(
    bench: Bench, target: Target, who: str, cpu_ms: float, connected: list[float],
    heard: list[float],
) -> None:  # fmt: skip
    report = bench.report
    report.add(target.name, f"{who}: CPU per join", "ms", cpu_ms)
    report.add(target.name, f"{who}: joined after, median", "ms", quantiles(connected)["median"])
    if heard:
        report.add(
            target.name, f"{who}: first audio packet after, median", "ms",
            quantiles(heard)["median"],
        )  # fmt: skip
    report.line(
        server=target.name, who=who, cpu_ms=round(cpu_ms, 2), connected_ms=quantiles(connected),
        first_audio_ms=quantiles(heard),
    )  # fmt: skip


def main() -> int:
    """The command."""
    parser = options(__doc__)
    parser.add_argument("--joins", type=int, default=30, help="of each repeat")
    return run("join", parser, measure)


if __name__ == "__main__":
    leave(main())
