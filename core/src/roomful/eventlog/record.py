"""One line of the event log."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from roomful.errors import InvalidArgument
from roomful.eventlog.codec import event_from_json, event_name
from roomful.model.events import LifeCycleEvent, PluginEvent

log = logging.getLogger(__name__)

_DIGITS = 16


@dataclass(frozen=True, slots=True)
class EventRow:
    """The line as the store keeps it."""

    key: str
    """`seq` with leading zeros, so that keys sort as numbers do"""
    id: str
    created_at_ms: int
    body: str


@dataclass(frozen=True, slots=True)
class EventRecord:
    """The line as readers get it."""

    seq: int
    """grows with every event of the server, so also within each room"""
    id: str
    """`EV_…`; stays the same however often the event is delivered"""
    created_at_ms: int
    event: LifeCycleEvent

    @property
    def name(self) -> str:
        """As in webhooks: `participant_joined`; empty where the line could not be read."""
        return event_name(self.event)

    @property
    def room(self) -> str:
        """Name of the room it happened in, empty for none."""
        return self.event.room.name if self.event.room else ""


def key_of(seq: int) -> str:
    """Return the key of a line."""
    return f"{seq:0{_DIGITS}}"


def record_of(row: EventRow) -> EventRecord:
    """Return the record of a row. A line that is no event comes as one without a name."""
    try:
        event = event_from_json(row.body)
    except InvalidArgument:
        log.error("line of the event log is unreadable", extra={"seq": int(row.key)})
        event = PluginEvent("", None, {})
    return EventRecord(int(row.key), row.id, row.created_at_ms, event)
