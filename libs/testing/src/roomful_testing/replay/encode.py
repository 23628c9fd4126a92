"""Clips from programs, with PyAV: takes about a second, once."""

# PyAV leaves type arguments open in its stubs
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, cast

import av
import numpy as np

from roomful_testing import card, tone
from roomful_testing.clip import SOUND_PER_SECOND, SOUND_TICKS, Film, Picture, Sound
from roomful_testing.payload import cut
from roomful_testing.replay.program import FilmProgram, SoundProgram

if TYPE_CHECKING:
    from av.audio.codeccontext import AudioCodecContext
    from av.video.codeccontext import VideoCodecContext

_RATE = SOUND_PER_SECOND * SOUND_TICKS
_LEAD_IN = 1
"""seconds before the loop: what the encoder remembers at its end it remembers at its begin"""
_GRAIN = 24
_GAPS = ((0.21, 0.25), (0.79, 0.83))
"""parts of a card's height that say nothing"""
_ENCODERS = {
    "vp8": (
        "libvpx",
        {"deadline": "realtime", "cpu-used": "12", "lag-in-frames": "0", "auto-alt-ref": "0"},
    ),
    "h264": (
        "libx264",
        {"preset": "veryfast", "tune": "zerolatency", "profile": "baseline", "level": "3.1"},
    ),
}


def film(program: FilmProgram) -> Film:
    """Encode a film, and what is sent from each of its entries on."""
    codec = program.codec
    drawn = [_drawn(program, place) for place in range(program.pictures)]
    entries: dict[int, tuple[Picture, ...]] = {}
    for place in range(0, program.pictures, program.entry_every):
        entries[place] = tuple(cut(codec, data) for data in _encoded(program, drawn[place:]))
    return Film(
        codec, program.width, program.height, program.per_second, program.bitrate,
        entries[0], entries,
    )  # fmt: skip


def sound(program: SoundProgram) -> Sound:
    """Encode a sound; what is heard of packet n belongs to n · 20 ms."""
    encoder = cast("AudioCodecContext", av.CodecContext.create("libopus", "w"))
    encoder.sample_rate, encoder.layout, encoder.format = _RATE, "mono", "flt"
    encoder.bit_rate, encoder.time_base = program.bitrate, Fraction(1, _RATE)
    encoder.options = {"vbr": "on", "application": "audio"}
    encoder.open()
    assert encoder.extradata is not None
    # RFC 7845 section 5.1: by so much decoders are late; the encoder gets everything earlier
    early = int.from_bytes(encoder.extradata[10:12], "little")
    packets: list[bytes] = []
    for number in range((_LEAD_IN + 1) * SOUND_PER_SECOND + 1):
        begin = early + number * SOUND_TICKS
        samples = tone.samples(begin * 1_000_000 // _RATE, SOUND_TICKS, _RATE, program.hertz)
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="flt", layout="mono")
        frame.sample_rate, frame.pts = _RATE, number * SOUND_TICKS
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    first = _LEAD_IN * SOUND_PER_SECOND
    return Sound(tuple(packets[first : first + SOUND_PER_SECOND]))


def _encoded(program: FilmProgram, drawn: Sequence[card.Picture]) -> Iterator[bytes]:
    """Pictures of which the first is the only key frame."""
    name, options = _ENCODERS[program.codec]
    encoder = cast("VideoCodecContext", av.CodecContext.create(name, "w"))
    encoder.width, encoder.height, encoder.pix_fmt = program.width, program.height, "yuv420p"
    encoder.framerate, encoder.time_base = (
        Fraction(program.per_second),
        Fraction(1, program.per_second),
    )
    encoder.gop_size = program.pictures * 2
    encoder.thread_count = 1  # its threads would wait for each other by spinning
    encoder.bit_rate, rate = program.bitrate, str(program.bitrate)
    encoder.options = {**options, "minrate": rate, "maxrate": rate, "bufsize": rate}
    for number, picture in enumerate(drawn):
        frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
        frame.pts, frame.time_base = number, encoder.time_base
        yield b"".join(bytes(packet) for packet in encoder.encode(frame))


def _drawn(program: FilmProgram, place: int) -> card.Picture:
    """The card with grain in its gaps: a still picture would be far below its bit rate."""
    picture = card.draw(program.time_us(place), program.width, program.height, program.source)
    random = np.random.default_rng(place)
    for part in _GAPS:
        top, bottom = (round(edge * program.height) for edge in part)
        rows = picture[top:bottom]
        rows[:] = random.integers(128 - _GRAIN, 129 + _GRAIN, rows.shape, np.uint8)
    return picture
