"""Short clips from real encoders, and decoding them again."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from typing import NamedTuple

import av
import numpy as np

WIDTH, HEIGHT, PICTURES, PER_SECOND = 320, 180, 40, 30
ENCODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9", "av1": "libsvtav1", "h264": "libx264"}
DECODERS = {"vp8": "vp8", "vp9": "vp9", "av1": "libdav1d", "h264": "h264"}
_LIBVPX = {
    "deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "auto-alt-ref": "0",
}  # fmt: skip
_OPTIONS = {
    "vp8": _LIBVPX,
    "vp9": _LIBVPX,
    "av1": {"preset": "11", "crf": "45", "svtav1-params": "pred-struct=1:lp=1"},
    "h264": {"preset": "ultrafast", "tune": "zerolatency"},
}


class Encoded(NamedTuple):
    """One frame of a clip."""

    data: bytes
    key: bool


def picture(number: int, width: int = WIDTH, height: int = HEIGHT) -> av.VideoFrame:
    """A grey slope that moves, with a field whose shade counts, and grain that costs bits."""
    chance = np.random.default_rng(number)
    rows = np.arange(height)[:, None] + np.arange(width)[None, :] + 4 * number
    shades = (rows % 200 + 20).astype(np.uint8)
    shades[: height // 2] += chance.integers(0, 24, (height // 2, width), dtype=np.uint8)
    shades[-height // 4 :, : width // 4] = 40 + 4 * (number % 40)
    planes = np.full((height * 3 // 2, width), 128, np.uint8)
    planes[:height] = shades
    return av.VideoFrame.from_ndarray(planes, format="yuv420p")


def shade(frame: av.VideoFrame) -> int:
    """Number of a decoded picture, by its field."""
    plane = frame.planes[0]
    shades = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: frame.height]
    return round((shades[-frame.height // 6 : -8, 8 : frame.width // 6].mean() - 40) / 4)


@cache
def clip(
    codec: str,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    pictures: int = PICTURES,
    bitrate: int = 600_000,
    key_every: int = 20,
) -> tuple[Encoded, ...]:
    """Encode a clip with a key frame each `key_every` pictures."""
    encoder = av.CodecContext.create(ENCODERS[codec], "w")
    encoder.width, encoder.height, encoder.pix_fmt = *size, "yuv420p"
    encoder.gop_size, encoder.thread_count = key_every, 1
    if codec != "av1":
        encoder.bit_rate = bitrate
    encoder.framerate, encoder.time_base = Fraction(PER_SECOND), Fraction(1, PER_SECOND)
    encoder.options = _OPTIONS[codec] | ({"keyint_min": str(key_every)} if codec == "h264" else {})
    made: list[Encoded] = []
    for number in range(pictures):
        frame = picture(number, *size)
        frame.pts = number
        made += [Encoded(bytes(packet), packet.is_keyframe) for packet in encoder.encode(frame)]
    made += [Encoded(bytes(packet), packet.is_keyframe) for packet in encoder.encode(None)]
    assert len(made) == pictures
    return tuple(made)


def decode(codec: str, frames: Sequence[bytes]) -> list[av.VideoFrame]:
    """Decode frames; raises what FFmpeg raises."""
    decoder = av.CodecContext.create(DECODERS[codec], "r")
    decoder.thread_count = 1
    shown: list[av.VideoFrame] = []
    for number, data in enumerate(frames):
        packet = av.Packet(data)
        packet.pts = number
        shown += decoder.decode(packet)
    return [*shown, *decoder.decode(None)]
