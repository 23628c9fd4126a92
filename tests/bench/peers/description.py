"""Offers of a raw participant and what it needs of the answers (RFC 8829, one BUNDLE group)."""

from __future__ import annotations

from dataclasses import dataclass, field

from .link import RemoteTransport

OPUS, VP8, VP8_RTX, H264, H264_RTX = 111, 96, 97, 102, 103
EXTENSIONS = {
    "mid": (1, "urn:ietf:params:rtp-hdrext:sdes:mid"),
    "abs_send_time": (2, "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"),
    "twcc": (3, "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"),
    "audio_level": (4, "urn:ietf:params:rtp-hdrext:ssrc-audio-level"),
}
"""kind → id and URI"""
_OF_KIND = {
    "audio": ("mid", "twcc", "audio_level"),
    "video": ("mid", "abs_send_time", "twcc"),
}
_FEEDBACK = ("goog-remb", "transport-cc", "ccm fir", "nack", "nack pli")


@dataclass(slots=True)
class Section:
    """One m-section of ours; mids are their places."""

    kind: str
    """audio, video or application"""
    direction: str = "recvonly"
    cid: str = ""
    ssrc: int = 0


@dataclass(slots=True)
class Description:
    """All sections of a participant, in the order in which they came to be."""

    ufrag: str
    pwd: str
    fingerprint: str
    sections: list[Section] = field(default_factory=list[Section])
    _version: int = 1

    def add(self, section: Section) -> str:
        """Append a section; return its mid."""
        self.sections.append(section)
        return str(len(self.sections) - 1)

    def offer(self) -> str:
        """The description as an offer."""
        self._version += 1
        mids = " ".join(str(place) for place in range(len(self.sections)))
        lines = [
            "v=0", f"o=- 4611731400430051336 {self._version} IN IP4 127.0.0.1", "s=-", "t=0 0",
            f"a=group:BUNDLE {mids}", "a=extmap-allow-mixed", "a=msid-semantic: WMS *",
        ]  # fmt: skip
        for place, section in enumerate(self.sections):
            lines += self._lines(str(place), section)
        return "\r\n".join(lines) + "\r\n"

    def _lines(self, mid: str, section: Section) -> list[str]:
        if section.kind == "application":
            return [
                "m=application 9 UDP/DTLS/SCTP webrtc-datachannel", *self._transport(mid),
                "a=sctp-port:5000", "a=max-message-size:65535",
            ]  # fmt: skip
        pts = [OPUS] if section.kind == "audio" else [VP8, VP8_RTX, H264, H264_RTX]
        lines = [
            f"m={section.kind} 9 UDP/TLS/RTP/SAVPF {' '.join(map(str, pts))}",
            *self._transport(mid),
            *(f"a=extmap:{EXTENSIONS[k][0]} {EXTENSIONS[k][1]}" for k in _OF_KIND[section.kind]),
            f"a={section.direction}",
            "a=rtcp-mux",
            "a=rtcp-rsize",
        ]
        lines += _AUDIO if section.kind == "audio" else _VIDEO
        if section.cid:
            lines.insert(-1, f"a=msid:bench {section.cid}")
            lines += [f"a=ssrc:{section.ssrc} cname:bench", f"a=ssrc:{section.ssrc} msid:bench "
                      f"{section.cid}"]  # fmt: skip
        return lines

    def _transport(self, mid: str) -> list[str]:
        return [
            "c=IN IP4 0.0.0.0", f"a=ice-ufrag:{self.ufrag}", f"a=ice-pwd:{self.pwd}",
            "a=ice-options:trickle", f"a=fingerprint:{self.fingerprint}", "a=setup:actpass",
            f"a=mid:{mid}",
        ]  # fmt: skip


_AUDIO = [
    f"a=rtpmap:{OPUS} opus/48000/2",
    f"a=rtcp-fb:{OPUS} transport-cc",
    f"a=fmtp:{OPUS} minptime=10;useinbandfec=1",
]
_VIDEO = [
    f"a=rtpmap:{VP8} VP8/90000",
    *(f"a=rtcp-fb:{VP8} {feedback}" for feedback in _FEEDBACK),
    f"a=rtpmap:{VP8_RTX} rtx/90000",
    f"a=fmtp:{VP8_RTX} apt={VP8}",
    f"a=rtpmap:{H264} H264/90000",
    *(f"a=rtcp-fb:{H264} {feedback}" for feedback in _FEEDBACK),
    f"a=fmtp:{H264} level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
    f"a=rtpmap:{H264_RTX} rtx/90000",
    f"a=fmtp:{H264_RTX} apt={H264}",
]


@dataclass(slots=True)
class Answer:
    """What of an answer matters here; candidates may also come by themselves."""

    values: dict[str, str] = field(default_factory=dict[str, str])
    """first value of ice-ufrag, ice-pwd, fingerprint, setup"""
    addresses: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    """host candidates for UDP"""

    @classmethod
    def parse(cls, sdp: str) -> Answer:
        """Read an answer."""
        answer = cls()
        for line in sdp.splitlines():
            name, _, value = line.removeprefix("a=").partition(":")
            if name in ("ice-ufrag", "ice-pwd", "fingerprint", "setup"):
                answer.values.setdefault(name, value)
            elif name == "candidate":
                answer.take(line.removeprefix("a="))
        return answer

    def take(self, candidate: str) -> None:
        """Read a `candidate:…` line."""
        parts = candidate.split()
        if len(parts) > 7 and parts[2].lower() == "udp" and parts[7] == "host":
            address = (parts[4], int(parts[5]))
            if ":" not in parts[4] and address not in self.addresses:
                self.addresses.append(address)

    def transport(self) -> RemoteTransport | None:
        """Where to connect; None while no candidate is known. Loopback is preferred."""
        if not self.addresses or "ice-ufrag" not in self.values:
            return None
        local = [a for a in self.addresses if a[0].startswith("127.")]
        values = self.values
        return RemoteTransport(
            (local or self.addresses)[0],
            values["ice-ufrag"],
            values["ice-pwd"],
            values["fingerprint"],
            values.get("setup", "passive"),
        )
