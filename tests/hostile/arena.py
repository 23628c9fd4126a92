"""A running server, the witness beside it, and the judge of what an attack did to them."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ..interop.server import RoomServer
from .gaps import Hearing
from .raw_client import RawClient

ROOT = Path(__file__).parents[2]
GAP_MS = 60.0
"""the bound of a witness's packet gap (p99) on a machine that has time"""
STARVED = 0.10
"""share of a window in which the server waited for a CPU that others had; below it does not count"""
WINDOW_S = 1.2
"""an attack is watched at least this long"""
TURN_MS = 60.0
"""CPU that one turn of the server's loop may cost: everything else waits for it"""
GROWTH_BYTES = 64 << 20
CONTROL_S = 2.0

LOG, TURNS = "server.log", "turns"
"""files in the server's folder"""

_TRACE = re.compile(r"Traceback|Task exception was never retrieved|\bERROR\b|\bCRITICAL\b")


@dataclass(frozen=True, slots=True)
class Footprint:
    """What the server process has used so far."""

    rss: int
    cpu_s: float
    waited_s: float
    """time it could have run and had no CPU"""

    @classmethod
    def of(cls, pid: int) -> Footprint:
        """Read /proc (proc(5)). Raises OSError when there is no such process."""
        proc = Path("/proc") / str(pid)
        pages = int((proc / "statm").read_text().split()[1])
        fields = (proc / "stat").read_text().rpartition(")")[2].split()
        ticks = os.sysconf("SC_CLK_TCK")
        waited = int((proc / "schedstat").read_text().split()[1]) / 1e9
        return cls(pages * 4096, (int(fields[11]) + int(fields[12])) / ticks, waited)


@dataclass(slots=True)
class Verdict:
    """One attack and what it did."""

    name: str
    hearing: Hearing
    cpu: float
    """share of a core the server used"""
    starved: float
    growth: int
    """bytes of RSS"""
    turn: float
    """CPU of the longest turn of the server's loop, ms"""
    log: str
    problems: list[str] = field(default_factory=list[str])

    def line(self) -> str:
        """For the report."""
        h = self.hearing
        return (
            f"{self.name:<44} lost {h.lost}/{h.sent:<4} gap p99 {h.gap_p99:6.1f} "
            f"max {h.gap_max:6.1f} ms  turn {self.turn:5.1f} ms  cpu {self.cpu:4.0%} "
            f"starved {self.starved:4.0%}  rss {self.growth / 2**20:+5.1f} MiB"
        )


class Arena:
    """Use `watch` around every attack."""

    PROXY = "127.0.99.99"
    """the one address whose `X-Forwarded-For` counts"""

    def __init__(
        self, server: RoomServer, folder: Path, witness: asyncio.subprocess.Process
    ) -> None:
        self.server, self.verdicts = server, list[Verdict]()
        self.control: Hearing | None = None
        self._log, self._turns = folder / LOG, folder / TURNS
        self._witness = witness
        self._sources = itertools.count(2)
        self._clients: list[RawClient] = []
        assert server.pid is not None
        self.pid: int = server.pid
        self.first = Footprint.of(self.pid)

    @classmethod
    async def open(cls, server: RoomServer, folder: Path) -> Arena:
        """Bring the witness in; returns when it hears itself."""
        witness = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.hostile.witness", server.url, server.key, server.secret,
            cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert witness.stdout is not None
        async with asyncio.timeout(30):
            if await witness.stdout.readline() != b"ready\n":
                raise RuntimeError("the witness did not come in")
        return cls(server, folder, witness)

    async def close(self) -> None:
        """Let the witness leave."""
        assert self._witness.stdin is not None
        self._witness.stdin.close()
        async with asyncio.timeout(10):
            await self._witness.wait()

    async def in_order(self) -> bool:
        """Whether the server runs and the witness hears."""
        try:
            Footprint.of(self.pid)
            return (await self.mark()).signal_open
        except (OSError, TimeoutError, ValueError):
            return False

    def take_verdicts(self) -> list[Verdict]:
        """The verdicts since the last time."""
        taken, self.verdicts = self.verdicts, []
        return taken

    # --- for attackers ---------------------------------------------------------------------------

    def source(self) -> str:
        """A loopback address nobody came from yet: what is counted per source begins anew."""
        number = next(self._sources)
        return f"127.0.{1 + number // 250}.{number % 250 + 1}"

    def client(self, source: str = "") -> RawClient:
        """A client that did nothing yet, from an address of its own; gone after the test."""
        self._clients.append(RawClient(self.server, source or self.source()))
        return self._clients[-1]

    async def dismiss(self) -> None:
        """End the clients that a failed attack left behind."""
        clients, self._clients = self._clients, []
        for client in clients:
            await client.close(politely=False)

    # --- judging ---------------------------------------------------------------------------------

    async def mark(self) -> Hearing:
        """What the witness heard since the last mark."""
        assert self._witness.stdin is not None and self._witness.stdout is not None
        self._witness.stdin.write(b"mark\n")
        async with asyncio.timeout(15):
            line = await self._witness.stdout.readline()
        return Hearing(**json.loads(line))

    async def measure_control(self) -> None:
        """Listen while nobody attacks."""
        await self.mark()
        await asyncio.sleep(CONTROL_S)
        self.control = await self.mark()

    @asynccontextmanager
    async def watch(
        self, name: str, *, window: float = WINDOW_S, allowed: str = "", growth: int = GROWTH_BYTES
    ) -> AsyncIterator[None]:
        """Watch the witness, the process and its log while the block runs; then judge.

        `allowed`: pattern of lines that the log may hold although they tell of an error.
        """
        await self.mark()
        log_at, turns_at = self._log.stat().st_size, self._turns.stat().st_size
        before = Footprint.of(self.pid)
        loop = asyncio.get_running_loop()
        began = loop.time()
        yield
        await asyncio.sleep(max(0.0, began + window - loop.time()))
        hearing = await self.mark()
        span = loop.time() - began
        after = self._footprint()
        verdict = Verdict(
            name,
            hearing,
            cpu=(after.cpu_s - before.cpu_s) / span,
            starved=(after.waited_s - before.waited_s) / span,
            growth=after.rss - before.rss,
            turn=max(map(float, self._turns.read_bytes()[turns_at:].split()), default=0.0),
            log=self._log.read_bytes()[log_at:].decode(errors="replace"),
        )
        self._judge(verdict, allowed, growth)
        self.verdicts.append(verdict)
        assert not verdict.problems, f"{verdict.line()}\n" + "\n".join(verdict.problems)

    def _footprint(self) -> Footprint:
        try:
            return Footprint.of(self.pid)
        except OSError:
            raise AssertionError("the server process ended") from None

    def _judge(self, verdict: Verdict, allowed: str, growth: int) -> None:
        hearing, problems = verdict.hearing, verdict.problems
        if hearing.lost:
            problems.append(f"the witness lost {hearing.lost} packets")
        if verdict.turn > TURN_MS:
            problems.append(f"a turn of the loop cost more than {TURN_MS:.0f} ms")
        if hearing.gap_p99 > (bound := self._gap_bound(verdict)):
            problems.append(f"the witness's gap p99 is above {bound:.0f} ms")
        if not hearing.signal_open or hearing.leaves or hearing.offers:
            problems.append("the witness was disturbed")
        if verdict.growth > growth:
            problems.append(f"memory grew by more than {growth >> 20} MiB")
        if self.server.secret in verdict.log:
            problems.append("the log holds the secret")
        lines = [line for line in verdict.log.splitlines() if _TRACE.search(line)]
        problems += [line for line in lines if not (allowed and re.search(allowed, line))]

    def _gap_bound(self, verdict: Verdict) -> float:
        """60 ms; where others had the CPU, by as much more as the server's work took longer."""
        assert self.control is not None
        if verdict.starved < STARVED:
            return max(GAP_MS, 2 * self.control.gap_p99)
        return GAP_MS * (verdict.cpu + verdict.starved) / max(verdict.cpu, 0.01)
