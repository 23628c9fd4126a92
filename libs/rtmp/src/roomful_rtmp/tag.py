"""Bodies of FLV tags: what a frame is, classic (FLV 10.1, E.4) and enhanced (Enhanced RTMP v2).

A track's codec comes by a configuration (AVCDecoderConfigurationRecord, AudioSpecificConfig) and
may change by another one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from roomful.errors import RemoteProtocolError


class Part(Enum):
    """What a tag brings."""

    CONFIGURATION = "configuration"
    FRAME = "frame"
    END = "end"
    OTHER = "other"
    """nothing that is played: metadata, multitrack parts that are not taken"""


@dataclass(frozen=True, slots=True)
class Tag:
    """One tag's meaning."""

    part: Part
    codec: str
    """h264, h265, av1, vp9, vp8, aac, opus, mp3, … or `unknown 7`"""
    data: bytes = field(default=b"", repr=False)
    is_key: bool = False
    """video: can be decoded by itself"""
    composition_ms: int = 0
    """video: presentation minus decoding time, signed"""


_VIDEO_CODECS = {2: "h263", 3: "screen", 4: "vp6", 7: "h264", 8: "vp8", 12: "h265"}
_AUDIO_CODECS = {
    0: "pcm", 1: "adpcm", 2: "mp3", 3: "pcm", 7: "pcma", 8: "pcmu", 10: "aac", 11: "speex",
    13: "opus", 14: "mp3",
}  # fmt: skip
_FOURCC = {
    b"avc1": "h264", b"hvc1": "h265", b"av01": "av1", b"vp09": "vp9", b"vp08": "vp8",
    b"Opus": "opus", b"mp4a": "aac", b".mp3": "mp3", b"ac-3": "ac3", b"ec-3": "eac3",
    b"fLaC": "flac",
}  # fmt: skip
_ENHANCED_AUDIO = 9
_KEY_FRAME = 1
_MULTITRACK_VIDEO, _MODEX, _MULTITRACK_AUDIO = 6, 7, 5


def read_video(payload: bytes) -> Tag:
    """Read the body of a video tag. Raises `RemoteProtocolError`."""
    if not payload:
        raise RemoteProtocolError("a video tag is empty")
    first = payload[0]
    is_key = (first >> 4 & 7) == _KEY_FRAME
    if first & 0x80:
        return _enhanced_video(payload, is_key)
    number = first & 0x0F
    codec = _VIDEO_CODECS.get(number, f"unknown {number}")
    if codec not in ("h264", "h265"):
        return Tag(Part.FRAME, codec, payload[1:], is_key)
    if len(payload) < 5:
        raise RemoteProtocolError("a video tag is cut off")
    offset = int.from_bytes(payload[2:5], "big", signed=True)
    part = _part(payload[1])
    return Tag(part, codec, payload[5:], is_key, offset if part is Part.FRAME else 0)


def read_audio(payload: bytes) -> Tag:
    """Read the body of an audio tag. Raises `RemoteProtocolError`."""
    if not payload:
        raise RemoteProtocolError("an audio tag is empty")
    number = payload[0] >> 4
    if number == _ENHANCED_AUDIO:
        return _enhanced_audio(payload)
    codec = _AUDIO_CODECS.get(number, f"unknown {number}")
    if codec != "aac":
        return Tag(Part.FRAME, codec, payload[1:], is_key=True)
    if len(payload) < 2:
        raise RemoteProtocolError("an audio tag is cut off")
    return Tag(_part(payload[1]), codec, payload[2:], is_key=True)


def _part(kind: int) -> Part:
    return (Part.CONFIGURATION, Part.FRAME, Part.END)[kind] if kind <= 2 else Part.OTHER


def _codec(payload: bytes) -> str:
    fourcc = payload[1:5]
    if len(fourcc) < 4:
        raise RemoteProtocolError("a tag ends before its FourCC")
    return _FOURCC.get(fourcc, f"unknown {fourcc.decode('latin-1')!r}")


def _enhanced_video(payload: bytes, is_key: bool) -> Tag:
    kind = payload[0] & 0x0F
    if kind in (_MULTITRACK_VIDEO, _MODEX):
        return Tag(Part.OTHER, "multitrack")
    codec, data = _codec(payload), payload[5:]
    match kind:
        case 0:
            return Tag(Part.CONFIGURATION, codec, data, is_key)
        case 1 if codec in ("h264", "h265"):
            if len(data) < 3:
                raise RemoteProtocolError("a video tag is cut off")
            offset = int.from_bytes(data[:3], "big", signed=True)
            return Tag(Part.FRAME, codec, data[3:], is_key, offset)
        case 1 | 3:
            return Tag(Part.FRAME, codec, data, is_key)
        case 2:
            return Tag(Part.END, codec)
        case _:
            return Tag(Part.OTHER, codec)


def _enhanced_audio(payload: bytes) -> Tag:
    kind = payload[0] & 0x0F
    if kind in (_MULTITRACK_AUDIO, _MODEX):
        return Tag(Part.OTHER, "multitrack")
    codec, data = _codec(payload), payload[5:]
    part = Part.OTHER if kind > 2 else (Part.CONFIGURATION, Part.FRAME, Part.END)[kind]
    return Tag(part, codec, data, is_key=True)


def h264_configuration(record: bytes) -> bytes:
    """Return the body of the tag that carries an AVCDecoderConfigurationRecord."""
    return b"\x17\x00\0\0\0" + record


def h264_frame(nal_units: bytes, *, is_key: bool, composition_ms: int = 0) -> bytes:
    """Return the body of the tag for one access unit in length-prefixed NAL units."""
    head = bytes(((0x17 if is_key else 0x27), 1))
    return head + composition_ms.to_bytes(3, "big", signed=True) + nal_units


def aac_configuration(config: bytes) -> bytes:
    """Return the body of the tag that carries an AudioSpecificConfig."""
    return b"\xaf\x00" + config


def aac_frame(data: bytes) -> bytes:
    """Return the body of the tag for one raw AAC frame."""
    return b"\xaf\x01" + data
