"""Who and what is live, as the log knows it: so that a killed server can say how it ended.

    room_started ─► live room ─(room_finished)─► gone
    track_published or participant_joined ─► live participant ─(left, aborted)─► gone

Pure: takes events, returns changes; the log writes them in the same transaction as the events.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from roomful.model.enums import DisconnectReason, ParticipantState
from roomful.model.events import (
    LifeCycleEvent,
    ParticipantConnectionAborted,
    ParticipantJoined,
    ParticipantLeft,
    RoomFinished,
    RoomInfo,
    RoomStarted,
    TrackPublished,
    TrackUnpublished,
)
from roomful.model.participant import ParticipantInfo

_REASON = DisconnectReason.SERVER_SHUTDOWN


@dataclass(frozen=True, slots=True)
class LiveRoom:
    """A room that started and has not finished."""

    sid: str
    info: RoomInfo


@dataclass(frozen=True, slots=True)
class LiveParticipant:
    """A participant that joined (or published on its way in) and has not left."""

    sid: str
    room_sid: str
    info: ParticipantInfo
    joined: bool
    """whether `participant_joined` was written for it"""


@dataclass(slots=True)
class Live:
    """The live rooms and participants, by SID; `dirty` are the SIDs that changed since `clean`."""

    rooms: dict[str, LiveRoom] = field(default_factory=dict[str, LiveRoom])
    participants: dict[str, LiveParticipant] = field(default_factory=dict[str, LiveParticipant])
    dirty_rooms: set[str] = field(default_factory=set[str])
    dirty_participants: set[str] = field(default_factory=set[str])

    def note(self, event: LifeCycleEvent) -> None:
        """Take in one event."""
        match event:
            case RoomStarted(room):
                self._keep_room(room)
            case RoomFinished(room):
                self._end_room(room.sid)
            case ParticipantJoined(room, participant):
                self._keep(room, participant, joined=True)
            case TrackPublished(room, participant) | TrackUnpublished(room, participant):
                self._keep(room, participant, joined=self._has_joined(participant.sid))
            case ParticipantLeft(room, participant) | ParticipantConnectionAborted(
                room, participant
            ):
                self._keep_room(room)
                self._end(participant.sid)
            case _:
                pass

    def clean(self) -> None:
        """Note that all changes are written."""
        self.dirty_rooms.clear()
        self.dirty_participants.clear()

    def endings(self) -> Iterator[LifeCycleEvent]:
        """Yield the events that a kill kept from being written, room by room, as a room would."""
        for room in list(self.rooms.values()):
            present = [p for p in self.participants.values() if p.room_sid == room.sid]
            info = room.info
            for number, participant in enumerate(present, 1):
                info = replace(info, num_participants=len(present) - number)
                yield from _participant_endings(info, participant)
            yield RoomFinished(replace(info, num_participants=0, num_publishers=0), _REASON)

    def _keep_room(self, info: RoomInfo) -> None:
        self.rooms[info.sid] = LiveRoom(info.sid, info)
        self.dirty_rooms.add(info.sid)

    def _end_room(self, sid: str) -> None:
        self.rooms.pop(sid, None)
        self.dirty_rooms.add(sid)
        for participant in [p for p in self.participants.values() if p.room_sid == sid]:
            self._end(participant.sid)

    def _has_joined(self, sid: str) -> bool:
        known = self.participants.get(sid)
        return known is not None and known.joined

    def _keep(self, room: RoomInfo, info: ParticipantInfo, *, joined: bool) -> None:
        self._keep_room(room)
        self.participants[info.sid] = LiveParticipant(info.sid, room.sid, info, joined)
        self.dirty_participants.add(info.sid)

    def _end(self, sid: str) -> None:
        self.participants.pop(sid, None)
        self.dirty_participants.add(sid)


def _participant_endings(room: RoomInfo, live: LiveParticipant) -> Iterator[LifeCycleEvent]:
    info = live.info
    for track in info.tracks:
        info = replace(info, tracks=tuple(t for t in info.tracks if t.sid != track.sid))
        yield TrackUnpublished(room, info, track)
    gone = replace(
        info,
        state=ParticipantState.DISCONNECTED,
        disconnect_reason=_REASON,
        version=info.version + 1,
    )
    yield ParticipantLeft(room, gone) if live.joined else ParticipantConnectionAborted(room, gone)
