"""When a tick is due: absolute deadlines, so that being late once does not make all that follow late.

Tick n is due at start + n · period. Who comes late runs what was missed, three ticks at most; what is
beyond is dropped and counted, for a burst of old sound helps nobody.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from fractions import Fraction

from roomful.clock import Clock

CATCH_UP = 3
_KEPT = 3000
"""lateness of the last minute at 20 ms"""


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be done now: `dropped` ticks are skipped, then `run` of them run."""

    run: int
    dropped: int


class Metronome:
    """Deadlines of one period, and how late they were met. Sans-IO; `now` in monotonic seconds."""

    def __init__(self, period_s: Fraction, start_s: float, *, catch_up: int = CATCH_UP) -> None:
        """Tick 0 is due at `start_s`."""
        self._period, self._start_s, self._catch_up = period_s, start_s, catch_up
        self._next = 0
        self._lateness: deque[float] = deque(maxlen=_KEPT)
        self.dropped = 0

    @property
    def deadline_s(self) -> float:
        """When the next tick is due."""
        return self._start_s + float(self._next * self._period)

    def due(self, now: float) -> Due:
        """Say what to run; what is returned counts as done."""
        late = now - self.deadline_s
        if late < 0:
            return Due(0, 0)
        passed = 1 + int(late / float(self._period))
        run = min(passed, 1 + self._catch_up)
        self._lateness.append(late)
        self._next += passed
        self.dropped += passed - run
        return Due(run, passed - run)

    def lateness_s(self, share: float) -> float:
        """Return the quantile of how late ticks of the last minute were met; 0.5 is the median."""
        ordered = sorted(self._lateness)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


async def ticks(metronome: Metronome, clock: Clock) -> AsyncIterator[Due]:
    """Sleep until something is due, for ever. One such loop serves all mixers of a worker."""
    while True:
        due = metronome.due(clock.monotonic())
        if due.run:
            yield due
        await asyncio.sleep(max(0.0, metronome.deadline_s - clock.monotonic()))
