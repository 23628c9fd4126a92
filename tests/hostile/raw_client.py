"""A client on the wire, signalling included, that does exactly what it is told."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from aiortc import RTCDataChannel, RTCSctpTransport
from livekit.protocol import models, rtc

from roomful_testing.peer import channels
from roomful_testing.peer.description import Section, offer
from roomful_testing.peer.dtls import Certificate
from roomful_testing.peer.signalling import SignalSocket
from roomful_testing.peer.transport import Transport

from ..interop.server import RoomServer
from .descriptions import CHANNELS, remote_of

TRACK_OF = {"audio": models.AUDIO, "video": models.VIDEO}


@cache
def identity() -> Certificate:
    """The certificate all raw clients of this process share."""
    return Certificate()


class RawPeer(Transport):
    """The transport of a client, with an association once it is asked for."""

    def __init__(self, source: str = "127.0.0.1") -> None:
        super().__init__(identity(), source=source)
        self.association: RTCSctpTransport | None = None

    async def channel(self, label: str = "_reliable", **parameters: Any) -> RTCDataChannel:
        """An open data channel; makes the association if there is none."""
        self.association = self.association or await channels.associate(self)
        return await channels.opened(self.association, label, **parameters)

    def close(self) -> None:
        """Vanish without a word."""
        if self.association is not None:
            channels.silence(self.association)
        super().close()


class RawClient(SignalSocket):
    """One participant. `source` is the loopback address it comes from."""

    def __init__(self, server: RoomServer, source: str = "127.0.0.1") -> None:
        super().__init__(server.url, source=source)
        self.server, self.source = server, source
        self.peer = RawPeer(source)
        self.answer = ""

    async def join(
        self,
        room: str,
        identity: str,
        *sections: Section,
        grants: dict[str, Any] | None = None,
        transport: bool = True,
        **request: Any,
    ) -> RawClient:
        """Join with an offer of `sections`; with `transport` until SRTP keys are there."""
        sections = sections or (CHANNELS,)
        token = self.server.token(identity, room, **(grants or {}))
        await self.open(token, self.request(sections, **request))
        self.answer = (await self.next("answer")).answer.sdp
        if transport:
            await self.peer.connect(remote_of(self.answer))
        return self

    async def subscribe(self, *sections: Section) -> str:
        """Offer again once the server asks for sections, as clients do; return the answer."""
        await self.next(
            "media_sections_requirement", len(self.of("media_sections_requirement")) or 1
        )
        return await self.negotiate(*sections)

    async def negotiate(self, *sections: Section) -> str:
        """Offer again; return the answer."""
        answers = len(self.of("answer"))
        await self.send(offer={"type": "offer", "sdp": offer(self.peer.credentials, sections)})
        self.answer = (await self.next("answer", answers + 1)).answer.sdp
        return self.answer

    def request(self, sections: Sequence[Section], **fields: Any) -> rtc.JoinRequest:
        """What a client sends when it knocks; tracks of sending sections are announced."""
        announced = [
            rtc.AddTrackRequest(cid=section.cid, type=TRACK_OF[section.kind], name=section.cid)
            for section in sections
            if section.cid
        ]
        values: dict[str, Any] = {
            "client_info": {"protocol": 16, "version": "1.2.0"},
            "connection_settings": {"auto_subscribe": True},
            "add_track_requests": announced,
            "publisher_offer": {"type": "offer", "sdp": offer(self.peer.credentials, sections)},
        }
        return rtc.JoinRequest(**{**values, **fields})

    @property
    def participant(self) -> models.ParticipantInfo:
        """Who the server says we are."""
        return next(m.join.participant for m in self.messages if m.HasField("join"))

    async def close(self, *, politely: bool = True) -> None:
        """Leave and free everything; impolitely: vanish, whatever waits to be sent."""
        await super().close(politely=politely)
        self.peer.close()

    async def __aenter__(self) -> RawClient:
        return self
