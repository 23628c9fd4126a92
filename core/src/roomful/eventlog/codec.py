"""Life-cycle events as JSON and back.

    {"v": 1, "type": "participant_joined", "event": {…fields of the dataclass…}}

A change that old readers would misread raises the version, and `_UPGRADES` learns to read the one
before. New fields with a default need no new version.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from roomful.errors import InvalidArgument
from roomful.model.events import (
    LifeCycleEvent,
    ParticipantConnectionAborted,
    ParticipantJoined,
    ParticipantLeft,
    PluginEvent,
    RoomFinished,
    RoomStarted,
    TrackPublished,
    TrackUnpublished,
)

VERSION = 1

_TYPES: dict[str, type[Any]] = {
    "room_started": RoomStarted,
    "room_finished": RoomFinished,
    "participant_joined": ParticipantJoined,
    "participant_left": ParticipantLeft,
    "participant_connection_aborted": ParticipantConnectionAborted,
    "track_published": TrackPublished,
    "track_unpublished": TrackUnpublished,
    "plugin": PluginEvent,
}
EVENT_NAMES: Mapping[type[Any], str] = {kind: name for name, kind in _TYPES.items()}
"""Event class → name, as webhooks write it; a `PluginEvent` carries its own."""

_ADAPTERS = {name: TypeAdapter[Any](kind) for name, kind in _TYPES.items()}

_UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""version → function that turns an envelope of that version into one of the next"""


def event_to_json(event: LifeCycleEvent) -> str:
    """Return the event as a line of JSON; `InvalidArgument` for what JSON cannot say.

    Only a `PluginEvent` can carry such a thing.
    """
    name = EVENT_NAMES[type(event)]
    try:
        fields = _ADAPTERS[name].dump_python(event, mode="json")
        line = json.dumps(
            {"v": VERSION, "type": name, "event": fields}, ensure_ascii=False, separators=(",", ":")
        )
        line.encode()
    except (ValueError, TypeError) as error:
        raise InvalidArgument(f"event {event_name(event)!r} cannot be written as JSON") from error
    return line


def event_from_json(text: str) -> LifeCycleEvent:
    """Return the event of a line; raise `InvalidArgument` for what is none that we know."""
    try:
        envelope = json.loads(text)
        while envelope["v"] in _UPGRADES:
            envelope = _UPGRADES[envelope["v"]](envelope)
        if envelope["v"] != VERSION:
            raise InvalidArgument(f"event of version {envelope['v']!r}, ours is {VERSION}")
        adapter = _ADAPTERS[envelope["type"]]
        return adapter.validate_json(json.dumps(envelope["event"]))
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise InvalidArgument("a line of the log is no event") from error


def event_name(event: LifeCycleEvent) -> str:
    """Return the name that webhooks and filters use."""
    return event.name if isinstance(event, PluginEvent) else EVENT_NAMES[type(event)]
