"""The one admission for everything that costs CPU: by estimate, and by what the machine is doing.

    lease = server.limits.admit("composite", 0.7 + 0.02 * tiles, room)
    if isinstance(lease, Refused):
        raise lease.error()
    with lease: ...

Admitted work may use `[limits] max_cpu` cores. What other programs of the machine use is measured
(/proc/stat less our own) and taken off, so a foreign hog makes us refuse earlier instead of making
what runs worse.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from roomful.clock import Clock
from roomful.errors import ResourceExhausted

log = logging.getLogger(__name__)

SAMPLE_S = 1.0
WINDOW_S = 5.0
"""the machine's use is averaged over about this long"""


@dataclass(frozen=True, slots=True)
class Refused:
    """Why something was not admitted, in cores."""

    kind: str
    need: float
    free: float

    def error(self) -> ResourceExhausted:
        """Return what to raise to whoever asked."""
        return ResourceExhausted(
            f"{self.kind} needs {self.need:.2f} cores and {self.free:.2f} are free: end something, "
            "or raise [limits] max_cpu"
        )


class Lease:
    """Cores set aside for one piece of work until `release`."""

    def __init__(self, limits: Limits, kind: str, cores: float, room: str) -> None:
        self._limits: Limits | None = limits
        self.kind, self.cores, self.room = kind, cores, room

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def release(self) -> None:
        """Give the cores back; harmless when they are."""
        limits, self._limits = self._limits, None
        if limits is not None:
            limits.forget(self)


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """CPU seconds since some start: of the whole machine, and of our own processes."""

    machine: float
    own: float


class CpuMeter:
    """Cores that programs other than ours are using, smoothed. Time is an argument."""

    def __init__(self) -> None:
        self.foreign = 0.0
        self._last: tuple[CpuTimes, float] | None = None

    def update(self, times: CpuTimes, now: float) -> None:
        """Take a sample; `now` in monotonic seconds."""
        last, self._last = self._last, (times, now)
        if last is None or now <= last[1]:
            return
        span = now - last[1]
        used = (times.machine - last[0].machine) - (times.own - last[0].own)
        share = min(1.0, span / WINDOW_S)
        self.foreign += share * (max(0.0, used / span) - self.foreign)


class Limits:
    """`server.limits`."""

    def __init__(
        self,
        max_cpu: float,
        clock: Clock,
        measure: Callable[[], CpuTimes | None] | None = None,
        machine_cores: int | None = None,
    ) -> None:
        self._max_cpu = max_cpu
        self._clock = clock
        self._measure = measure or read_cpu_times
        self._machine_cores = machine_cores or os.cpu_count() or 1
        self._meter = CpuMeter()
        self._leases: set[Lease] = set()
        self.refused: Counter[str] = Counter()
        """refusals by kind"""

    @property
    def leased(self) -> float:
        """Cores set aside."""
        return sum(lease.cores for lease in self._leases)

    @property
    def foreign(self) -> float:
        """Cores that other programs of the machine use."""
        return self._meter.foreign

    @property
    def free(self) -> float:
        """Cores that could still be set aside."""
        usable = min(self._max_cpu, self._machine_cores - self._meter.foreign)
        return max(0.0, usable - self.leased)

    def admit(self, kind: str, cores: float, room: str = "") -> Lease | Refused:
        """Set `cores` aside for work of a kind (`composite`, `call`), or say why not.

        `room` is for whoever asks what runs; it decides nothing.
        """
        if not cores > 0:
            raise ValueError(f"{kind!r} asks for {cores!r} cores")
        if cores > self.free + 1e-9:
            refused = Refused(kind, cores, self.free)
            self.refused[kind] += 1
            log.warning("not admitted", extra={"kind": kind, "need": cores, "free": refused.free})
            return refused
        lease = Lease(self, kind, cores, room)
        self._leases.add(lease)
        return lease

    def leases(self) -> list[Lease]:
        """What runs now."""
        return list(self._leases)

    def forget(self, lease: Lease) -> None:
        """Called by a lease that is released."""
        self._leases.discard(lease)

    def sample(self) -> None:
        """Look at the machine once; where that cannot be done, estimates alone decide."""
        times = self._measure()
        if times is not None:
            self._meter.update(times, self._clock.monotonic())

    async def run(self) -> None:
        """Look at the machine every second, until cancelled."""
        while True:
            self.sample()
            await asyncio.sleep(SAMPLE_S)


def read_cpu_times(proc: Path = Path("/proc")) -> CpuTimes | None:
    """Return the CPU times of /proc (proc(5)), or None where there is none.

    Ours are this process and its children, those that ended included.
    """
    ticks = os.sysconf("SC_CLK_TCK")
    try:
        machine = _busy_ticks((proc / "stat").read_text())
        pids = _family(proc, os.getpid())
        own = sum(_used_ticks(proc, pid) for pid in pids)
    except (OSError, ValueError, IndexError):
        return None
    return CpuTimes(machine / ticks, own / ticks)


def _busy_ticks(stat: str) -> int:
    """user, nice, system, irq, softirq, steal: all but idle and waiting for a disk."""
    user, nice, system, _, _, irq, softirq, steal = map(int, stat.split("\n", 1)[0].split()[1:9])
    return user + nice + system + irq + softirq + steal


def _family(proc: Path, pid: int) -> list[int]:
    """This process and its direct children, where the kernel tells them."""
    pids = [pid]
    for children in (proc / str(pid) / "task").glob("*/children"):
        pids += map(int, children.read_text().split())
    return pids


def _used_ticks(proc: Path, pid: int) -> int:
    """utime, stime of a process and of its children that ended; a process just gone counts 0."""
    try:
        fields = (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return sum(map(int, fields[11:15]))
