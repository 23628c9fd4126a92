"""CPU time and memory of a process and all its descendants, from /proc (Linux, proc(5))."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


class ProcessMeter:
    """Of one process. What no longer exists counts nothing, so read while it lives."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def pids(self) -> list[int]:
        """The process and its descendants."""
        children: dict[int, list[int]] = {}
        for entry in _PROC.iterdir():
            if entry.name.isdigit() and (fields := _stat(int(entry.name))):
                children.setdefault(int(fields[1]), []).append(int(entry.name))
        found = [self.pid]
        for pid in found:
            found += children.get(pid, [])
        return found

    def cpu_s(self) -> float:
        """User and system time so far, in nanosecond steps where the kernel tells them."""
        return sum(_cpu_s(pid) for pid in self.pids())

    def waited_s(self) -> float:
        """Time in which it was ready to run and something else ran: how crowded the machine is."""
        return sum(_schedule(pid)[1] for pid in self.pids()) / 1e9

    def rss_kib(self) -> int:
        """Resident memory."""
        return sum(_rss_kib(pid) for pid in self.pids())


def favour(pid: int) -> None:
    """Let all threads of a process go before ordinary ones where we may (as root): what is measured
    is this process then, not its neighbours on a crowded machine (sched(7), SCHED_RR)."""
    with suppress(PermissionError):
        for thread in (_PROC / str(pid) / "task").iterdir():
            os.sched_setscheduler(int(thread.name), os.SCHED_RR, os.sched_param(1))


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the state on; empty when there is none."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _schedule(pid: int) -> tuple[int, int]:
    """Nanoseconds run and waited of all live threads (schedstat)."""
    run = waited = 0
    for file in (_PROC / str(pid) / "task").glob("*/schedstat"):
        try:
            fields = file.read_text().split()
        except OSError:
            continue
        run, waited = run + int(fields[0]), waited + int(fields[1])
    return run, waited


def _cpu_s(pid: int) -> float:
    run, _ = _schedule(pid)
    if run:
        return run / 1e9
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / _TICKS if fields else 0.0


def _rss_kib(pid: int) -> int:
    try:
        status = (_PROC / str(pid) / "status").read_text()
    except OSError:
        return 0
    line = next((line for line in status.splitlines() if line.startswith("VmRSS:")), "VmRSS: 0")
    return int(line.split()[1])
