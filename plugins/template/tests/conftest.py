"""Fixtures: records as the server makes them."""

from collections.abc import Callable

import pytest

from roomful.model.enums import ParticipantKind, ParticipantState
from roomful.model.events import ParticipantJoined, RoomInfo, RoomOptions
from roomful.model.participant import ParticipantInfo
from roomful.model.permission import Permission

Joined = Callable[[str], ParticipantJoined]


@pytest.fixture
def room() -> RoomInfo:
    """A room that has just begun."""
    return RoomInfo(sid="RM_1", name="lobby", options=RoomOptions(), metadata="", created_at_ms=0)


@pytest.fixture
def joined(room: RoomInfo) -> Joined:
    """Return the event of somebody joining the room, by SID."""

    def make(sid: str) -> ParticipantJoined:
        participant = ParticipantInfo(
            sid=sid,
            identity=f"identity of {sid}",
            name="",
            kind=ParticipantKind.STANDARD,
            state=ParticipantState.ACTIVE,
            metadata="",
            attributes={},
            permission=Permission(),
            joined_at_ms=0,
            version=1,
        )
        return ParticipantJoined(room, participant)

    return make
