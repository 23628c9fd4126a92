"""Messages that go to many: encoded once, sent to all."""

from __future__ import annotations

from collections.abc import Iterable

from livekit.protocol import models, rtc

from roomful.api.wire import participant_to_wire, room_to_wire
from roomful.model.events import (
    Notice,
    ParticipantChanged,
    QualityChanged,
    RoomChanged,
    RoomInfo,
    SpeakersChanged,
)
from roomful.model.participant import ParticipantInfo


class Broadcasts:
    """Encodes notices. The room tells one notice to all in a row, so remembering the last is enough."""

    def __init__(self, codecs: tuple[str, ...]) -> None:
        self._codecs = codecs
        self._last: Notice | None = None
        self._encoded: bytes | None = None

    def encode(self, notice: Notice) -> bytes | None:
        """Return the encoded `SignalResponse`, None for a notice that clients are not told."""
        if notice is not self._last:
            message = self._message(notice)
            self._encoded = message.SerializeToString() if message else None
            self._last = notice
        return self._encoded

    @staticmethod
    def update_of(participants: Iterable[ParticipantInfo]) -> rtc.ParticipantUpdate:
        """Participants as they are now, whole."""
        return rtc.ParticipantUpdate(participants=[participant_to_wire(p) for p in participants])

    def room_of(self, info: RoomInfo) -> rtc.RoomUpdate:
        """The room as it is now."""
        return rtc.RoomUpdate(room=room_to_wire(info, self._codecs))

    def _message(self, notice: Notice) -> rtc.SignalResponse | None:
        match notice:
            case ParticipantChanged(participant=participant):
                return rtc.SignalResponse(update=self.update_of([participant]))
            case RoomChanged(room=room):
                return rtc.SignalResponse(room_update=self.room_of(room))
            case SpeakersChanged(speakers=speakers):
                told = [
                    models.SpeakerInfo(sid=s.participant_sid, level=s.level, active=s.active)
                    for s in speakers
                ]
                return rtc.SignalResponse(speakers_changed=rtc.SpeakersChanged(speakers=told))
            case QualityChanged(qualities=qualities):
                infos = [
                    rtc.ConnectionQualityInfo(
                        participant_sid=sid, quality=int(quality), score=score  # type: ignore[arg-type]
                    )
                    for sid, (quality, score) in qualities.items()
                ]
                return rtc.SignalResponse(
                    connection_quality=rtc.ConnectionQualityUpdate(updates=infos)
                )
            case _:
                return None


def subject_of(notice: Notice) -> str:
    """Of what a notice tells the whole present state; empty where it tells a change."""
    match notice:
        case ParticipantChanged(participant=participant):
            return participant.sid
        case RoomChanged():
            return "room"
        case _:
            return ""
