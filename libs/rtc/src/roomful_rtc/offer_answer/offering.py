"""Our offers on a subscriber's own peer connection (v0, dual; RFC 9429 section 5.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from roomful.errors import LocalProtocolError, RemoteProtocolError, ResourceExhausted
from roomful_rtc.offer_answer.answering import announced_data
from roomful_rtc.offer_answer.capabilities import (
    CAPABILITIES,
    Capabilities,
    own_extensions,
    own_formats,
)
from roomful_rtc.offer_answer.codecs import choose, choose_extensions
from roomful_rtc.offer_answer.decisions import Inactive, Subscribe
from roomful_rtc.offer_answer.negotiated import (
    DataSection,
    NegotiatedSection,
    Negotiation,
    conclude,
)
from roomful_rtc.offer_answer.rendering import (
    data_section,
    describe,
    rejected_section,
    rtp_section,
    with_track,
)
from roomful_rtc.offer_answer.slots import Rename, Slot, free_slot
from roomful_rtc.offer_answer.transport import (
    LocalTransport,
    Origin,
    offering_role,
    remote_transport,
)
from roomful_rtc.sdp import MediaSection, SessionDescription

DATA_MID = "0"
_FIRST_ORIGIN = Origin()


@dataclass(frozen=True, slots=True)
class Offer:
    """One offer that is out; its answer is read against it."""

    description: SessionDescription
    carried: Mapping[str, Subscribe]
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
        rename: Rename | None = None,
        capabilities: Capabilities = CAPABILITIES,
        max_sections: int = 512,
    ) -> None:
        """Make an empty list.

        `reuse`: free sections may carry another track (protocol ≥ 4). `rename` is for clients that
        tell of a stream id once per section: it names a track anew that returns to one.
        """
        self._reuse = reuse
        self._rename = rename
        self._capabilities = capabilities
        self._max_sections = max_sections
        self._slots: dict[str, Slot] = {}
        self._dirty = True
        self._pending: Offer | None = None

    @property
    def dirty(self) -> bool:
        """Whether something changed since the last `offer` (true before the first one)."""
        return self._dirty

    @property
    def pending(self) -> bool:
        """Whether an offer waits for its answer."""
        return self._pending is not None

    def assign(self, kind: str, subscribe: Subscribe) -> str:
        """Give a track a section of its kind (audio or video); returns the mid.

        Raises:
            ResourceExhausted: the list is full.
        """
        slot = None
        if self._reuse:
            slot = free_slot(self._slots.values(), kind, subscribe, self._rename)
        if slot is None:
            if len(self._slots) + 1 >= self._max_sections:
                raise ResourceExhausted("too many tracks for one connection")
            slot = Slot(kind, str(len(self._slots) + 1))
            self._slots[slot.mid] = slot
        slot.take(subscribe, self._rename)
        self._dirty = True
        return slot.mid

    def release(self, mid: str) -> None:
        """Take the track out; the section turns inactive with the next offer.

        It is free for another track once that offer is answered. Unknown mid: LookupError.
        """
        slot = self._slots[mid]
        if slot.track is not None:
            slot.track = None
            self._dirty = True

    def offer(self, transport: LocalTransport, *, origin: Origin = _FIRST_ORIGIN) -> Offer:
        """Render the list with `a=setup:actpass` and mark it pending.

        May be called again while pending (lost answer, ICE restart): the newest offer counts.
        """
        description = describe(self._sections(), transport, "actpass", origin, allow_mixed=True)
        carried = {
            slot.mid: slot.track
            for slot in self._slots.values()
            if slot.track is not None and not slot.dead
        }
        for slot in self._slots.values():
            slot.note_offered()
        self._pending = Offer(description, carried)
        self._dirty = False
        return self._pending

    def accept(self, answer: SessionDescription) -> Negotiation:
        """Read the answer to the newest offer.

        A section that the client rejected is in the result as such and is not used again: release
        its track.

        Raises:
            RemoteProtocolError: not an answer to it. The offer stays pending.
            LocalProtocolError: no offer is pending.
        """
        offer = self._pending
        if offer is None:
            raise LocalProtocolError("no offer is out")
        _check_matches(offer.description, answer)
        remote = remote_transport(answer)
        role = offering_role(remote.setup)
        data: DataSection | None = None
        sections: list[NegotiatedSection] = []
        for index, section in enumerate(answer.sections):
            if section.kind != "application":
                sections.append(self._outcome(index, section, offer))
            elif not section.rejected:
                data = announced_data(index, section)
        result = conclude(tuple(sections), data, remote, role, self._capabilities.sent)
        self._settle(offer, result)
        return result

    def _sections(self) -> Iterator[MediaSection]:
        yield data_section(DATA_MID)
        for slot in self._slots.values():
            yield self._render(slot)

    def _render(self, slot: Slot) -> MediaSection:
        formats = own_formats(slot.kind, self._capabilities)
        track = slot.track
        if track is not None and track.stereo:
            formats = {
                pt: replace(f, fmtp=f"{f.fmtp};sprop-stereo=1") if f.codec == "opus" else f
                for pt, f in formats.items()
            }
        section = rtp_section(
            slot.kind,
            slot.mid,
            "inactive" if track is None else "sendonly",
            formats,
            own_extensions(slot.kind, self._capabilities),
        )
        if slot.dead:
            return rejected_section(section)
        return section if track is None else with_track(section, track)

    def _outcome(self, index: int, section: MediaSection, offer: Offer) -> NegotiatedSection:
        track = offer.carried.get(section.mid)
        result = NegotiatedSection(
            index, section.mid, section.kind, "inactive", track or Inactive()
        )
        if section.rejected:
            return replace(result, rejected=True, reason="rejected by the peer")
        offered = offer.description.sections[index]
        extensions = choose_extensions(section, self._capabilities)
        if any(section.extmap[i] != offered.extmap.get(i) for i in extensions.values()):
            raise RemoteProtocolError("answer uses header extensions that were not offered")
        formats = choose(section, self._capabilities)
        sending = track is not None and section.receives and bool(formats)
        return replace(
            result,
            direction="sendonly" if sending else "inactive",
            formats=formats,
            extensions=extensions,
        )

    def _settle(self, offer: Offer, result: Negotiation) -> None:
        self._pending = None
        for section in result.sections:
            slot = self._slots[section.mid]
            if section.rejected:
                slot.dead = True
            elif section.mid not in offer.carried:
                slot.free = slot.track is None


def _check_matches(offer: SessionDescription, answer: SessionDescription) -> None:
    """The answer has the offer's sections in the offer's order (RFC 3264 section 6)."""
    if [(s.kind, s.mid) for s in offer.sections] != [(s.kind, s.mid) for s in answer.sections]:
        raise RemoteProtocolError("answer does not match the offer's sections")
