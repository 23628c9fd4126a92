"""The road from `server.join` to a WHIP connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from roomful.errors import LocalProtocolError
from roomful.model.enums import ParticipantKind
from roomful.model.participant import Participant
from roomful.room.factories import JoinRequest
from roomful.room.session import RoomSession
from roomful_ingress_whip.connection import WhipConnection
from roomful_ingress_whip.offer import Offer
from roomful_rtc.offer_answer import Capabilities
from roomful_rtc.plane import Plane

if TYPE_CHECKING:
    from roomful.server import RoomServer
    from roomful_ingress.session import Session

TRANSPORT = "whip"


@dataclass(slots=True)
class Knock:
    """`JoinRequest.context` of this transport."""

    ingress: Session
    offer: Offer
    capabilities: Capabilities
    answer: str = ""
    """filled in while joining"""


class WhipFactory:
    """Makes the connections of WHIP publishers."""

    transport = TRANSPORT
    kinds = frozenset({ParticipantKind.INGRESS})

    def __init__(self, server: RoomServer) -> None:
        self._server = server

    async def create(
        self, session: RoomSession, participant: Participant, request: JoinRequest
    ) -> WhipConnection:
        """Make the peer and the answer; the participant is active once it is connected.

        Raises:
            RemoteProtocolError: an offer that cannot be answered.
        """
        knock, plane = request.context, self._server.media
        if not isinstance(knock, Knock):
            raise LocalProtocolError("transport 'whip' is joined through its HTTP routes")
        if not isinstance(plane, Plane):
            raise LocalProtocolError("the WHIP transport needs the media plane")
        connection = WhipConnection(
            plane, self._server.clock, session, participant, knock.ingress, knock.offer
        )
        try:
            knock.answer = connection.begin(knock.capabilities)
        except BaseException:
            await connection.peer.close("refused")
            raise
        return connection
