"""Media encoded once at the start and sent over and over: an Opus tone, a VP8 picture of bars.

Every audio packet and the last packet of every picture end in eight bytes that decoders ignore and
the sender overwrites with the time, so that transit can be measured without decoding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import av
import numpy as np

from roomful_testing.clip import STAMP_BYTES, Film, Picture, Sound
from tests.interop.media import bars

STAMP = bytes(STAMP_BYTES)
SAMPLE_RATE, FRAME_SAMPLES = 48_000, 960
PIECE_BYTES = 1100
"""of a picture in one packet"""
_LEAD_IN = 5
_OPUS_ONE_FRAME, _OPUS_COUNTED = 0, 3
_PADDED_ONE = 0x41
_BEGINS, _CONTINUES = b"\x90\x80\x80\x00", b"\x80\x80\x80\x00"
"""VP8 payload descriptors with room for a picture id"""


@dataclass(frozen=True, slots=True)
class Show:
    """What a video publisher sends."""

    width: int = 1280
    height: int = 720
    per_second: int = 30
    bitrate: int = 1_500_000
    pictures: int = 60
    """then it begins again with its key frame"""


CAMERA = Show()
SMALL = Show(width=320, height=180, per_second=15, bitrate=200_000, pictures=60)
FILMS = {"camera": CAMERA, "small": SMALL}


@cache
def opus_tone(hertz: float = 440.0, loudness: int = 8_000) -> Sound:
    """One second of a tone: 50 packets of 20 ms with room for the stamp."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = SAMPLE_RATE, "mono", "s16"
    encoder.bit_rate = 32_000
    encoder.options = {"vbr": "on", "application": "audio"}
    packets: list[bytes] = []
    for number in range(50 + 2 * _LEAD_IN):
        phase = (np.arange(FRAME_SAMPLES) + number * FRAME_SAMPLES) * 2 * math.pi * hertz
        samples = (loudness * np.sin(phase / SAMPLE_RATE)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE, number * FRAME_SAMPLES
        packets += [_with_room(bytes(packet)) for packet in encoder.encode(frame)]
    return Sound(tuple(packets[_LEAD_IN : _LEAD_IN + 50]), stamped=True)


def _with_room(packet: bytes) -> bytes:
    """Repack one Opus frame as a counted one with padding, which is ignored (RFC 6716 3.2.5)."""
    toc = packet[0]
    if toc & 3 != _OPUS_ONE_FRAME:
        raise ValueError("the encoder put several frames into a packet")
    return bytes((toc | _OPUS_COUNTED, _PADDED_ONE, STAMP_BYTES)) + packet[1:] + STAMP


@cache
def vp8_film(show: Show = CAMERA, seed: int = 1) -> Film:
    """Only the first picture is a key frame; who asks for one gets the film from its begin."""
    random = np.random.default_rng(seed)
    encoder = av.CodecContext.create("libvpx", "w")
    encoder.width, encoder.height, encoder.pix_fmt = show.width, show.height, "yuv420p"
    encoder.bit_rate, encoder.gop_size = show.bitrate, show.pictures * 2
    encoder.thread_count = 1  # its threads wait for each other by spinning
    encoder.framerate = Fraction(show.per_second)
    encoder.time_base = Fraction(1, show.per_second)
    encoder.options = {
        "deadline": "realtime", "cpu-used": "16", "lag-in-frames": "0", "auto-alt-ref": "0",
        "minrate": str(show.bitrate), "maxrate": str(show.bitrate),
        "bufsize": str(show.bitrate), "undershoot-pct": "0",
    }  # fmt: skip
    still = np.ascontiguousarray(bars(show.width, show.height)[:, :, :3])
    edge = still[: show.height // 4].astype(np.int16)
    pictures: list[Picture] = []
    for number in range(show.pictures):
        # grain costs bits: a still picture would be far below its bit-rate
        grain = random.integers(-16, 17, (len(edge) // 4, show.width // 4, 1), dtype=np.int16)
        grain = grain.repeat(4, 0).repeat(4, 1)
        picture = still.copy()
        picture[: len(grain)] = (edge[: len(grain)] + grain).clip(0, 255)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame = frame.reformat(format="yuv420p")
        frame.pts = number
        pictures += [_pieces(bytes(packet) + STAMP) for packet in encoder.encode(frame)]
    return Film(
        "vp8", show.width, show.height, show.per_second, show.bitrate, tuple(pictures),
        dict.fromkeys(range(show.pictures), tuple(pictures)), stamped=True,
    )  # fmt: skip


def _pieces(picture: bytes) -> Picture:
    """Cut so that the stamp stays whole; a payload descriptor before each piece."""
    count = -(-len(picture) // PIECE_BYTES)
    size = -(-len(picture) // count)
    pieces = [picture[at : at + size] for at in range(0, len(picture), size)]
    if len(pieces[-1]) < STAMP_BYTES:
        last = pieces.pop()
        pieces[-1] += last
    return tuple((_CONTINUES if number else _BEGINS) + piece for number, piece in enumerate(pieces))
