"""Looks at the machine: our processes, the CPUs this process may run on, quotas of its groups."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path

from roomful.limits.cgroups import find_groups, read_quota
from roomful.limits.processes import ProcessTable
from roomful.limits.sample import MACHINE, Budget, Sample

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def own_cpus() -> Collection[int]:
    """Return the CPUs that this process may run on (sched_getaffinity(2))."""
    return os.sched_getaffinity(os.getpid())


def usable_cores(
    proc: Path = Path("/proc"), cpus: Callable[[], Collection[int]] = own_cpus
) -> float:
    """Return how many cores this process may use at most: its CPUs, or a quota below them."""
    quotas = [quota.cores for group in find_groups(proc) if (quota := read_quota(group))]
    return min((float(len(cpus())), *quotas))


class Machine:
    """Takes samples, one thread at a time; a sample costs some 15 µs per process of ours."""

    def __init__(
        self,
        main: int | None = None,
        proc: Path = Path("/proc"),
        cpus: Callable[[], Collection[int]] = own_cpus,
    ) -> None:
        self._proc, self._cpus = proc, cpus
        self._processes = ProcessTable(main or os.getpid(), proc)
        self._groups = find_groups(proc)

    def sample(self, watched: Collection[int]) -> Sample | None:
        """Return what is to be seen, or None where /proc is none; `watched`: pids of leases."""
        try:
            cpus = self._cpus()
            used = busy_seconds((self._proc / "stat").read_text(), cpus)
            family = self._processes.read(watched)
        except (OSError, ValueError):
            return None
        quotas = [quota for group in self._groups if (quota := read_quota(group))]
        machine = Budget(MACHINE, float(len(cpus)), used)
        return Sample(self._processes.main, family, (machine, *quotas))


def busy_seconds(stat: str, cpus: Collection[int]) -> float:
    """Return the CPU seconds of these CPUs in /proc/stat. `ValueError` for what is none.

    Busy is user, nice, system, irq, softirq and steal: all but idle and waiting for a disk. Where
    the lines are not of our CPUs (containers may count them anew) the sum of all stands in.
    """
    lines = {words[0]: words[1:9] for line in stat.splitlines() if (words := line.split())}
    ours = [lines[name] for cpu in cpus if (name := f"cpu{cpu}") in lines]
    if not ours and "cpu" not in lines:
        raise ValueError("no line of /proc/stat begins with 'cpu'")
    return sum(map(_busy_ticks, ours or [lines["cpu"]])) / _TICKS_PER_S


def _busy_ticks(words: list[str]) -> int:
    user, nice, system, _, _, irq, softirq, steal = map(int, words)
    return user + nice + system + irq + softirq + steal
