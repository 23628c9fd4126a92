"""Things that are due later, soonest first: one timer serves every peer. Sans-IO.

An owner has at most one entry. After each change it sets its entry anew; the shell sleeps until
`next_due` and calls `take`.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Protocol


class Timed(Protocol):
    """Owner of an entry."""

    def on_time(self, now: float) -> None:
        """Its time has come; monotonic seconds. The entry is gone: set it again if needed."""
        ...


class Timetable:
    """A heap with at most one valid entry per owner; replaced entries fall out when they surface.

    Bounded by its owners: a stale entry is kept no longer than its time, and the heap is rebuilt
    when more than half of it is stale.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timed]] = []
        self._valid: dict[Timed, int] = {}
        self._serial = 0

    def __len__(self) -> int:
        return len(self._valid)

    def set(self, owner: Timed, due: float | None) -> None:
        """Call the owner at `due` instead of what was set before; None: not at all."""
        if due is None:
            self._valid.pop(owner, None)
            return
        self._serial += 1
        self._valid[owner] = self._serial
        heapq.heappush(self._heap, (due, self._serial, owner))
        if len(self._heap) > 64 and len(self._heap) > 2 * len(self._valid):
            self._heap = [entry for entry in self._heap if self._is_valid(entry)]
            heapq.heapify(self._heap)

    def next_due(self) -> float | None:
        """When the first valid entry is due, or None."""
        while self._heap and not self._is_valid(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take(self, now: float) -> Iterator[Timed]:
        """Yield the owners that are due by `now`; what is set meanwhile waits for the next call."""
        last = self._serial
        later: list[tuple[float, int, Timed]] = []
        try:
            while self._heap and self._heap[0][0] <= now:
                entry = heapq.heappop(self._heap)
                if not self._is_valid(entry):
                    continue
                if entry[1] > last:
                    later.append(entry)
                    continue
                del self._valid[entry[2]]
                yield entry[2]
        finally:
            for entry in later:
                heapq.heappush(self._heap, entry)

    def _is_valid(self, entry: tuple[float, int, Timed]) -> bool:
        return self._valid.get(entry[2]) == entry[1]
