"""Splits the CPU seconds between two samples: so much each lease's processes, so much the rest of
us, so much others. Every second is counted once.

A process is its nearest watched ancestor's (or its own, when it is watched), else the server's. When
one ends, its parent inherits all it ever used (`Process.waited`); of that only what no sample had
seen before is new, and it belongs to whom the ended process belonged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from roomful.limits.sample import Process, Sample


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU seconds since the sample before."""

    by_owner: Mapping[int, float]
    """pid of a watched process, or the server's, → its own use and that of its descendants"""
    by_others: Mapping[str, float]
    """budget → what processes that are not ours used of it; below 0 by a tick now and then"""

    @property
    def ours(self) -> float:
        """What all our processes used."""
        return sum(self.by_owner.values())


class CpuMeter:
    """Holds the last sample."""

    def __init__(self) -> None:
        self._last: Sample | None = None
        self._owners: Mapping[int, int] = {}

    def take(self, sample: Sample, watched: Collection[int]) -> Spent | None:
        """Return what was spent since the last sample; None for the first."""
        last, owners_before = self._last, self._owners
        self._last = sample
        self._owners = owners = owners_of(sample, frozenset(watched))
        if last is None:
            return None
        legacies = _legacies(last, sample, owners_before)
        spent: defaultdict[int, float] = defaultdict(float)
        for pid, before in _beginnings(last, sample).items():
            now, legacy = sample.family[pid], legacies.get(pid)
            spent[owners[pid]] += max(0.0, now.used - before.used)
            inherited = max(0.0, now.waited - before.waited)
            if legacy is None:
                spent[owners[pid]] += inherited
            else:
                spent[legacy.owner] += max(0.0, inherited - legacy.known)
        ours = sum(spent.values())
        return Spent(spent, {name: used - ours for name, used in _used(last, sample).items()})


def owners_of(sample: Sample, watched: Collection[int]) -> dict[int, int]:
    """Return pid → pid of its nearest watched ancestor, or the server's."""
    owners: dict[int, int] = {}
    for pid in sample.family:
        way: list[int] = []
        at = pid
        while at not in owners and at not in way:
            way.append(at)
            if at in watched or at == sample.main:
                owners[at] = at
            else:
                at = _above(sample, at)
        owner = owners.get(at, sample.main)
        owners.update(dict.fromkeys(way, owner))
    return owners


def _above(sample: Sample, pid: int) -> int:
    """Whose a process is: its parent's; an orphan is its session's leader's, else the server's."""
    process = sample.family[pid]
    for above in (process.parent, process.session):
        if above != pid and above in sample.family:
            return above
    return sample.main


@dataclass(slots=True)
class _Legacy:
    """What a process inherits from descendants that ended."""

    owner: int
    known: float = 0.0
    """CPU seconds that earlier samples have seen"""


def _legacies(last: Sample, sample: Sample, owners: Mapping[int, int]) -> dict[int, _Legacy]:
    found: dict[int, _Legacy] = {}
    for pid, process in last.family.items():
        if _is_same(process, sample.family.get(pid)):
            continue
        heir = process.parent
        while heir in last.family and not _is_same(last.family[heir], sample.family.get(heir)):
            heir = last.family[heir].parent
        if heir in last.family:
            found.setdefault(heir, _Legacy(owners[pid])).known += process.total
    return found


def _beginnings(last: Sample, sample: Sample) -> dict[int, Process]:
    """Return pid → where its count begins: the last sample, or nothing for one born since.

    One that was there already when it became ours begins with what it has used by now.
    """
    found: dict[int, Process] = {}
    for pid, now in sample.family.items():
        before = last.family.get(pid)
        if before is not None and _is_same(before, now):
            found[pid] = before
        else:
            found[pid] = _unborn(now) if _was_born(now, last, sample) else now
    return found


def _was_born(process: Process, last: Sample, sample: Sample) -> bool:
    """Whether one that is new among us has an ancestor that was ours before: then it is new."""
    seen: set[int] = set()
    at = process.parent
    while at in sample.family and at not in seen:
        if _is_same(sample.family[at], last.family.get(at)):
            return True
        seen.add(at)
        at = sample.family[at].parent
    return False


def _unborn(process: Process) -> Process:
    return Process(process.pid, process.started, process.parent, process.session, 0.0, 0.0)


def _is_same(process: Process, other: Process | None) -> bool:
    return other is not None and process.started == other.started


def _used(last: Sample, sample: Sample) -> dict[str, float]:
    """Return budget → CPU seconds that all used of it, where both samples tell."""
    before = {budget.name: budget.used for budget in last.budgets}
    return {
        budget.name: budget.used - used
        for budget in sample.budgets
        if budget.used is not None and (used := before.get(budget.name)) is not None
    }
