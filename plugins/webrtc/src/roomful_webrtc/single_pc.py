"""One peer connection (v1): the client offers, tracks to it take its free receiving sections.

A section that lost its track is answered inactive once before another track gets it: clients
announce a track only when its section begins to send.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping

from livekit.protocol import rtc

from roomful_rtc.offer_answer import Decision, Inactive, Negotiation, Placeholder
from roomful_rtc.peer import WirePeer
from roomful_rtc.sdp import MediaSection
from roomful_webrtc.description import Description
from roomful_webrtc.publisher_pc import Answerer
from roomful_webrtc.publishing import Publisher
from roomful_webrtc.subscribing import Leg, Subscriber

GATHER_S = 0.02
"""changes that come this close together share one negotiation"""


class SinglePc:
    """Negotiates everything on the client's one peer connection."""

    def __init__(
        self,
        peer: WirePeer,
        publisher: Publisher,
        subscriber: Subscriber,
        send: Callable[..., None],
        session_id: int,
    ) -> None:
        self.publisher_peer = self.subscriber_peer = peer
        self._subscriber = subscriber
        self._send = send
        self._answerer = Answerer(peer, publisher, send, session_id, self)
        # until the first answer nothing may be asked for
        self._outstanding = True
        self._cleared: set[str] = set()
        self._unconfirmed: set[str] = set()
        """cleared in the newest answer, of which the client has not shown yet that it came"""
        self._free: Counter[str] = Counter()
        self._gather: asyncio.TimerHandle | None = None

    def begin(self, offer: Description | None) -> None:
        """Answer the offer that came with the join, if one did."""
        if offer is not None:
            self.on_offer(offer)

    def on_offer(self, description: Description) -> None:
        """The client offers."""
        self._free.clear()
        self._unconfirmed.clear()
        self._answerer.on_offer(description)

    def on_answer(self, description: Description) -> None:
        """Nothing was offered: the message means nothing here."""

    def resume(self) -> None:
        """A new socket: the client restarts ICE by an offer of its own."""
        # the newest answer may have gone down with the old socket
        self._cleared |= self._unconfirmed
        self._outstanding = False
        self.negotiate()

    def place(self, leg: Leg) -> None:
        """A track shall get a section."""
        self.negotiate()

    def clear(self, leg: Leg) -> None:
        """A track gave its section up."""
        if leg.mid:
            self._cleared.add(leg.mid)
            self.negotiate()

    def negotiate(self) -> None:
        """Ask the client for an offer, soon, unless one is on its way."""
        if self._gather is None and not self._outstanding:
            self._gather = asyncio.get_running_loop().call_later(GATHER_S, self._ask)

    def close(self) -> None:
        """Stop asking."""
        if self._gather:
            self._gather.cancel()

    # --- what the answerer asks -----------------------------------------------------------------

    def decide(self, section: MediaSection) -> Decision | None:
        """Give a receiving section a track, keep the one it has, or keep it ready."""
        if section.direction != "recvonly":
            return None
        if section.mid in self._cleared:
            self._cleared.discard(section.mid)
            self._unconfirmed.add(section.mid)
            self._free[section.kind] += 1
            return Inactive()
        leg = self._subscriber.at(section.mid)
        if leg is None:
            leg = next((x for x in self._subscriber.unplaced() if x.fits(section)), None)
        if leg is None:
            # one in which the client published before offers that track's codec alone
            if len(section.codecs) > 2 or section.kind == "audio":
                self._free[section.kind] += 1
            return Placeholder()
        leg.mid = section.mid
        return leg.described

    def answered(self, negotiation: Negotiation) -> None:
        """The answer is on its way: media may flow, and what is missing may be asked for."""
        self._subscriber.connect(negotiation)
        self._outstanding = False
        if self._cleared or any(True for _ in self._subscriber.unplaced()):
            self.negotiate()

    def mid_to_track(self) -> Mapping[str, str]:
        return self._subscriber.mid_to_track

    def _ask(self) -> None:
        self._gather = None
        wanted = Counter(leg.kind for leg in self._subscriber.unplaced())
        if self._outstanding or not (wanted or self._cleared):
            return
        self._outstanding = True
        self._send(
            media_sections_requirement=rtc.MediaSectionsRequirement(
                num_audios=max(0, wanted["audio"] - self._free["audio"]),
                num_videos=max(0, wanted["video"] - self._free["video"]),
            )
        )
