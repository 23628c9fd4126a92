"""A session description as records (RFC 8866, JSEP RFC 9429)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from roomful_rtc.sdp.limits import SIGNALLING_LIMITS, SdpLimits

UNSPECIFIED = "0.0.0.0"  # noqa: S104 - text in a description, nothing is bound
"""Address of a section whose real ones are ICE candidates."""

MAX_PARAMETERS = 64

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
Setup = Literal["", "actpass", "active", "passive", "holdconn"]
"""RFC 4145 section 4; empty when the description does not say."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Hash of a certificate (RFC 8122): `sha-256`, `AA:BB:…` in upper case."""

    algorithm: str
    value: str

    def __str__(self) -> str:
        """As in `a=fingerprint`."""
        return f"{self.algorithm} {self.value}"


@dataclass(frozen=True, slots=True)
class RtpFormat:
    """One payload type of a section: rtpmap, fmtp and feedback together."""

    payload_type: int
    name: str
    """as written; compare `codec`"""
    clock_rate: int
    channels: int = 1
    fmtp: str = ""
    """the parameters as written, without the payload type"""
    feedback: tuple[str, ...] = ()
    """`nack`, `nack pli`, …; those given for `*` are included"""

    @property
    def codec(self) -> str:
        """The name in lower case, such as `vp8`."""
        return self.name.lower()

    @property
    def parameters(self) -> dict[str, str]:
        """The fmtp parameters, names in lower case; one without `=` maps to ''.

        Those beyond the first 64 are left out.
        """
        parts = self.fmtp.split(";", MAX_PARAMETERS)[:MAX_PARAMETERS]
        pairs = (part.strip().partition("=") for part in parts)
        return {name.strip().lower(): value.strip() for name, _, value in pairs if name}


@dataclass(frozen=True, slots=True)
class Ssrc:
    """What `a=ssrc` lines say about one stream (RFC 5576)."""

    ssrc: int
    cname: str = ""
    stream_id: str = ""
    track_id: str = ""


@dataclass(frozen=True, slots=True)
class SsrcGroup:
    """`FID` (media, its RTX), `SIM` (layers from low to high), `FEC-FR`."""

    semantics: str
    ssrcs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Rid:
    """One RTP stream identifier (RFC 8851); `direction` as its author sees it."""

    id: str
    direction: Literal["send", "recv"]
    restrictions: str = ""


@dataclass(frozen=True, slots=True)
class MediaSection:
    """One m= section. Transport fields are empty where only the session level has them."""

    kind: str
    """audio, video, application or anything else the peer wrote"""
    port: int
    proto: str
    formats: tuple[str, ...]
    mid: str = ""
    direction: Direction = "sendrecv"
    codecs: Mapping[int, RtpFormat] = field(default_factory=dict[int, RtpFormat])
    """by payload type, in the order of the m= line (the author's preference)"""
    extmap: Mapping[int, str] = field(default_factory=dict[int, str])
    """header extension id → URI; direction and attributes are left out"""
    stream_id: str = ""
    """first part of a=msid; '-' stands for no stream"""
    track_id: str = ""
    """second part of a=msid: the cid of a publisher's track"""
    ssrcs: Mapping[int, Ssrc] = field(default_factory=dict[int, Ssrc])
    ssrc_groups: tuple[SsrcGroup, ...] = ()
    rids: tuple[Rid, ...] = ()
    simulcast_send: tuple[str, ...] = ()
    """rids as listed by the author, first alternative each, pause marks left out"""
    simulcast_recv: tuple[str, ...] = ()
    bundle_only: bool = False
    rtcp_mux: bool = False
    rtcp_rsize: bool = False
    extmap_allow_mixed: bool = False
    sctp_port: int = 0
    max_message_size: int = 0
    ptime: int = 0
    """packet time in ms, 0 when not given"""
    connection: str = ""
    """address of the c= line; never connected to by itself"""
    ice_ufrag: str = ""
    ice_pwd: str = field(default="", repr=False)
    fingerprints: tuple[Fingerprint, ...] = ()
    setup: Setup = ""
    candidates: tuple[str, ...] = ()
    """candidate lines to write; those of a parsed description are counted and left out"""
    candidate_count: int = field(default=0, compare=False)
    other: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """attributes not known here, in order; may hold keys, so never shown"""

    @property
    def rejected(self) -> bool:
        """Whether the section is switched off for good (port 0 without bundle-only)."""
        return self.port == 0 and not self.bundle_only

    @property
    def sends(self) -> bool:
        """Whether its author sends."""
        return self.direction in ("sendrecv", "sendonly")

    @property
    def receives(self) -> bool:
        """Whether its author receives."""
        return self.direction in ("sendrecv", "recvonly")


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """An offer or an answer. Attributes not known here stay in `other`."""

    sections: tuple[MediaSection, ...] = ()
    session_id: int = 0
    session_version: int = 0
    origin_address: str = UNSPECIFIED
    connection: str = ""
    bundle: tuple[str, ...] = ()
    """mids of the first BUNDLE group"""
    ice_lite: bool = False
    ice_options: tuple[str, ...] = ()
    extmap_allow_mixed: bool = False
    ice_ufrag: str = ""
    ice_pwd: str = field(default="", repr=False)
    fingerprints: tuple[Fingerprint, ...] = ()
    setup: Setup = ""
    other: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @classmethod
    def parse(cls, text: str | bytes, limits: SdpLimits = SIGNALLING_LIMITS) -> SessionDescription:
        """Read a description of a peer.

        Raises:
            RemoteProtocolError: malformed, or over a limit. Nothing else is ever raised.
        """
        from roomful_rtc.sdp.reader import read_description  # noqa: PLC0415 - it makes this record

        return read_description(text, limits)

    def __str__(self) -> str:
        """The description as text, lines ended by CR LF."""
        from roomful_rtc.sdp.writer import write_description  # noqa: PLC0415 - as above

        return write_description(self)

    def section(self, mid: str) -> MediaSection | None:
        """The section with this mid, or None."""
        return next((section for section in self.sections if section.mid == mid), None)
