"""The road from `server.join` to the connection of an RTMP publisher."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomful.errors import LocalProtocolError
from roomful.model.enums import ParticipantKind
from roomful.model.participant import Participant
from roomful.room.factories import JoinRequest
from roomful.room.local_connection import LocalConnection
from roomful.room.session import RoomSession
from roomful_ingress_rtmp.publisher import RtmpPublisher

if TYPE_CHECKING:
    from roomful.server import RoomServer

TRANSPORT = "rtmp"
MAX_TRACKS = 4


class RtmpFactory:
    """Makes the connections of RTMP publishers."""

    transport = TRANSPORT
    kinds = frozenset({ParticipantKind.INGRESS})

    def __init__(self, server: RoomServer) -> None:
        self._server = server

    async def create(
        self, session: RoomSession, participant: Participant, request: JoinRequest
    ) -> LocalConnection:
        """Let the publisher take part; its tracks follow."""
        publisher, plane = request.context, self._server.media
        if not isinstance(publisher, RtmpPublisher) or plane is None:
            raise LocalProtocolError("transport 'rtmp' is joined by its listener, with media")
        connection = LocalConnection(plane, session, participant, publisher, max_tracks=MAX_TRACKS)
        publisher.enter(connection)
        connection.begin()
        return connection
