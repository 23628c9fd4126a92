"""Who is in which room, counted from events. No I/O, no clock: events in, answers out."""

from roomful.model.events import LifeCycleEvent, ParticipantJoined, ParticipantLeft, RoomFinished


class Tally:
    """Counts participants by room SID."""

    def __init__(self) -> None:
        self._rooms: dict[str, set[str]] = {}

    def note(self, event: LifeCycleEvent) -> int:
        """Take in one event; return how many are in its room now."""
        match event:
            case ParticipantJoined(room=room, participant=participant):
                present = self._rooms.setdefault(room.sid, set())
                present.add(participant.sid)
                return len(present)
            case ParticipantLeft(room=room, participant=participant):
                present = self._rooms.get(room.sid, set())
                present.discard(participant.sid)
                return len(present)
            case RoomFinished(room=room):
                self._rooms.pop(room.sid, None)
                return 0
            case _:
                return 0
