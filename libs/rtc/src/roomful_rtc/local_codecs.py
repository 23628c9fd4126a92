"""Codecs as local media names them: MIME types, clock rates, and fixed numbers. Sans-IO.

Packets to local sinks carry these payload types whatever the publisher's are, so that a packet says
its codec even when the publisher changes it.
"""

from __future__ import annotations

from dataclasses import dataclass

from roomful.errors import MediaError
from roomful_rtc.engine import Codec
from roomful_rtc.sdp import RtpFormat


@dataclass(frozen=True, slots=True)
class LocalCodec:
    """One codec; `name` as in `Engine.add_up`."""

    name: str
    kind: str
    """`audio` or `video`"""
    spelling: str
    """as in MIME types and SDP"""
    payload_type: int
    clock_rate: int = 90_000
    channels: int = 1

    @property
    def codec(self) -> Codec:
        """As the engine names it."""
        return Codec(self.name, self.clock_rate)

    def format(self, fmtp: str = "") -> RtpFormat:
        """As SDP names it."""
        return RtpFormat(self.payload_type, self.spelling, self.clock_rate, self.channels, fmtp)


LOCAL_CODECS = (
    LocalCodec("opus", "audio", "opus", 111, 48_000, 2),
    LocalCodec("red", "audio", "red", 63, 48_000, 2),
    LocalCodec("pcmu", "audio", "PCMU", 0, 8_000),
    LocalCodec("pcma", "audio", "PCMA", 8, 8_000),
    LocalCodec("g722", "audio", "G722", 9, 8_000),  # its clock is half its rate: RFC 3551 4.5.2
    LocalCodec("vp8", "video", "VP8", 96),
    LocalCodec("vp9", "video", "VP9", 98),
    LocalCodec("h264", "video", "H264", 102),
    LocalCodec("h265", "video", "H265", 104),
    LocalCodec("av1", "video", "AV1", 45),
)

PAYLOAD_TYPES = {
    kind: {codec.name: codec.payload_type for codec in LOCAL_CODECS if codec.kind == kind}
    for kind in ("audio", "video")
}
"""kind → codec name → payload type"""

AUDIO_LEVEL_ID = 1
"""of the header extension of RFC 6464 in packets that a local source is given"""

_BY_MIME = {f"{codec.kind}/{codec.name}": codec for codec in LOCAL_CODECS}


def codec_of(mime_type: str) -> LocalCodec:
    """Find the codec of `video/VP8` or `audio/opus`.

    Raises:
        MediaError: it is not forwarded here.
    """
    codec = _BY_MIME.get(mime_type.lower())
    if codec is None:
        known = ", ".join(f"{c.kind}/{c.spelling}" for c in LOCAL_CODECS)
        raise MediaError(f"no codec {mime_type!r} here; there are {known}")
    return codec
