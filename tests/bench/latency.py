"""How long media takes: through the server, and from the wish to publish to the first packet.

    ./dev bench latency [--publishers 10] [--repeats 3] [--seconds 8]

A packet's transit is from the sender's call of the kernel to the arrival that the receiver's kernel
noted: two processes take part, the server in between. `quiet`: nothing else happens. `busy`: ten
others speak to each other in another room of the same server.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

from roomful_testing.peer.description import OPUS

from .figures.bench import Bench, leave, options, run
from .figures.report import quantiles
from .figures.servers import Target
from .peers.order import Reading

SETTLE_S = 2.0
PAUSE_S = 0.5
CROWD = 10
TIMED = Reading.TIMED.value


async def measure(bench: Bench) -> None:
    """Transit and first packets, on all servers."""
    for _ in range(bench.options.repeats):
        for target in bench.targets:
            await _transit(bench, target)
            await _first_packets(bench, target)


async def _transit(bench: Bench, target: Target) -> None:
    room, crowded = bench.room(), bench.room()
    async with bench.pool(target) as pool, bench.pool(target) as crowd:
        await pool.prepare("audio", "camera")
        await crowd.prepare("audio")
        await pool.join(
            [
                bench.order(target, room, "receiver", reading=TIMED),
                bench.order(target, room, "sender", "audio", "camera"),
            ]
        )
        await asyncio.sleep(SETTLE_S)
        for state in ("quiet", "busy"):
            if state == "busy":
                await crowd.join(
                    [bench.order(target, crowded, f"c{n}", "audio", audios=CROWD)
                     for n in range(CROWD)]
                )  # fmt: skip
                await asyncio.sleep(SETTLE_S)
            await pool.latencies()
            await asyncio.sleep(bench.options.seconds)
            found = quantiles([us / 1e3 for us in await pool.latencies()])
            if not found:
                bench.report.fail(f"{target.name}: no packet arrived")
                return
            for name in ("median", "p99"):
                bench.report.add(target.name, f"transit, {state}: {name}", "ms", found[name])
            bench.report.line(server=target.name, what="transit", state=state, ms=found)


async def _first_packets(bench: Bench, target: Target) -> None:
    """One waits in a room; others come, publish, and go on sending."""
    room, waited = bench.room(), defaultdict[str, list[float]](list)
    count = bench.options.publishers
    async with bench.pool(target) as pool:
        await pool.prepare("audio", "small")
        await pool.join(
            [bench.order(target, room, "receiver", reading=TIMED, audios=count, videos=count)]
        )
        known: set[str] = set()
        for number in range(count):
            kind = ("audio", "small")[number % 2]
            await pool.join([bench.order(target, room, f"sender-{number}", kind)])
            await asyncio.sleep(PAUSE_S)
            snapshot = await pool.snapshot()
            flows: dict[str, Any] = snapshot["receiver"]["flows"]
            for ssrc in flows.keys() - known:
                asked_ns = snapshot[f"sender-{number}"]["published_ns"][kind]
                media = "audio" if flows[ssrc]["pt"] == OPUS else "video"
                waited[media].append((flows[ssrc]["first_ns"] - asked_ns) / 1e6)
            known |= flows.keys()
    if len(known) != count:
        bench.report.fail(f"{target.name}: {len(known)} of {count} streams arrived in time")
    for media, values in waited.items():
        found = quantiles(values)
        bench.report.add(
            target.name, f"publish to first {media} packet, median", "ms", found["median"]
        )
        bench.report.line(server=target.name, what="first packet", media=media, ms=found)


def main() -> int:
    """The command."""
    parser = options(__doc__)
    parser.add_argument("--publishers", type=int, default=10, help="who publish one by one")
    return run("latency", parser, measure)


if __name__ == "__main__":
    leave(main())
