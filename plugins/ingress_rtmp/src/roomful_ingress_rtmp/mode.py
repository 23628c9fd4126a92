"""Whether video goes on as it is: a pure function of configuration and first key frame.

What browsers decode: H.264 of three profiles, 4:2:0, 8 bit, progressive, without B-frames (their
decoders show frames in the order they come). B-frames of usual encoders show in the very first key
frame: it is composed later than it is decoded.
"""

from __future__ import annotations

from roomful_rtmp.avc import SpsInfo

PROFILES = {66: "baseline", 77: "main", 100: "high"}
DECODABLE = frozenset({"h264", "h265", "av1", "vp9", "vp8"})
AUDIO_DECODABLE = frozenset({"aac", "mp3", "pcma", "pcmu", "opus"})


def why_transcode(info: SpsInfo, composition_ms: int) -> str:
    """Return why H.264 cannot go on as it is, empty where it can."""
    if info.profile not in PROFILES:
        return f"H.264 profile {info.profile} is not played by browsers"
    if not info.is_420_8bit:
        return "H.264 with another sampling than 4:2:0, or more than 8 bit"
    if not info.is_progressive:
        return "interlaced H.264"
    if composition_ms:
        return "B-frames"
    return ""
