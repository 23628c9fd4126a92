"""An event of the log as a WebhookEvent in proto3 JSON (`livekit-wire.md` 11)."""

from __future__ import annotations

import json

from google.protobuf import json_format
from livekit.protocol import models, webhook

from roomful.api.wire import participant_to_wire, room_to_wire, track_to_wire
from roomful.eventlog import EventRecord
from roomful.model.events import (
    ParticipantConnectionAborted,
    ParticipantJoined,
    ParticipantLeft,
    PluginEvent,
    RoomFinished,
    RoomStarted,
    TrackPublished,
    TrackUnpublished,
)


def render(record: EventRecord) -> bytes:
    """Return the body: lowerCamel names, unset fields left out, the same for every attempt."""
    message = webhook.WebhookEvent(
        event=record.name, id=record.id, created_at=record.created_at_ms // 1000
    )
    match record.event:
        case RoomStarted(room) | RoomFinished(room):
            message.room.CopyFrom(room_to_wire(room))
        case (
            ParticipantJoined(room, participant)
            | ParticipantLeft(room, participant)
            | ParticipantConnectionAborted(room, participant)
        ):
            message.room.CopyFrom(room_to_wire(room))
            message.participant.CopyFrom(participant_to_wire(participant))
        case TrackPublished(room, participant, track) | TrackUnpublished(room, participant, track):
            # as the reference has it: who and where, not everything about them
            message.room.CopyFrom(models.Room(sid=room.sid, name=room.name))
            message.participant.CopyFrom(
                models.ParticipantInfo(sid=participant.sid, identity=participant.identity)
            )
            message.track.CopyFrom(track_to_wire(track))
        case PluginEvent():
            pass
    fields = json_format.MessageToDict(message)
    if isinstance(record.event, PluginEvent):
        fields = {**record.event.webhook, **fields}
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()
