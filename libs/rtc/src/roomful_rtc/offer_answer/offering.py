"""Our offers on a subscriber's own peer connection (v0, dual)."""

from __future__ import annotations

from dataclasses import dataclass

from roomful_rtc.offer_answer.capabilities import CAPABILITIES, Capabilities
from roomful_rtc.offer_answer.decisions import Subscribe
from roomful_rtc.offer_answer.negotiated import Negotiation
from roomful_rtc.offer_answer.transport import LocalTransport, Origin
from roomful_rtc.sdp import SessionDescription


@dataclass(frozen=True, slots=True)
class Offer:
    """One offer that is out; its answer is read against it."""

    description: SessionDescription
    carried: dict[str, Subscribe]
    """mid → what the section carries, for `mid_to_track_id`"""

    @property
    def sdp(self) -> str:
        """The text to send."""
        return str(self.description)


class SubscriberOffer:
    """The section list of one subscriber PC: grows, never shrinks or changes order.

    Section 0 (mid `0`) is the data channel. `assign` and `release` change the list, `offer`
    renders it, `accept` reads the answer. One offer is in flight at a time; changes made
    meanwhile go into the next (`dirty`).
    """

    def __init__(
        self,
        *,
        reuse: bool = True,
        capabilities: Capabilities = CAPABILITIES,
        max_sections: int = 512,
    ) -> None:
        """Make an empty list. `reuse`: free sections may carry another track (protocol ≥ 4)."""
        raise NotImplementedError

    @property
    def dirty(self) -> bool:
        """Whether something changed since the last `offer` (true before the first one)."""
        raise NotImplementedError

    @property
    def pending(self) -> bool:
        """Whether an offer waits for its answer."""
        raise NotImplementedError

    def assign(self, kind: str, subscribe: Subscribe) -> str:
        """Give a track a section of its kind; returns the mid.

        Raises:
            ResourceExhausted: the list is full.
        """
        raise NotImplementedError

    def release(self, mid: str) -> None:
        """Take the track out; the section turns inactive with the next offer.

        It is free for another track once that offer is answered. Unknown mid: LookupError.
        """
        raise NotImplementedError

    def offer(self, transport: LocalTransport, *, origin: Origin = Origin()) -> Offer:
        """Render the list with `a=setup:actpass` and mark it pending.

        May be called again while pending (lost answer, ICE restart): the newest offer counts.
        """
        raise NotImplementedError

    def accept(self, answer: SessionDescription, transport: LocalTransport) -> Negotiation:
        """Read the answer to the newest offer.

        Raises:
            RemoteProtocolError: not an answer to it. The offer stays pending.
            LocalProtocolError: no offer is pending.
        """
        raise NotImplementedError
