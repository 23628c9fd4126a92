"""What a finished negotiation means for the media side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from roomful.errors import RemoteProtocolError
from roomful_rtc.engine import Codec
from roomful_rtc.offer_answer.codecs import closest, engine_codecs, repairs_of
from roomful_rtc.offer_answer.decisions import Decision
from roomful_rtc.offer_answer.transport import RemoteTransport, Role
from roomful_rtc.sdp import Direction, RtpFormat, SessionDescription


@dataclass(frozen=True, slots=True)
class AnnouncedSsrc:
    """A stream the peer named in its description, with the stream that repairs it (0: none)."""

    ssrc: int
    rtx_ssrc: int = 0


@dataclass(frozen=True, slots=True)
class NegotiatedSection:
    """One audio or video section after both descriptions are known."""

    index: int
    """position among all sections, for `sdpMLineIndex`"""
    mid: str
    kind: str
    direction: Direction
    """ours: `recvonly` = the peer publishes, `sendonly` = we may send, `inactive`"""
    decision: Decision | None = None
    """what the caller decided (answers), or what the section carries (own offers)"""
    rejected: bool = False
    reason: str = ""
    """why it is rejected: for logs and error answers, holds nothing secret"""
    formats: Mapping[int, RtpFormat] = field(default_factory=dict[int, RtpFormat])
    """negotiated payload types, preferred first, each followed by its rtx"""
    extensions: Mapping[str, int] = field(default_factory=dict[str, int])
    """kind as in `Engine.set_extensions` → id"""
    rids: tuple[str, ...] = ()
    """accepted simulcast layers, in the peer's order (clients differ: sort by name)"""
    announced: tuple[AnnouncedSsrc, ...] = ()
    """streams named by the peer, layers of a SIM group from low to high; empty with rids"""
    repairs: Mapping[int, int] = field(default_factory=dict[int, int])
    """publish: media SSRC → RTX SSRC where the peer names them; also with rids, for clients that
    do not offer the repaired-rid extension"""
    stream_id: str = ""
    """publish: first part of the peer's msid"""
    track_id: str = ""
    """publish: second part of it, the cid of its AddTrackRequest (browsers may rewrite it)"""

    @property
    def codecs(self) -> dict[int, Codec]:
        """For `Engine.set_codecs`, rtx included."""
        return engine_codecs(self.formats.values())

    @property
    def payload_types(self) -> dict[str, int]:
        """Codec name → its preferred payload type, without rtx; in order of preference."""
        types: dict[str, int] = {}
        for codec in self.formats.values():
            if codec.codec != "rtx":
                types.setdefault(codec.codec, codec.payload_type)
        return types

    @property
    def rtx_payload_types(self) -> dict[int, int]:
        """Payload type → the payload type of its RTX."""
        return {pt: rtx.payload_type for pt, rtx in repairs_of(self.formats).items()}

    @property
    def remb(self) -> bool:
        """Whether `goog-remb` is negotiated."""
        return any("goog-remb" in codec.feedback for codec in self.formats.values())

    def payload_type_for(self, source: RtpFormat) -> int | None:
        """The payload type that means the same codec as `source`, or None; see `codecs.closest`."""
        return closest(source, self.formats)


@dataclass(frozen=True, slots=True)
class DataSection:
    """The accepted m=application section."""

    index: int
    mid: str
    sctp_port: int
    """the peer's; 5000 unless it says otherwise"""
    max_message_size: int
    """largest message the peer takes, bytes; 65,536 unless it says otherwise (RFC 8841)"""


@dataclass(frozen=True, slots=True)
class Negotiation:
    """Both ends agreed."""

    sections: tuple[NegotiatedSection, ...]
    """audio and video sections in order, rejected ones too; application sections are left out"""
    data: DataSection | None
    remote: RemoteTransport
    role: Role
    """our DTLS role"""
    recv_codecs: Mapping[int, Codec]
    """of all live sections together, for `Engine.set_codecs`"""
    recv_extensions: Mapping[str, int]
    """of all live sections together, for `Engine.set_extensions(recv=…)`"""
    send_extensions: Mapping[str, int]
    """subset that forwarded packets may carry, for `Engine.set_extensions(send=…)`"""

    def section(self, mid: str) -> NegotiatedSection | None:
        """The audio or video section with this mid."""
        return next((section for section in self.sections if section.mid == mid), None)


@dataclass(frozen=True, slots=True)
class Answer:
    """Our answer and what it means."""

    description: SessionDescription
    negotiation: Negotiation

    @property
    def sdp(self) -> str:
        """The text to send."""
        return str(self.description)


def conclude(
    sections: tuple[NegotiatedSection, ...],
    data: DataSection | None,
    remote: RemoteTransport,
    role: Role,
    sent: frozenset[str],
) -> Negotiation:
    """Put the sections together, which share one transport (RFC 8843 section 7.1.3).

    Raises:
        RemoteProtocolError: a payload type or an extension id has two meanings.
    """
    codecs: dict[int, Codec] = {}
    extensions: dict[str, int] = {}
    kinds: dict[int, str] = {}
    # Sections that agree share their mappings; look at each of those once.
    formats = {id(section.formats): section for section in sections}
    for section in formats.values():
        for pt, codec in section.codecs.items():
            if codecs.setdefault(pt, codec) != codec:
                raise RemoteProtocolError("one payload type means two codecs")
    for section in sections:
        for kind, identifier in section.extensions.items():
            if (
                extensions.setdefault(kind, identifier) != identifier
                or kinds.setdefault(identifier, kind) != kind
            ):
                raise RemoteProtocolError("header extension ids differ between sections")
    send = {kind: identifier for kind, identifier in extensions.items() if kind in sent}
    return Negotiation(sections, data, remote, role, codecs, extensions, send)
