"""Answer an offer, section by section in its order (RFC 9429 section 5.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from roomful.errors import LocalProtocolError, RemoteProtocolError
from roomful_rtc.offer_answer.capabilities import CAPABILITIES, OPUS_FMTP, Capabilities
from roomful_rtc.offer_answer.codecs import Formats, choose, choose_extensions
from roomful_rtc.offer_answer.decisions import (
    Decide,
    Decision,
    Inactive,
    Placeholder,
    Publish,
    Reject,
    Subscribe,
    default_decision,
)
from roomful_rtc.offer_answer.negotiated import (
    AnnouncedSsrc,
    Answer,
    DataSection,
    NegotiatedSection,
    conclude,
)
from roomful_rtc.offer_answer.rendering import (
    DATA_FORMAT,
    SCTP_PORT,
    data_section,
    describe,
    rejected_section,
    rtp_section,
    with_track,
)
from roomful_rtc.offer_answer.transport import (
    LocalTransport,
    Origin,
    answering_role,
    remote_transport,
)
from roomful_rtc.sdp import Direction, MediaSection, Rid, SessionDescription

RTP_PROTOS = frozenset({"UDP/TLS/RTP/SAVPF", "TCP/TLS/RTP/SAVPF", "RTP/SAVPF"})
DATA_PROTOS = frozenset({"UDP/DTLS/SCTP", "TCP/DTLS/SCTP"})
DEFAULT_PEER_MESSAGE_SIZE = 65_536
"""What a peer takes that does not say (RFC 8841 section 6.1)."""

_FIRST_ORIGIN = Origin()


def answer(
    offer: SessionDescription,
    transport: LocalTransport,
    decide: Decide,
    *,
    origin: Origin = _FIRST_ORIGIN,
    capabilities: Capabilities = CAPABILITIES,
) -> Answer:
    """Answer the publisher PC of v0, the one PC of v1, or a WHIP client.

    The offer's mids, payload types and extension ids are kept. All sections of a kind get the same
    codecs and extensions, placeholders included. A section is rejected by itself when none of its
    codecs is spoken, it is outside the BUNDLE group, it lacks rtcp-mux, or its protocol is not RTP
    over DTLS; the result says why. The first data-channel section is accepted, others rejected.

    Raises:
        RemoteProtocolError: no section, no usable credentials, or sections that contradict each
            other (one payload type or extension id with two meanings).
        LocalProtocolError: a decision that the section's direction does not allow.
    """
    if not offer.sections:
        raise RemoteProtocolError("session description has no sections")
    choice = _Choice(capabilities)
    remote = remote_transport(offer)
    role = answering_role(remote.setup, transport.setup)
    admitted = _admitted(offer)
    rendered: list[MediaSection] = []
    negotiated: list[NegotiatedSection] = []
    data: DataSection | None = None
    for index, section in enumerate(offer.sections):
        if section.kind == "application":
            accepted = data is None and index in admitted and _is_data_channel(section)
            if accepted:
                data = announced_data(index, section)
            rendered.append(
                data_section(section.mid, section.proto) if accepted else rejected_section(section)
            )
            continue
        reply = _Reply(index, section, choice)
        problem = reply.problem(admitted=index in admitted)
        decision = Reject(problem) if problem else decide(section) or default_decision(section)
        mine, outcome = reply.make(decision)
        rendered.append(mine)
        negotiated.append(outcome)
    description = describe(rendered, transport, role, origin, allow_mixed=offer.extmap_allow_mixed)
    outcome = conclude(tuple(negotiated), data, remote, role, capabilities.sent)
    return Answer(description, outcome)


def _admitted(offer: SessionDescription) -> frozenset[int]:
    """Indices of the sections that can share our one transport."""
    live = [index for index, section in enumerate(offer.sections) if not section.rejected]
    if not offer.bundle:
        return frozenset(live[:1])
    group = frozenset(offer.bundle)
    return frozenset(index for index in live if offer.sections[index].mid in group)


def _is_data_channel(section: MediaSection) -> bool:
    return section.proto in DATA_PROTOS and section.formats == (DATA_FORMAT,)


def announced_data(index: int, section: MediaSection) -> DataSection:
    """What the peer says about its end of the data channel."""
    return DataSection(
        index,
        section.mid,
        section.sctp_port or SCTP_PORT,
        section.max_message_size or DEFAULT_PEER_MESSAGE_SIZE,
    )


@dataclass(frozen=True, slots=True)
class _Reply:
    """The answer to one audio or video section."""

    index: int
    section: MediaSection
    choice: _Choice

    def problem(self, *, admitted: bool) -> str:
        """Why the section must be rejected whatever the caller wants, or ''."""
        section = self.section
        if section.rejected:
            return "rejected by the peer"
        if section.kind not in self.choice.capabilities.codecs:
            return "media type is not supported"
        if not admitted:
            return "outside the BUNDLE group"
        if section.proto not in RTP_PROTOS or not section.rtcp_mux:
            return "transport is not multiplexed RTP over DTLS"
        if not self.choice.formats(section, Inactive()):
            return "no codec in common"
        return ""

    def make(self, decision: Decision) -> tuple[MediaSection, NegotiatedSection]:
        """Render the section and say what it means."""
        section = self.section
        self._check(decision)
        if isinstance(decision, Reject):
            return rejected_section(section), NegotiatedSection(
                self.index,
                section.mid,
                section.kind,
                "inactive",
                decision,
                rejected=True,
                reason=decision.reason,
            )
        formats = self.choice.formats(section, decision)
        extensions = self.choice.extensions(section)
        direction = _direction(decision)
        mine = replace(
            rtp_section(section.kind, section.mid, direction, formats, extensions),
            proto=section.proto,
            rtcp_rsize=section.rtcp_rsize,
        )
        outcome = NegotiatedSection(
            self.index,
            section.mid,
            section.kind,
            direction,
            decision,
            formats=formats,
            extensions=extensions,
        )
        match decision:
            case Publish():
                return self._publish(mine, outcome)
            case Subscribe():
                return with_track(mine, decision), outcome
            case _:
                return mine, outcome

    def _check(self, decision: Decision) -> None:
        wrong = (isinstance(decision, Publish) and not self.section.sends) or (
            isinstance(decision, Subscribe | Placeholder) and not self.section.receives
        )
        if wrong:
            raise LocalProtocolError(
                f"{type(decision).__name__} does not fit a section offered {self.section.direction}"
            )

    def _publish(
        self, mine: MediaSection, outcome: NegotiatedSection
    ) -> tuple[MediaSection, NegotiatedSection]:
        section = self.section
        rids = _layers(section)
        first = next((ssrc for ssrc in section.ssrcs.values() if ssrc.stream_id), None)
        stream_id, track_id = section.stream_id, section.track_id
        if not stream_id and first is not None:
            stream_id, track_id = first.stream_id, first.track_id
        accepted = replace(
            mine,
            rids=tuple(Rid(rid, "recv") for rid in rids),
            simulcast_recv=rids if section.simulcast_send else (),
        )
        return accepted, replace(
            outcome,
            rids=rids,
            announced=() if rids else announced(section),
            repairs=repairs(section),
            stream_id=stream_id,
            track_id=track_id,
        )


def repairs(section: MediaSection) -> dict[int, int]:
    """Media SSRC → the SSRC of its RTX, by the FID groups (RFC 4588 section 8.2)."""
    return {
        group.ssrcs[0]: group.ssrcs[1]
        for group in section.ssrc_groups
        if group.semantics == "FID" and len(group.ssrcs) == 2
    }


def announced(section: MediaSection) -> tuple[AnnouncedSsrc, ...]:
    """The streams a peer names with a=ssrc: layers or the single stream, each with its RTX."""
    groups = section.ssrc_groups
    layers = next((group.ssrcs for group in groups if group.semantics == "SIM"), ())
    secondary = {ssrc for g in groups if g.semantics != "SIM" for ssrc in g.ssrcs[1:]}
    main = layers or tuple(ssrc for ssrc in section.ssrcs if ssrc not in secondary)
    rtx = repairs(section)
    return tuple(AnnouncedSsrc(ssrc, rtx.get(ssrc, 0)) for ssrc in dict.fromkeys(main))


def _layers(section: MediaSection) -> tuple[str, ...]:
    """Rids the peer sends: those of its simulcast line that it also declares."""
    declared = tuple(rid.id for rid in section.rids if rid.direction == "send")
    if not section.simulcast_send:
        return declared
    return tuple(rid for rid in section.simulcast_send if rid in declared)


def _direction(decision: Decision) -> Direction:
    match decision:
        case Publish():
            return "recvonly"
        case Subscribe() | Placeholder():
            return "sendonly"
        case Inactive() | Reject():
            return "inactive"


class _Choice:
    """What is accepted of sections, worked out once for sections that say the same.

    A parsed description shares the mappings of sections with the same lines, and a client in a
    large room offers hundreds of those.
    """

    def __init__(self, capabilities: Capabilities) -> None:
        self.capabilities = capabilities
        self._formats: dict[tuple[str, int, str, str], Formats] = {}
        self._extensions: dict[tuple[str, int], Mapping[str, int]] = {}

    def formats(self, section: MediaSection, decision: Decision) -> Formats:
        prefer = decision.prefer if isinstance(decision, Publish) else ""
        fmtp = _opus_fmtp(decision)
        key = (section.kind, id(section.codecs), prefer, fmtp)
        known = self._formats.get(key)
        if known is None:
            known = self._formats[key] = {
                pt: replace(codec, fmtp=fmtp) if codec.codec == "opus" else codec
                for pt, codec in choose(section, self.capabilities, prefer).items()
            }
        return known

    def extensions(self, section: MediaSection) -> Mapping[str, int]:
        key = (section.kind, id(section.extmap))
        known = self._extensions.get(key)
        if known is None:
            known = self._extensions[key] = choose_extensions(section, self.capabilities)
        return known


def _opus_fmtp(decision: Decision) -> str:
    """What we ask of the peer's encoder (RFC 7587 section 6.1); the offered values are the peer's.

    Placeholders and subscriptions get what an ordinary publication gets.
    """
    wish = decision if isinstance(decision, Publish) else Publish()
    parameters = [OPUS_FMTP]
    if wish.dtx:
        parameters.append("usedtx=1")
    if wish.stereo:
        parameters.append("stereo=1;maxaveragebitrate=510000")
    if isinstance(decision, Subscribe) and decision.stereo:
        parameters.append("sprop-stereo=1")
    return ";".join(parameters)
