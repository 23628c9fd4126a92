"""A process full of raw participants: `python -m tests.bench.peers.worker URL`.

One JSON object a line comes on standard input, `{"op": …}`; one answer a line goes to standard
output: `{"error": …}` where it failed. It ends with its input.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import time
from contextlib import suppress
from typing import Any

from roomful_testing.peer.commons import Commons

from .clips import FILMS, opus_tone, vp8_film
from .order import Order
from .peer import OrderedPeer

REPORT_S = 1.0
LINE_BYTES = 64 << 20
LEAVE_WITHIN_S = 15.0


class Worker:
    """Does what it is told, one command at a time."""

    def __init__(self, commons: Commons, url: str) -> None:
        self._commons, self._url = commons, url
        self._peers: dict[str, OrderedPeer] = {}
        self._reporter = asyncio.get_running_loop().create_task(self._report())

    async def obey(self, command: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to one command."""
        match command["op"]:
            case "prepare":
                return self._prepare(command["publish"])
            case "join":
                orders = [Order(**order) for order in command["peers"]]
                return await self._join(orders, command.get("at_once", 4))
            case "publish":
                await self._peers[command["identity"]].publish(command["kind"])
                return {}
            case "snapshot":
                return self._snapshot()
            case "latencies":
                return {"us": [us for p in self._peers.values() for us in p.latencies.take()]}
            case "leave":
                return await self._leave(command["identities"])
        raise ValueError(f"no such command: {command['op']}")

    def _prepare(self, kinds: list[str]) -> dict[str, Any]:
        """Encode before anything is measured."""
        if "audio" in kinds:
            opus_tone()
        for kind in kinds:
            if kind in FILMS:
                vp8_film(FILMS[kind])
        return {}

    async def _join(self, orders: list[Order], at_once: int) -> dict[str, Any]:
        places = asyncio.Semaphore(at_once)

        async def join(order: Order) -> OrderedPeer:
            async with places:
                peer = OrderedPeer(self._commons, self._url, order)
                self._peers[order.identity] = peer
                await peer.join()
                return peer

        joined = await asyncio.gather(*(join(order) for order in orders))
        return {
            "joined_ms": [round(p.joined_ms, 2) for p in joined],
            "connected_ms": [round(p.connected_ms, 2) for p in joined],
        }

    async def _leave(self, identities: list[str]) -> dict[str, Any]:
        leaving = [self._peers.pop(identity) for identity in identities or list(self._peers)]
        await asyncio.gather(*(peer.leave() for peer in leaving))
        return {}

    def _snapshot(self) -> dict[str, Any]:
        used = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "time": time.time(),
            "cpu_s": used.ru_utime + used.ru_stime,
            "peers": [peer.snapshot() for peer in self._peers.values()],
        }

    async def _report(self) -> None:
        """Let every participant report once a second, spread over the second."""
        while True:
            peers = list(self._peers.values())
            for peer in peers:
                with suppress(OSError, ValueError):
                    peer.report()
                await asyncio.sleep(REPORT_S / (len(peers) + 1))
            if not peers:
                await asyncio.sleep(REPORT_S)

    async def stop(self) -> None:
        """End everything."""
        self._reporter.cancel()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._leave([]), LEAVE_WITHIN_S)


async def _lines(reader: asyncio.StreamReader, worker: Worker) -> None:
    while line := await reader.readline():
        try:
            answer = await worker.obey(json.loads(line))
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


async def main(url: str) -> None:
    """Read commands until the input ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LINE_BYTES)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    commons = Commons.make()
    worker = Worker(commons, url)
    await _lines(reader, worker)
    await worker.stop()
    await commons.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
    os._exit(0)
