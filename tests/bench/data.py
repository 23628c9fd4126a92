"""Data messages of 1 KiB from one real client to another: CPU of the server, and latency.

./dev bench data [--rate 100] [--size 1024]
"""

from __future__ import annotations

import asyncio
import struct
import time
from contextlib import suppress

from livekit import rtc

from tests.interop.guest import Guest, guest
from tests.interop.media import until

from .figures.bench import Bench, leave, options, run
from .figures.report import quantiles
from .figures.servers import Target

STAMP = struct.Struct("!Id")
SETTLE_S = 1.0
ARRIVED_WITHIN_S = 5.0


async def measure(bench: Bench) -> None:
    """Reliable and lossy messages, on all servers."""
    for _ in range(bench.options.repeats):
        for target in bench.targets:
            room = bench.room()
            async with (
                guest(target.server, "sender", room) as sender,
                guest(target.server, "receiver", room) as receiver,
            ):
                await sender.meets("receiver")
                await asyncio.sleep(SETTLE_S)
                for reliable in (True, False):
                    await _send(bench, target, sender, receiver, reliable=reliable)


async def _send(
    bench: Bench, target: Target, sender: Guest, receiver: Guest, *, reliable: bool
) -> None:
    arrived: dict[int, float] = {}
    sizes: set[int] = set()

    def note(packet: rtc.DataPacket) -> None:
        number, sent_at = STAMP.unpack_from(packet.data)
        arrived[number] = (time.monotonic() - sent_at) * 1e3
        sizes.add(len(packet.data))

    name = "reliable" if reliable else "lossy"
    count, wanted = int(bench.options.rate * bench.options.seconds), bench.options.size
    receiver.room.on("data_received", note)
    idle_cpu_s = await _idle(target)
    cpu_s, begin = target.meter.cpu_s(), time.monotonic()
    for number in range(count):
        data = STAMP.pack(number, time.monotonic()).ljust(wanted, b"x")
        await sender.local.publish_data(data, reliable=reliable, topic="bench")
        await asyncio.sleep(max(0.0, begin + (number + 1) / bench.options.rate - time.monotonic()))
    elapsed = time.monotonic() - begin
    cpu_s = target.meter.cpu_s() - cpu_s - idle_cpu_s * elapsed
    with suppress(AssertionError):  # what is missing is reported
        await until(lambda: len(arrived) >= count, within=ARRIVED_WITHIN_S)
    receiver.room.off("data_received", note)
    needed = count if reliable else 0.98 * count
    if len(arrived) < needed or sizes != {wanted}:
        bench.report.fail(f"{target.name}: {len(arrived)} of {count} {name} messages, {sizes} B")
    found = quantiles(list(arrived.values()))
    bench.report.add(target.name, f"{name}: CPU per message", "ms", 1e3 * cpu_s / count)
    bench.report.add(target.name, f"{name}: latency, median", "ms", found["median"])
    bench.report.line(server=target.name, kind=name, sent=count, arrived=len(arrived),
                      cpu_ms=round(1e3 * cpu_s / count, 3), latency_ms=found)  # fmt: skip


async def _idle(target: Target) -> float:
    """CPU share of two clients that are silent."""
    before = target.meter.cpu_s()
    await asyncio.sleep(SETTLE_S)
    return (target.meter.cpu_s() - before) / SETTLE_S


def main() -> int:
    """The command."""
    parser = options(__doc__)
    parser.add_argument("--rate", type=float, default=100.0, help="messages a second")
    parser.add_argument("--size", type=int, default=1024)
    return run("data", parser, measure)


if __name__ == "__main__":
    leave(main())
