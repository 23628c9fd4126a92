"""What a finished negotiation means for the media side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from roomful_rtc.engine import Codec
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
    """One section after both descriptions are known."""

    index: int
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
    stream_id: str = ""
    track_id: str = ""
    """publish: the peer's msid; `track_id` is the cid of its AddTrackRequest, if it has one"""

    @property
    def codecs(self) -> dict[int, Codec]:
        """For `Engine.set_codecs`, rtx included."""
        raise NotImplementedError

    @property
    def payload_types(self) -> dict[str, int]:
        """Codec name → its preferred payload type, without rtx; in order of preference."""
        raise NotImplementedError

    @property
    def rtx_payload_types(self) -> dict[int, int]:
        """Payload type → the payload type of its RTX."""
        raise NotImplementedError

    def payload_type_for(self, source: RtpFormat) -> int | None:
        """The payload type that means the same codec as `source`, or None.

        H.264 must agree in packetization-mode and profile (RFC 6184 section 8.2.2), VP9 and AV1 in
        the profile.
        """
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class DataSection:
    """The accepted m=application section."""

    mid: str
    index: int
    sctp_port: int
    """the peer's; 5000 unless it says otherwise"""
    max_message_size: int
    """largest message the peer takes, bytes; 65,536 unless it says otherwise (RFC 8841)"""


@dataclass(frozen=True, slots=True)
class Negotiation:
    """Both ends agreed."""

    sections: tuple[NegotiatedSection, ...]
    """audio and video sections in order; application sections are left out"""
    data: DataSection | None
    remote: RemoteTransport
    role: Role
    """our DTLS role"""

    def section(self, mid: str) -> NegotiatedSection | None:
        """The audio or video section with this mid."""
        return next((section for section in self.sections if section.mid == mid), None)

    @property
    def recv_codecs(self) -> dict[int, Codec]:
        """Of all live sections together, for `Engine.set_codecs`."""
        raise NotImplementedError

    @property
    def recv_extensions(self) -> dict[str, int]:
        """Of all live sections together, for `Engine.set_extensions(recv=…)`."""
        raise NotImplementedError

    send_extensions: Mapping[str, int] = field(default_factory=dict[str, int])
    """subset that forwarded packets may carry, for `Engine.set_extensions(send=…)`"""


@dataclass(frozen=True, slots=True)
class Answer:
    """Our answer and what it means."""

    description: SessionDescription
    negotiation: Negotiation

    @property
    def sdp(self) -> str:
        """The text to send."""
        return str(self.description)
