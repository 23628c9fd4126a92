"""Answering a client's offers: all of the one peer connection (v1), the publisher's of two (v0)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from livekit.protocol import rtc

from roomful_rtc.offer_answer import Decision, Negotiation, answer, remote_transport
from roomful_rtc.peer import WirePeer
from roomful_rtc.sdp import MediaSection, SessionDescription, check_succession
from roomful_webrtc.described import Described
from roomful_webrtc.description import Description
from roomful_webrtc.publishing import Publisher


class Receiving(Protocol):
    """What decides about the sections on which the client receives."""

    def decide(self, section: MediaSection) -> Decision | None: ...

    def answered(self, negotiation: Negotiation) -> None: ...

    def mid_to_track(self) -> Mapping[str, str]: ...


class Answerer:
    """Answers offers on one peer, in the order they come."""

    def __init__(
        self,
        peer: WirePeer,
        publisher: Publisher,
        send: Callable[..., None],
        session_id: int,
        receiving: Receiving | None = None,
    ) -> None:
        """`send` queues a `SignalResponse` field; `receiving` is None where nothing is received."""
        self.peer = peer
        self._publisher = publisher
        self._send = send
        self._receiving = receiving
        self._described = Described(peer, session_id)
        self._previous: SessionDescription | None = None

    def on_offer(self, description: Description) -> None:
        """Answer. Raises `RemoteProtocolError` for an offer that cannot follow the one before."""
        offer = description.session
        if self._previous is not None:
            check_succession(self._previous, offer)
        self._previous = offer
        self._described.take(remote_transport(offer))
        self._publisher.end_missing(offer, self.peer)
        result = answer(
            offer, self._described.local(), self._decide, origin=self._described.origin()
        )
        self._send(
            answer=rtc.SessionDescription(
                type="answer",
                sdp=result.sdp,
                id=description.id,
                mid_to_track_id=self._receiving.mid_to_track() if self._receiving else {},
            )
        )
        # candidates of a section that is not in use are ignored
        live = next((s for s in offer.sections if not s.rejected), offer.sections[0])
        for candidate in self._described.trickle(rtc.PUBLISHER, live.mid):
            self._send(trickle=candidate)
        self._publisher.bind(result.negotiation, self.peer)
        if self._receiving:
            self._receiving.answered(result.negotiation)

    def _decide(self, section: MediaSection) -> Decision | None:
        if section.sends and section.track_id:
            return self._publisher.decide(section, self.peer)
        return self._receiving.decide(section) if self._receiving else None
