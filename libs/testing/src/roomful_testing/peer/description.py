"""Offers of raw peers and what is needed of the answers (RFC 8829, one BUNDLE group), sans-IO."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from roomful_rtc import extensions

OPUS, VP8, VP8_RTX, H264, H264_RTX = 111, 96, 97, 102, 103
"""payload types"""
PAYLOAD_TYPES = {"opus": OPUS, "vp8": VP8, "h264": H264}
TWCC_ID, ABS_SEND_TIME_ID, MID_ID, LEVEL_ID, RID_ID = 3, 2, 4, 1, 10
"""header extensions"""
RIDS = ("q", "h", "f")
"""of simulcast, the smallest layer first"""

_EXTENSIONS = {
    "audio": ((LEVEL_ID, extensions.AUDIO_LEVEL), (TWCC_ID, extensions.TWCC), (MID_ID, extensions.MID)),
    "video": (
        (ABS_SEND_TIME_ID, extensions.ABS_SEND_TIME), (TWCC_ID, extensions.TWCC),
        (MID_ID, extensions.MID), (RID_ID, extensions.RID),
    ),
}  # fmt: skip
_CODECS = {"audio": ("opus",), "video": ("vp8", "h264")}
_FEEDBACK = ("goog-remb", "transport-cc", "ccm fir", "nack", "nack pli")
_H264 = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a description says about the transport of its author."""

    ufrag: str
    pwd: str = field(repr=False)
    fingerprint: str
    """`sha-256 AA:BB:…`"""


@dataclass(frozen=True, slots=True)
class Remote:
    """The other side's transport. `setup` of an answer: active, or passive as always where empty."""

    ufrag: str
    pwd: str = field(repr=False)
    fingerprint: str
    address: tuple[str, int]
    setup: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """One m-section of ours."""

    kind: str
    """audio, video or application"""
    direction: str = "recvonly"
    cid: str = ""
    """of the track that it sends"""
    mid: str = ""
    """its place where empty"""
    ssrc: int = 0
    """of a track that is one stream; 0: the stream tells by mid"""
    rids: Sequence[str] = ()
    """of a track of several layers"""
    codecs: Sequence[str] = ()
    """of the names in `PAYLOAD_TYPES`, the best first; all of its kind where empty"""


def offer(credentials: Credentials, sections: Sequence[Section], version: int = 2) -> str:
    """Return the description of a client with these sections."""
    mids = [section.mid or str(place) for place, section in enumerate(sections)]
    lines = [
        "v=0", f"o=- 4611731400430051336 {version} IN IP4 127.0.0.1", "s=-", "t=0 0",
        f"a=group:BUNDLE {' '.join(mids)}", "a=extmap-allow-mixed", "a=msid-semantic: WMS *",
    ]  # fmt: skip
    for mid, section in zip(mids, sections, strict=True):
        lines += _section(credentials, mid, section)
    return "\r\n".join(lines) + "\r\n"


def _section(credentials: Credentials, mid: str, section: Section) -> list[str]:
    transport = [
        "c=IN IP4 0.0.0.0", f"a=ice-ufrag:{credentials.ufrag}", f"a=ice-pwd:{credentials.pwd}",
        "a=ice-options:trickle", f"a=fingerprint:{credentials.fingerprint}", "a=setup:actpass",
        f"a=mid:{mid}",
    ]  # fmt: skip
    if section.kind == "application":
        return [
            "m=application 9 UDP/DTLS/SCTP webrtc-datachannel", *transport,
            "a=sctp-port:5000", "a=max-message-size:65535",
        ]  # fmt: skip
    codecs = section.codecs or _CODECS[section.kind]
    pts = [str(pt) for codec in codecs for pt in _payload_types(codec)]
    return [
        f"m={section.kind} 9 UDP/TLS/RTP/SAVPF {' '.join(pts)}",
        *transport,
        *(f"a=extmap:{n} {extensions.URIS[name]}" for n, name in _EXTENSIONS[section.kind]),
        f"a={section.direction}",
        *([f"a=msid:- {section.cid}"] if section.cid else ()),
        "a=rtcp-mux",
        "a=rtcp-rsize",
        *(line for codec in codecs for line in _CODEC_LINES[codec]),
        *_streams(section),
    ]


def _payload_types(codec: str) -> tuple[int, ...]:
    pt = PAYLOAD_TYPES[codec]
    return (pt,) if codec == "opus" else (pt, pt + 1)


def _video(codec: str, name: str, fmtp: str = "") -> tuple[str, ...]:
    pt, rtx = _payload_types(codec)
    return (
        f"a=rtpmap:{pt} {name}/90000",
        *(f"a=rtcp-fb:{pt} {feedback}" for feedback in _FEEDBACK),
        *((f"a=fmtp:{pt} {fmtp}",) if fmtp else ()),
        f"a=rtpmap:{rtx} rtx/90000",
        f"a=fmtp:{rtx} apt={pt}",
    )


_CODEC_LINES = {
    "opus": (
        f"a=rtpmap:{OPUS} opus/48000/2",
        f"a=rtcp-fb:{OPUS} transport-cc",
        f"a=fmtp:{OPUS} minptime=10;useinbandfec=1",
    ),
    "vp8": _video("vp8", "VP8"),
    "h264": _video("h264", "H264", _H264),
}


def _streams(section: Section) -> list[str]:
    if section.rids:
        named = [f"a=rid:{rid} send" for rid in section.rids]
        return [*named, f"a=simulcast:send {';'.join(section.rids)}"]
    if section.ssrc:
        start = f"a=ssrc:{section.ssrc}"
        return [f"{start} cname:roomful-testing", f"{start} msid:- {section.cid}"]
    return []


@dataclass(slots=True)
class AnsweredSection:
    """What an answer says of one section."""

    mid: str = ""
    rejected: bool = False
    direction: str = "sendrecv"
    codecs: dict[int, str] = field(default_factory=dict[int, str])
    """payload type → name, lower case"""
    ssrcs: list[int] = field(default_factory=list[int])
    """that its author sends; a stream, then its retransmissions"""


@dataclass(slots=True)
class Answer:
    """What of an answer matters here; candidates may also come by themselves."""

    values: dict[str, str] = field(default_factory=dict[str, str])
    """first value of ice-ufrag, ice-pwd, fingerprint, setup"""
    addresses: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    """IPv4 host candidates for UDP"""
    sections: list[AnsweredSection] = field(default_factory=list[AnsweredSection])

    @classmethod
    def parse(cls, sdp: str) -> Answer:
        """Read an answer; lines that are not understood are passed over."""
        answer = cls()
        for line in sdp.splitlines():
            if line.startswith("m="):
                answer.sections.append(AnsweredSection(rejected=line.split()[1:2] == ["0"]))
                continue
            name, _, value = line.removeprefix("a=").partition(":")
            if name in ("ice-ufrag", "ice-pwd", "fingerprint", "setup"):
                answer.values.setdefault(name, value)
            elif name == "candidate":
                answer.take(line.removeprefix("a="))
            elif answer.sections:
                _take_line(answer.sections[-1], name, value)
        return answer

    def take(self, candidate: str) -> None:
        """Read a `candidate:…` line."""
        parts = candidate.split()
        if len(parts) > 7 and parts[2].lower() == "udp" and parts[7] == "host":
            address = (parts[4], int(parts[5]))
            if ":" not in parts[4] and address not in self.addresses:
                self.addresses.append(address)

    def section(self, mid: str) -> AnsweredSection:
        """Return a section; a rejected one where the answer has none of that mid."""
        none = AnsweredSection(mid, rejected=True)
        return next((section for section in self.sections if section.mid == mid), none)

    def remote(self) -> Remote | None:
        """Return where to connect; None while no candidate is known. Loopback is preferred."""
        if not self.addresses or "ice-ufrag" not in self.values:
            return None
        local = [a for a in self.addresses if a[0].startswith("127.")]
        values = self.values
        return Remote(
            values["ice-ufrag"],
            values["ice-pwd"],
            values["fingerprint"],
            (local or self.addresses)[0],
            values.get("setup", ""),
        )


def _take_line(section: AnsweredSection, name: str, value: str) -> None:
    match name:
        case "mid":
            section.mid = value
        case "sendrecv" | "sendonly" | "recvonly" | "inactive":
            section.direction = name
        case "rtpmap":
            pt, _, codec = value.partition(" ")
            section.codecs[int(pt)] = codec.partition("/")[0].lower()
        case "ssrc":
            ssrc = int(value.partition(" ")[0])
            if ssrc not in section.ssrcs:
                section.ssrcs.append(ssrc)
        case _:
            pass


def sending(sections: Iterable[AnsweredSection]) -> list[str]:
    """Return the mids in which the author sends."""
    return [s.mid for s in sections if s.direction in ("sendonly", "sendrecv") and not s.rejected]
