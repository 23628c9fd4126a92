"""What one look at the machine gives: who of ours has used how much, and what bounds us all.

CPU seconds are sums since some start; only differences between two samples mean something.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MACHINE = "machine"
"""the budget that is the machine itself, as far as this process may run on it"""


@dataclass(frozen=True, slots=True)
class Process:
    """One process of ours, as /proc/<pid>/stat tells it (proc(5))."""

    pid: int
    started: int
    """clock ticks since boot; with `pid` it names the process, a reused pid has another"""
    parent: int
    session: int
    """pid of the session's leader"""
    used: float
    """CPU seconds of its own threads"""
    waited: float
    """CPU seconds of children that ended and were waited for, and of theirs"""

    @property
    def total(self) -> float:
        """CPU seconds that its parent inherits when it waits for it now."""
        return self.used + self.waited


@dataclass(frozen=True, slots=True)
class Budget:
    """Cores that are there for us and for others together: the machine's, or a cgroup's quota."""

    name: str
    cores: float
    used: float | None
    """CPU seconds that all have used of it; None where nobody tells"""


@dataclass(frozen=True, slots=True)
class Sample:
    """One look."""

    main: int
    """pid of the server itself"""
    family: Mapping[int, Process]
    """by pid: the server, its descendants at any depth, and whatever else leases watch"""
    budgets: tuple[Budget, ...]
