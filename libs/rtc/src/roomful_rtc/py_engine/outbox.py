"""What Python is handed: bounded queues of datagrams and events, and the drop counters."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from roomful_rtc.engine import Datagram, EngineEvent, KeyFrameWanted


class Outbox:
    """Collects during a turn; `wake` makes the engine's descriptor readable in between."""

    def __init__(self, limit: int, wake: Callable[[], None]) -> None:
        self.datagrams: list[Datagram] = []
        self.events: list[EngineEvent] = []
        self.drops: defaultdict[str, int] = defaultdict(int)
        self._limit = limit
        self._wake = wake
        self._wanted: set[int] = set()

    def datagram(self, item: Datagram) -> None:
        """Queue a datagram; counted and dropped when the queue is full."""
        if len(self.datagrams) >= self._limit:
            self.drops["handed_up_full"] += 1
            return
        self.datagrams.append(item)
        self._wake()

    def event(self, item: EngineEvent) -> None:
        """Queue an event; counted and dropped when the queue is full."""
        if len(self.events) >= self._limit:
            self.drops["events_full"] += 1
            return
        self.events.append(item)
        self._wake()

    def want_key_frame(self, up: int) -> None:
        """Queue `KeyFrameWanted` once until it is taken."""
        if up not in self._wanted:
            self._wanted.add(up)
            self.event(KeyFrameWanted(up))

    def take(self, max_items: int) -> tuple[list[Datagram], list[EngineEvent]]:
        """Remove and return up to `max_items` of each."""
        if not self:
            return [], []
        datagrams, self.datagrams = self.datagrams[:max_items], self.datagrams[max_items:]
        events, self.events = self.events[:max_items], self.events[max_items:]
        self._wanted.clear()
        return datagrams, events

    def __bool__(self) -> bool:
        return bool(self.datagrams or self.events)
