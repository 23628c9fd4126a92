"""The parent's end of the processes that hold raw participants."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from tests.bench.figures.process import favour

from .order import Order

ANSWER_WITHIN_S = 60.0
LEAVE_WITHIN_S = 20.0
LINE_BYTES = 64 << 20
ROOT = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True)
class Count:
    """What one participant saw between two snapshots."""

    identity: str
    left: str
    sent: int
    packets: int
    bytes: int
    gaps: int
    late: int
    authentic: int
    refused: int
    flows: int
    """streams of which packets came in between"""
    fewest: int
    """packets of the weakest of all streams that were ever seen"""


class WorkerFailed(Exception):
    """A worker answered with an error, or ended."""


class Pool:
    """Workers with participants: `async with Pool(url) as pool:`."""

    def __init__(self, url: str, workers: int = 1, *, favoured: bool = False) -> None:
        """`url`: ws://host:port; `favoured`: before other programs of this machine."""
        self._url, self._count, self._favoured = url, workers, favoured
        self._workers: list[asyncio.subprocess.Process] = []
        self._turn = 0
        self._of: dict[str, asyncio.subprocess.Process] = {}

    async def __aenter__(self) -> Self:
        for _ in range(self._count):
            worker = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.bench.peers.worker", self._url),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=LINE_BYTES,
                cwd=ROOT,
            )
            self._workers.append(worker)
            if self._favoured:
                favour(worker.pid)
        return self

    async def __aexit__(self, *_: object) -> None:
        for worker in self._workers:
            if worker.stdin is not None:
                worker.stdin.close()
        for worker in self._workers:
            try:
                await asyncio.wait_for(worker.wait(), LEAVE_WITHIN_S)
            except TimeoutError:
                worker.kill()
                await worker.wait()

    async def _ask(self, worker: asyncio.subprocess.Process, **command: Any) -> dict[str, Any]:
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write(json.dumps(command).encode() + b"\n")
        await worker.stdin.drain()
        line = await asyncio.wait_for(worker.stdout.readline(), ANSWER_WITHIN_S)
        answer = json.loads(line) if line else {"error": "the process ended"}
        if "error" in answer:
            raise WorkerFailed(answer["error"])
        return answer

    async def _ask_all(self, **command: Any) -> list[dict[str, Any]]:
        return await asyncio.gather(*(self._ask(worker, **command) for worker in self._workers))

    async def prepare(self, *kinds: str) -> None:
        """Encode what will be published."""
        await self._ask_all(op="prepare", publish=list(kinds))

    async def join(self, orders: Sequence[Order], at_once: int = 4) -> list[float]:
        """Let participants join, spread over the workers; return ms until each was connected."""
        shares: list[list[dict[str, Any]]] = [[] for _ in self._workers]
        for order in orders:
            self._of[order.identity] = self._workers[self._turn % len(shares)]
            shares[self._turn % len(shares)].append(asdict(order))
            self._turn += 1
        answers = await asyncio.gather(
            *(
                self._ask(worker, op="join", peers=share, at_once=at_once)
                for worker, share in zip(self._workers, shares, strict=True)
                if share
            )
        )
        return [ms for answer in answers for ms in answer["connected_ms"]]

    async def publish(self, identity: str, kind: str) -> None:
        """Let one participant publish one track more."""
        await self._ask(self._of[identity], op="publish", identity=identity, kind=kind)

    async def snapshot(self) -> dict[str, dict[str, Any]]:
        """Return identity → counts so far."""
        answers = await self._ask_all(op="snapshot")
        return {peer["identity"]: peer for answer in answers for peer in answer["peers"]}

    async def latencies(self) -> list[int]:
        """Transit times in µs since the last call, of peers that read `timed`."""
        return [us for answer in await self._ask_all(op="latencies") for us in answer["us"]]

    async def leave(self) -> None:
        """Let everybody leave."""
        await self._ask_all(op="leave", identities=[])


def counts(before: dict[str, Any], after: dict[str, Any]) -> list[Count]:
    """Compare two snapshots."""
    return [_count(before.get(identity, {}), now) for identity, now in after.items()]


def _count(before: dict[str, Any], now: dict[str, Any]) -> Count:
    former = before.get("flows", {})
    rows = [_difference(former.get(ssrc), flow) for ssrc, flow in now["flows"].items()]

    def total(name: str) -> int:
        return sum(row[name] for row in rows)

    return Count(
        identity=now["identity"],
        left=now["left"],
        sent=sum(now["sent"].values()) - sum(before.get("sent", {}).values()),
        packets=total("packets"),
        bytes=total("bytes"),
        gaps=total("gaps"),
        late=total("late"),
        authentic=total("authentic"),
        refused=total("refused"),
        flows=sum(row["packets"] > 0 for row in rows),
        fewest=min((row["packets"] for row in rows), default=0),
    )


def _difference(before: dict[str, int] | None, now: dict[str, int]) -> dict[str, int]:
    names = ("packets", "bytes", "gaps", "late", "authentic", "refused")
    return {name: now[name] - (before[name] if before else 0) for name in names}
