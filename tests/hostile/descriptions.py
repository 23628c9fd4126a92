"""Descriptions that raw clients offer, and what they read of the answers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .raw_peer import RawPeer, Remote

OPUS, VP8, RTX = 111, 96, 97
MID_ID, LEVEL_ID, RID_ID, TWCC_ID = 4, 1, 10, 3
RIDS = ("q", "h", "f")

_HEAD = (
    "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
    "a=group:BUNDLE {mids}\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS *\r\n"
)
_TRANSPORT = (
    "c=IN IP4 0.0.0.0\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\na=ice-options:trickle\r\n"
    "a=fingerprint:{fingerprint}\r\na=setup:actpass\r\na=mid:{mid}\r\n"
)
_DATA = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"
_AUDIO = f"m=audio 9 UDP/TLS/RTP/SAVPF {OPUS}\r\n"
_VIDEO = f"m=video 9 UDP/TLS/RTP/SAVPF {VP8} {RTX}\r\n"
_EXTENSIONS = (
    f"a=extmap:{LEVEL_ID} urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n"
    f"a=extmap:{MID_ID} urn:ietf:params:rtp-hdrext:sdes:mid\r\n"
)
_VIDEO_EXTENSIONS = (
    f"a=extmap:{MID_ID} urn:ietf:params:rtp-hdrext:sdes:mid\r\n"
    f"a=extmap:{RID_ID} urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n"
    f"a=extmap:{TWCC_ID} "
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n"
)
_OPUS = f"a=rtpmap:{OPUS} opus/48000/2\r\na=fmtp:{OPUS} minptime=10;useinbandfec=1\r\n"
_VP8 = (
    f"a=rtpmap:{VP8} VP8/90000\r\na=rtcp-fb:{VP8} goog-remb\r\na=rtcp-fb:{VP8} nack\r\n"
    f"a=rtcp-fb:{VP8} nack pli\r\na=rtcp-fb:{VP8} ccm fir\r\na=rtcp-fb:{VP8} transport-cc\r\n"
    f"a=rtpmap:{RTX} rtx/90000\r\na=fmtp:{RTX} apt={VP8}\r\n"
)


@dataclass(frozen=True, slots=True)
class Section:
    """One m= section."""

    mid: str
    kind: str = "data"
    """data, audio or video"""
    direction: str = ""
    cid: str = ""
    """the track it sends"""
    simulcast: bool = False


CHANNELS = Section("0")
MICROPHONE = Section("1", "audio", "sendonly", "mic")
CAMERA = Section("1", "video", "sendonly", "cam")
LAYERS = Section("1", "video", "sendonly", "cam", simulcast=True)
EAR = Section("2", "audio", "recvonly")
EYE = Section("3", "video", "recvonly")


def offer(peer: RawPeer, *sections: Section) -> str:
    """The description of a client with these sections."""
    transport = {
        "ufrag": peer.checks.ufrag, "pwd": peer.checks.pwd, "fingerprint": peer.fingerprint,
    }  # fmt: skip
    text = _HEAD.format(mids=" ".join(section.mid for section in sections))
    return text + "".join(_section(section, transport) for section in sections)


def _section(section: Section, transport: dict[str, str]) -> str:
    common = _TRANSPORT.format(mid=section.mid, **transport)
    if section.kind == "data":
        return _DATA + common + "a=sctp-port:5000\r\na=max-message-size:65535\r\n"
    audio = section.kind == "audio"
    lines = (_AUDIO if audio else _VIDEO) + common
    lines += (_EXTENSIONS if audio else _VIDEO_EXTENSIONS) + f"a={section.direction}\r\n"
    if section.cid:
        lines += f"a=msid:- {section.cid}\r\n"
    lines += "a=rtcp-mux\r\na=rtcp-rsize\r\n" + (_OPUS if audio else _VP8)
    if section.simulcast:
        lines += "".join(f"a=rid:{rid} send\r\n" for rid in RIDS)
        lines += f"a=simulcast:send {';'.join(RIDS)}\r\n"
    return lines


def remote_of(answer: str) -> Remote:
    """The server's end in an answer."""
    candidates = [line.split() for line in re.findall(r"^a=(candidate:.*?)\r?$", answer, re.M)]
    udp = next(parts for parts in candidates if parts[2].lower() == "udp")
    return Remote(
        _value(answer, "ice-ufrag"),
        _value(answer, "ice-pwd"),
        _value(answer, "fingerprint"),
        (udp[4], int(udp[5])),
    )


def sending(answer: str) -> Sequence[str]:
    """Mids in which the server sends."""
    parts = re.split(r"^m=", answer, flags=re.M)[1:]
    return [
        _value(part, "mid") for part in parts if re.search(r"^a=send(only|recv)\r?$", part, re.M)
    ]


def _value(text: str, name: str) -> str:
    found = re.search(rf"^a={name}:(.*?)\r?$", text, re.M)
    if found is None:
        raise ValueError(f"the answer has no {name}")
    return found[1]
