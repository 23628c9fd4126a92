"""The road from `server.join` to a connection."""

from __future__ import annotations

from dataclasses import dataclass

from roomful.model.enums import ParticipantKind
from roomful.model.participant import Participant
from roomful.room.factories import JoinRequest
from roomful.room.session import RoomSession
from roomful_webrtc.broadcasts import Broadcasts
from roomful_webrtc.client_join import ClientJoin
from roomful_webrtc.connection import WebRtcConnection
from roomful_webrtc.services import Services
from roomful_webrtc.socket import SignalSocket

TRANSPORT = "webrtc"


@dataclass(frozen=True, slots=True)
class Knock:
    """`JoinRequest.context` of this transport."""

    socket: SignalSocket
    join: ClientJoin


class WebRtcFactory:
    """Makes connections for clients of any kind that join with a token."""

    transport = TRANSPORT
    kinds = frozenset(ParticipantKind)

    def __init__(self, services: Services) -> None:
        self._services = services
        self._broadcasts = Broadcasts(services.codecs)

    async def create(
        self, session: RoomSession, participant: Participant, request: JoinRequest
    ) -> WebRtcConnection:
        knock = request.context
        if not isinstance(knock, Knock):
            raise TypeError("the webrtc transport is joined through its signalling socket")
        connection = WebRtcConnection(
            self._services, self._broadcasts, session, participant, request.grants,
            knock.join, knock.socket,
        )
        await connection.begin()
        return connection
