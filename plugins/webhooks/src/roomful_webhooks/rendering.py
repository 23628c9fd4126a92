"""An event of the log as a WebhookEvent in proto3 JSON (`livekit-wire.md` 11)."""

from __future__ import annotations

import json

from google.protobuf import json_format
from livekit.protocol import webhook

from roomful.api.wire import participant_to_wire, room_to_wire, track_to_wire
from roomful.eventlog import EventRecord
from roomful.model.events import (
    ParticipantConnectionAborted,
    ParticipantJoined,
    ParticipantLeft,
    PluginEvent,
    TrackPublished,
    TrackUnpublished,
)


def render(record: EventRecord) -> bytes:
    """Return the body: lowerCamel names, unset fields left out, the same for every attempt."""
    event = record.event
    message = webhook.WebhookEvent(
        event=record.name, id=record.id, created_at=record.created_at_ms // 1000
    )
    if event.room is not None:
        message.room.CopyFrom(room_to_wire(event.room))
    match event:
        case ParticipantJoined() | ParticipantLeft() | ParticipantConnectionAborted():
            message.participant.CopyFrom(participant_to_wire(event.participant))
        case TrackPublished() | TrackUnpublished():
            message.participant.CopyFrom(participant_to_wire(event.participant))
            message.track.CopyFrom(track_to_wire(event.track))
        case _:
            pass
    fields = json_format.MessageToDict(message)
    if isinstance(event, PluginEvent):
        fields |= event.webhook
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()
