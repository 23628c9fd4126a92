"""The one home of what encoders are told; everything else says codec, size, rate and purpose.

A recording is encoded once for all sinks: closed groups of pictures, no B frames (FLV and RTP want
none), no scene cuts, headers apart from the frames. What is published in real time is sent as it
comes out: no look-ahead, headers in every key frame, a bit rate that is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

from roomful.errors import MediaError

KEY_INTERVAL_S = 2
"""always, whatever else is asked for: segments and fragments are made of it"""


class Purpose(Enum):
    """What the encoded media is for."""

    RECORD = "record"
    """files and streams, by way of muxers"""
    PUBLISH = "publish"
    """a track of a room, by way of RTP: nothing may be late"""


@dataclass(frozen=True, slots=True)
class VideoOptions:
    """What a video encoder makes."""

    codec: str = "h264"
    """h264, vp8, vp9 or av1"""
    width: int = 1280
    height: int = 720
    """even, 16 to 8192"""
    fps: int = 30
    bit_rate: int = 3_000_000
    """bits a second"""
    purpose: Purpose = Purpose.RECORD
    profile: str = "main"
    """of H.264: baseline, main or high"""
    preset: str = ""
    """of H.264, where the usual one is too dear; empty: the usual one"""
    threads: int = 1

    def __post_init__(self) -> None:
        """Raise `MediaError` where no such encoder can be."""
        if self.codec not in VIDEO:
            raise MediaError(f"video codec {self.codec!r} is not encoded: {sorted(VIDEO)!r} are")
        for side in (self.width, self.height):
            if side % 2 or not 16 <= side <= 8192:
                raise MediaError(f"{self.width}x{self.height}: sides are even, from 16 to 8192")
        if not 1 <= self.fps <= 120:
            raise MediaError(f"{self.fps!r} frames a second: 1 to 120 can be")
        if not 10_000 <= self.bit_rate <= 200_000_000:
            raise MediaError(f"video of {self.bit_rate!r} bit/s: 10 k to 200 M can be")
        if self.profile not in H264_PROFILES:
            raise MediaError(f"H.264 profile {self.profile!r}: {list(H264_PROFILES)!r} are known")

    @property
    def time_base(self) -> Fraction:
        return Fraction(1, self.fps)

    @property
    def key_interval(self) -> int:
        """Frames from one key frame to the next."""
        return KEY_INTERVAL_S * self.fps


@dataclass(frozen=True, slots=True)
class AudioOptions:
    """What an audio encoder makes."""

    codec: str = "aac"
    """aac or opus"""
    rate: int = 48_000
    channels: int = 2
    bit_rate: int = 128_000

    def __post_init__(self) -> None:
        """Raise `MediaError` where no such encoder can be."""
        if self.codec not in AUDIO:
            raise MediaError(f"audio codec {self.codec!r} is not encoded: {sorted(AUDIO)!r} are")
        if self.rate not in AUDIO[self.codec].rates:
            known = AUDIO[self.codec].rates
            raise MediaError(f"{self.codec} of {self.rate!r} Hz is not encoded: {known!r} are")
        if self.channels not in (1, 2):
            raise MediaError(f"audio of {self.channels!r} channels: 1 or 2 can be")
        if not 6_000 <= self.bit_rate <= 510_000:
            raise MediaError(f"audio of {self.bit_rate!r} bit/s: 6 k to 510 k can be")

    @property
    def layout(self) -> str:
        """FFmpeg's name of the channels."""
        return "mono" if self.channels == 1 else "stereo"


@dataclass(frozen=True, slots=True)
class VideoCodec:
    """How FFmpeg calls an encoder, and what it is told for each purpose."""

    encoder: str
    record: Callable[[VideoOptions], dict[str, str]]
    publish: Callable[[VideoOptions], dict[str, str]]


@dataclass(frozen=True, slots=True)
class AudioCodec:
    """The same for audio."""

    encoder: str
    format: str
    """of the samples"""
    rates: tuple[int, ...]
    options: dict[str, str]


H264_PROFILES = ("baseline", "main", "high")


def private_options(options: VideoOptions) -> dict[str, str]:
    """Return the encoder's own options."""
    codec = VIDEO[options.codec]
    make = codec.record if options.purpose is Purpose.RECORD else codec.publish
    return {"g": str(options.key_interval), **make(options)}


def _rate(options: VideoOptions, buffer_s: float) -> dict[str, str]:
    return {"maxrate": str(options.bit_rate), "bufsize": str(int(options.bit_rate * buffer_s))}


def _h264(options: VideoOptions, preset: str) -> dict[str, str]:
    return {
        "preset": options.preset or preset,
        "profile": options.profile,
        "keyint_min": str(options.key_interval),
        "sc_threshold": "0",
        "bf": "0",
        "flags": "+cgop",
        "forced-idr": "1",
    }


def _record_h264(options: VideoOptions) -> dict[str, str]:
    return {**_h264(options, "veryfast"), **_rate(options, 2.0)}


def _publish_h264(options: VideoOptions) -> dict[str, str]:
    return {**_h264(options, "superfast"), **_rate(options, 0.5), "tune": "zerolatency"}


def _vpx(options: VideoOptions, buffer_s: float) -> dict[str, str]:
    """libvpx is fast enough only as it is for real time, so recordings get the same."""
    return {
        "deadline": "realtime",
        "cpu-used": "8",
        "lag-in-frames": "0",
        "auto-alt-ref": "0",
        "static-thresh": "100",
        **_rate(options, buffer_s),
    }


def _record_vpx(options: VideoOptions) -> dict[str, str]:
    return _vpx(options, 2.0)


def _publish_vp8(options: VideoOptions) -> dict[str, str]:
    return {**_vpx(options, 0.6), "error-resilient": "default", "max-intra-rate": "400"}


def _publish_vp9(options: VideoOptions) -> dict[str, str]:
    # adaptive quantisation by cyclic refresh, as browsers do
    return {**_vpx(options, 0.6), "error-resilient": "default", "aq-mode": "3"}


def _av1(options: VideoOptions) -> dict[str, str]:
    """Low delay knows constant bit rates only; one thread, or it takes all cores."""
    return {
        "preset": "12",
        "svtav1-params": f"rtc=1:pred-struct=1:rc=2:lp={options.threads}:force-key-frames=1",
    }


VIDEO = {
    "h264": VideoCodec("libx264", _record_h264, _publish_h264),
    "vp8": VideoCodec("libvpx", _record_vpx, _publish_vp8),
    "vp9": VideoCodec("libvpx-vp9", _record_vpx, _publish_vp9),
    "av1": VideoCodec("libsvtav1", _av1, _av1),
}
AUDIO = {
    "aac": AudioCodec("aac", "fltp", (8000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000), {}),
    "opus": AudioCodec(
        "libopus", "flt", (8000, 12_000, 16_000, 24_000, 48_000), {"frame_duration": "20"}
    ),
}
