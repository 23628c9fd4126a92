"""What one receiver still has to get: order per room, retries, giving up. No I/O, no clock.

    log ─(offer)─► waiting in its room's lane ─(due)─► flying ─(delivered, refused)─► done
                                   ▲                     │
                                   └──────(failed)───────┘  1 s, 2 s, 4 s … 5 min

Only the first of a lane flies, so a room's events arrive in order, and a room whose event the
receiver will not take holds up nobody else's. `position` is the last event before which everything
is done: where a killed server goes on.

When attempts keep failing, whichever room they are of, the receiver counts as down: one attempt at
a time is made then, and the first that succeeds lets all others try again at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from roomful.eventlog import EventRecord

WINDOW = 1_000
"""events taken from the log and not done; more stay in the log"""
FLYING = 8
DOWN_AFTER = 3
"""failures in a row"""
FIRST_PAUSE_S, LAST_PAUSE_S = 1.0, 300.0
GIVE_UP_MS = 24 * 3600 * 1000


@dataclass(slots=True, eq=False)
class Pending:
    """One event on its way."""

    record: EventRecord
    due: float
    attempts: int = 0
    flying: bool = False
    done: bool = False

    @property
    def pause_s(self) -> float:
        """How long to wait after the last failure."""
        return min(FIRST_PAUSE_S * 2.0 ** min(self.attempts - 1, 20), LAST_PAUSE_S)


@dataclass(slots=True)
class Outbox:
    """Times are monotonic seconds, but for `now_ms`: wall time, as in the log."""

    position: int
    read: int = field(init=False)
    """number of the last event taken from the log"""
    dropped: int = 0
    """events given up because they were a day old"""
    _order: deque[Pending] = field(default_factory=deque[Pending])
    _lanes: dict[str, deque[Pending]] = field(default_factory=dict[str, deque[Pending]])
    _flying: int = 0
    _streak: int = 0

    def __post_init__(self) -> None:
        self.read = self.position

    @property
    def room(self) -> int:
        """How many more events may be offered."""
        return max(0, WINDOW - len(self._order))

    @property
    def is_down(self) -> bool:
        """Whether nothing gets through."""
        return self._streak >= DOWN_AFTER

    def offer(
        self, records: Iterable[EventRecord], wants: Callable[[str], bool], now: float
    ) -> None:
        """Take events from the log, in order; those not wanted are done at once."""
        for record in records:
            pending = Pending(record, now)
            self.read = record.seq
            self._order.append(pending)
            if record.name and wants(record.name):
                # all lanes together are bounded by the window
                self._lanes.setdefault(record.room, deque()).append(pending)
            else:
                pending.done = True
        self._advance()

    def due(self, now: float, now_ms: int) -> list[Pending]:
        """Return what is to be sent now; it flies until one of the methods below is called."""
        self._give_up(now_ms)
        ready = [p for p in self._heads() if not p.flying and p.due <= now]
        ready.sort(key=lambda p: (p.due, p.record.seq))
        allowed = (1 if self.is_down else FLYING) - self._flying
        chosen = ready[: max(0, allowed)]
        for pending in chosen:
            pending.flying = True
        self._flying += len(chosen)
        return chosen

    def next_due(self) -> float | None:
        """When `due` will have something, None: only after something changes."""
        if self._flying >= (1 if self.is_down else FLYING):
            return None
        return min((p.due for p in self._heads() if not p.flying), default=None)

    def delivered(self, pending: Pending, now: float) -> None:
        """The receiver took it."""
        was_down, self._streak = self.is_down, 0
        self._finish(pending)
        if was_down:
            for waiting in self._heads():
                waiting.due = min(waiting.due, now)

    def refused(self, pending: Pending) -> None:
        """The receiver answered that it will never take this one; others may be fine."""
        self._streak = 0
        self._finish(pending)

    def failed(self, pending: Pending, now: float) -> None:
        """It did not get through, or not for now."""
        self._land(pending)
        self._streak += 1
        pending.attempts += 1
        pending.due = now + pending.pause_s

    def _heads(self) -> list[Pending]:
        return [lane[0] for lane in self._lanes.values()]

    def _land(self, pending: Pending) -> None:
        pending.flying = False
        self._flying -= 1

    def _finish(self, pending: Pending) -> None:
        self._land(pending)
        self._leave(pending)
        self._advance()

    def _leave(self, pending: Pending) -> None:
        """Take the first of a lane out."""
        pending.done = True
        lane = self._lanes[pending.record.room]
        lane.popleft()
        if not lane:
            del self._lanes[pending.record.room]

    def _advance(self) -> None:
        while self._order and self._order[0].done:
            self.position = self._order.popleft().record.seq

    def _give_up(self, now_ms: int) -> None:
        for head in self._heads():
            while not head.flying and now_ms - head.record.created_at_ms > GIVE_UP_MS:
                self.dropped += 1
                self._leave(head)
                lane = self._lanes.get(head.record.room)
                if lane is None:
                    break
                head = lane[0]
        self._advance()
