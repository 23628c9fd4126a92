"""Which worker is asked: by chance, one with half the free load half as often."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from roomful_agents.worker import Worker


def choose(workers: Iterable[Worker], chance: Callable[[], float]) -> Worker | None:
    """Return one of the available workers, weighted by 1 - load; None where none has room left.

    `chance` gives numbers of [0, 1).
    """
    free = [(w, 1 - w.load) for w in workers if w.available and w.load < 1]
    if not free:
        return None
    point = chance() * sum(weight for _, weight in free)
    for worker, weight in free:
        point -= weight
        if point < 0:
            return worker
    return free[-1][0]  # rounding left a rest
