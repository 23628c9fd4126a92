"""Cores set aside for one piece of work, and the answer where there are none."""

from __future__ import annotations

import os
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

from roomful.errors import ResourceExhausted
from roomful.limits.use import Level, Pace, Window


@dataclass(frozen=True, slots=True)
class Refused:
    """Why something was not admitted, in cores."""

    kind: str
    need: float
    free: float
    late_ms: float | None = None
    """how late pacing loops run, where that was the reason"""

    def error(self) -> ResourceExhausted:
        """Return what to raise to whoever asked."""
        what = f"{self.kind} needs {self.need:.2f} cores and {self.free:.2f} are free"
        if self.late_ms is not None:
            return ResourceExhausted(
                f"{what}, but what runs in real time is {self.late_ms:.0f} ms late: end something"
            )
        return ResourceExhausted(f"{what}: end something, or raise [limits] max_cpu")


class Ledger(Protocol):
    """Where leases are kept."""

    def watch(self, lease: Lease, pid: int) -> None:
        """Count a process's use for a lease."""
        ...

    def unwatch(self, lease: Lease, pid: int | None) -> None:
        """Count it no longer; None: none of the lease's processes."""
        ...

    def forget(self, lease: Lease) -> None:
        """Take the lease out."""
        ...


class Lease:
    """Cores set aside for one piece of work until `release`; usable as a context.

    It counts with its estimate until it is told which processes do the work; then with what they
    are seen to use, as `Pace` says. Work inside the server's own process is never told apart: it
    keeps its estimate.
    """

    def __init__(
        self, ledger: Ledger, kind: str, cores: float, room: str, since: float, pace: Pace
    ) -> None:
        """`since`: when it was admitted, in monotonic seconds."""
        self._ledger: Ledger | None = ledger
        self.kind, self.cores, self.room, self.since = kind, cores, room, since
        self.is_watched = False
        """whether processes do the work, also while one that ended is being replaced"""
        self.used_s = 0.0
        """CPU seconds that its processes were seen to use"""
        self._pace = pace
        self._window = Window(pace.window_s)
        self._level = Level(cores, cores * pace.floor, pace)
        self._judged_at = since

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def watch(self, pid: int) -> None:
        """Say that a process and its descendants do this work; once for each, a restarted one too.

        A process that ends needs no `unwatch`. Where several leases watch one process (calls that
        share a worker), each counts with a part of its use, by their estimates. `ValueError` for
        what is no worker: this process itself, or the machine's first.
        """
        if pid <= 1 or pid == os.getpid():
            raise ValueError(f"process {pid!r} does not do a lease's work alone")
        if self._ledger is not None:
            self._ledger.watch(self, pid)

    def unwatch(self, pid: int | None = None) -> None:
        """Say that a process (None: any) no longer does this work; harmless when none did."""
        if self._ledger is not None:
            self._ledger.unwatch(self, pid)

    def release(self) -> None:
        """Give the cores back; harmless when they are."""
        ledger, self._ledger = self._ledger, None
        if ledger is not None:
            ledger.forget(self)

    @property
    def used(self) -> float:
        """Cores that its processes use, averaged."""
        return self._window.cores

    @property
    def counted(self) -> float:
        """Cores that it counts with."""
        return self._level.cores if self.is_watched else self.cores

    def begin(self, now: float) -> None:
        """Called when a process takes up the work: what it counts with stands while it is young."""
        self.is_watched = True
        self._window = Window(self._pace.window_s)
        self._judged_at = now + self._pace.young_s

    def end(self) -> None:
        """Called when no process does the work any more: the estimate counts again."""
        self.is_watched = False
        self._window = Window(self._pace.window_s)
        self._level = Level(self.cores, self.cores * self._pace.floor, self._pace)

    def spend(self, seconds: float, now: float, elapsed_s: float) -> None:
        """Called with the CPU seconds its processes used since the last call, `elapsed_s` ago."""
        self.used_s += seconds
        if now >= self._judged_at:
            self._window.add(seconds, now)
            self._level.follow(self._window.cores, elapsed_s)
