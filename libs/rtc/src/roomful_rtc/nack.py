"""When to ask a publisher for missing packets of one stream. Sans-IO; `now` in seconds.

missing ──15 ms──▶ asked ──each round trip, ≥ 30 ms, 5 times──▶ given up
   │                 │
   └──── recovered, key frame behind it, or 1 s old: forgotten ────┘
"""

from __future__ import annotations

from dataclasses import dataclass

FIRST_AFTER_S = 0.015
"""Reordering settles within this."""
LEAST_INTERVAL_S = 0.030
MOST_TIMES = 5
GIVE_UP_S = 1.0
MOST_MISSING = 512


@dataclass(slots=True)
class _Missing:
    since: float
    due: float
    times: int = 0


class NackTracker:
    """The missing numbers of one up, extended, as `Gap`, `Recovered` and `KeyFrame` tell them."""

    __slots__ = ("_lost", "_missing")

    def __init__(self) -> None:
        self._missing: dict[int, _Missing] = {}
        self._lost = 0

    def __len__(self) -> int:
        return len(self._missing)

    def gap(self, first: int, count: int, now: float) -> None:
        """Packets `first` … `first + count - 1` have not come."""
        self._lost += max(0, count - MOST_MISSING)
        for seq in range(max(first, first + count - MOST_MISSING), first + count):
            self._missing[seq] = _Missing(now, now + FIRST_AFTER_S)
        while len(self._missing) > MOST_MISSING:
            self._give_up(next(iter(self._missing)))

    def recovered(self, seq: int) -> None:
        """It came after all."""
        self._missing.pop(seq, None)

    def key_frame(self, seq: int) -> None:
        """A key frame begins at `seq`: nothing before it is needed any more."""
        for missing in [number for number in self._missing if number < seq]:
            self._give_up(missing)

    def take_lost(self) -> int:
        """Return how many numbers were given up since the last call."""
        lost, self._lost = self._lost, 0
        return lost

    def _give_up(self, seq: int) -> None:
        del self._missing[seq]
        self._lost += 1

    @property
    def due(self) -> float | None:
        """When `take` has something to ask for, None while nothing is missing."""
        return min((entry.due for entry in self._missing.values()), default=None)

    def take(self, now: float, rtt_s: float | None = None) -> list[int]:
        """Return the numbers to ask for now, ascending; unknown round trips count as 100 ms."""
        interval = max(LEAST_INTERVAL_S, 0.1 if rtt_s is None else rtt_s)
        asked: list[int] = []
        for seq, entry in list(self._missing.items()):
            spent = entry.times >= MOST_TIMES and now >= entry.due
            if spent or now - entry.since >= GIVE_UP_S:
                self._give_up(seq)
            elif now >= entry.due:
                entry.times += 1
                entry.due = now + interval
                asked.append(seq)
        return sorted(asked)
