"""Two peer connections (v0): the client offers on one to publish, we offer on the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from livekit.protocol import rtc

from roomful_rtc.offer_answer import Rename, SubscriberOffer, remote_transport
from roomful_rtc.peer import WirePeer
from roomful_rtc.transport import ChannelSpec
from roomful_webrtc.described import Described
from roomful_webrtc.description import Description
from roomful_webrtc.publisher_pc import Answerer
from roomful_webrtc.publishing import Publisher
from roomful_webrtc.single_pc import GATHER_S
from roomful_webrtc.subscribing import Leg, Subscriber

ANSWER_DEADLINE_S = 15.0
CHANNELS = (
    ChannelSpec("_reliable"),
    ChannelSpec("_lossy", ordered=False, max_retransmits=0),
)
"""what we open on the subscriber's peer connection: data to the client goes there"""


class DualPc:
    """Negotiates a publisher's and a subscriber's peer connection."""

    def __init__(
        self,
        publisher_peer: WirePeer,
        subscriber_peer: WirePeer,
        publisher: Publisher,
        subscriber: Subscriber,
        send: Callable[..., None],
        session_id: int,
        on_silent: Callable[[], None],
        rename: Rename | None = None,
    ) -> None:
        """`on_silent`: an offer of ours was not answered in time; `rename` as `SubscriberOffer`."""
        self.publisher_peer, self.subscriber_peer = publisher_peer, subscriber_peer
        self._subscriber = subscriber
        self._send = send
        self._on_silent = on_silent
        self._answerer = Answerer(publisher_peer, publisher, send, session_id)
        self._described = Described(subscriber_peer, session_id + 1)
        self._sections = SubscriberOffer(rename=rename)
        self._offer_id = 0
        self._ufrag = self._retired = ""
        """the client's own, and the one it had before its ICE restarts"""
        self._gather: asyncio.TimerHandle | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def begin(self, offer: Description | None) -> None:
        """Open the subscriber's transport; an early offer of the publisher is answered too."""
        if offer is not None:
            self.on_offer(offer)
        self._offer()

    def on_offer(self, description: Description) -> None:
        """The client offers on its publisher's peer connection."""
        self._answerer.on_offer(description)

    def on_answer(self, description: Description) -> None:
        """The client answers our offer. Raises `RemoteProtocolError`."""
        if not self._sections.pending or description.id not in (0, self._offer_id):
            return  # of an offer that a newer one replaced
        ufrag = remote_transport(description.session).ufrag
        if description.id == 0 and ufrag == self._retired:
            return  # as well: the newer one restarts ICE, its answer brings another ufrag
        negotiation = self._sections.accept(description.session)
        self._described.take(negotiation.remote)
        self._ufrag = ufrag
        self._stop(self._deadline)
        self._subscriber.connect(negotiation)
        if self._sections.dirty:
            self.negotiate()

    def resume(self) -> None:
        """A new socket: restart ICE on the subscriber's transport."""
        self._retired = self._ufrag
        self.subscriber_peer.transport.restart_ice()
        self._offer()

    def place(self, leg: Leg) -> None:
        """A track gets a section in the next offer."""
        leg.mid = self._sections.assign(leg.kind, leg.described)
        self.negotiate()

    def clear(self, leg: Leg) -> None:
        """A track gives its section up in the next offer."""
        if leg.mid:
            self._sections.release(leg.mid)
            self.negotiate()

    def negotiate(self) -> None:
        """Offer what changed, soon, unless an offer is in flight."""
        if self._gather is None and not self._sections.pending:
            self._gather = asyncio.get_running_loop().call_later(GATHER_S, self._offer_changes)

    def close(self) -> None:
        """Stop offering."""
        self._stop(self._gather)
        self._stop(self._deadline)

    def _offer_changes(self) -> None:
        self._gather = None
        if self._sections.dirty and not self._sections.pending:
            self._offer()

    def _offer(self) -> None:
        offer = self._sections.offer(self._described.local(), origin=self._described.origin())
        self._offer_id += 1
        self._send(
            offer=rtc.SessionDescription(
                type="offer",
                sdp=offer.sdp,
                id=self._offer_id,
                mid_to_track_id={mid: carried.track_id for mid, carried in offer.carried.items()},
            )
        )
        for candidate in self._described.trickle(rtc.SUBSCRIBER, "0"):
            self._send(trickle=candidate)
        self._stop(self._deadline)
        self._deadline = asyncio.get_running_loop().call_later(ANSWER_DEADLINE_S, self._on_silent)

    @staticmethod
    def _stop(timer: asyncio.TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()
