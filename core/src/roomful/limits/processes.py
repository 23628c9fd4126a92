"""Which processes are ours, and what they have used: /proc/<pid>/stat (proc(5)).

Ours are the server, what leases watch, and all descendants of these: by parent, by a session whose
leader is ours (a worker's grandchild whose parent died before anybody looked), and for good: an
orphan stays ours. Parents are read from `stat`, as not every kernel tells a process's children.

Cheap: each look lists /proc, but reads only what is ours and what was not there before; a process
once seen to be another's stays another's. As a pid may be used again, everything is read anew
once in a while.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path

from roomful.limits.sample import Process

REREAD_EVERY = 60
"""looks between two that read every process of the machine"""
_STAT_BYTES = 1024
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class ProcessTable:
    """Finds our processes. Not for two threads at once."""

    def __init__(self, main: int, proc: Path = Path("/proc")) -> None:
        self.main = main
        self._proc = str(proc)
        self._family: dict[int, Process] = {}
        self._others: set[int] = set()
        self._looks = 0

    def read(self, watched: Collection[int]) -> dict[int, Process]:
        """Return all that are ours now, by pid. Raises `OSError` where there is no /proc."""
        there = self._pids()
        family = {
            pid: now
            for pid, before in self._family.items()
            if (now := self._stat(pid)) is not None and now.started == before.started
        }
        if self._adopt({self.main, *watched} - family.keys(), family) or self._is_due():
            self._others.clear()
        fresh = self._stats(there - self._others - family.keys())
        _claim(family, fresh)
        self._family, self._others = family, there - family.keys()
        return dict(family)

    def _is_due(self) -> bool:
        self._looks += 1
        return self._looks % REREAD_EVERY == 0

    def _adopt(self, pids: Iterable[int], family: dict[int, Process]) -> bool:
        """Take in processes that are ours by name; whether one of them was another's before."""
        family |= (found := self._stats(pids))
        return not self._others.isdisjoint(found)

    def _pids(self) -> set[int]:
        return {int(name) for name in os.listdir(self._proc) if name.isdecimal()}

    def _stats(self, pids: Iterable[int]) -> dict[int, Process]:
        return {pid: found for pid in pids if (found := self._stat(pid)) is not None}

    def _stat(self, pid: int) -> Process | None:
        """Return a process; None when it is gone."""
        try:
            file = os.open(f"{self._proc}/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            return parse_stat(pid, os.read(file, _STAT_BYTES))
        except (OSError, ValueError, IndexError):
            return None
        finally:
            os.close(file)


def parse_stat(pid: int, line: bytes) -> Process:
    """Read a line of /proc/<pid>/stat. `ValueError` or `IndexError` for what is none."""
    # the second field is a name that may hold anything, ")" and spaces too
    fields = line.rpartition(b")")[2].split(None, 20)
    user, system, waited_user, waited_system = map(int, fields[11:15])
    return Process(
        pid=pid,
        started=int(fields[19]),
        parent=int(fields[1]),
        session=int(fields[3]),
        used=(user + system) / _TICKS_PER_S,
        waited=(waited_user + waited_system) / _TICKS_PER_S,
    )


def _claim(family: dict[int, Process], fresh: dict[int, Process]) -> None:
    """Move what descends from the family into it, however deep."""
    found = True
    while found:
        found = [p for p in fresh.values() if p.parent in family or p.session in family]
        for process in found:
            family[process.pid] = fresh.pop(process.pid)
