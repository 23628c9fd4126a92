"""The durable log of life-cycle events: written before any plugin is told, read by cursors."""

from roomful.eventlog.codec import EVENT_NAMES, event_from_json, event_to_json
from roomful.eventlog.log import Cursor, EventLog
from roomful.eventlog.record import EventRecord

__all__ = [
    "EVENT_NAMES",
    "Cursor",
    "EventLog",
    "EventRecord",
    "event_from_json",
    "event_to_json",
]
