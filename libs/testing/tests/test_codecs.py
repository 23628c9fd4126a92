"""Marks survive real codecs at low bit rates."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
import pytest

from roomful_testing import card, tone
from roomful_testing.measure import COLOUR_TOLERANCE, Measure
from roomful_testing.report import Report

RATE = 48_000
BEGIN_US = 86_400_650_000
PICTURES = 45
"""of 30 a second: two flashes at least"""
STEP_US = 33_333

VIDEO = {
    "vp8": ("libvpx", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}),
    "h264": ("libx264", {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline"}),
    "vp9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}),
    # presets of 10 and above leave wrong blocks standing in pictures as flat as these
    "av1": ("libsvtav1", {"preset": "8", "svtav1-params": "pred-struct=1:rc=2:lp=1"}),
}


def pictures(name: str, width: int, height: int, bit_rate: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (media time drawn, picture decoded)."""
    encoder_name, options = VIDEO[name]
    encoder = av.CodecContext.create(encoder_name, "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.bit_rate, encoder.time_base = bit_rate, Fraction(1, 30)
    encoder.framerate, encoder.gop_size = Fraction(30), 300
    encoder.options = options
    decoder = av.CodecContext.create({"av1": "libdav1d"}.get(name, name), "r")

    def packets() -> Iterator[av.Packet]:
        for number in range(PICTURES):
            at = BEGIN_US + number * STEP_US
            drawn = card.draw(at, width, height, source=5)
            frame = av.VideoFrame.from_ndarray(drawn, format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 30)
            yield from encoder.encode(frame)
        yield from encoder.encode(None)

    for packet in packets():
        for frame in decoder.decode(packet):
            yield BEGIN_US + frame.pts * STEP_US, frame.to_ndarray(format="yuv420p")
    for frame in decoder.decode(None):
        yield BEGIN_US + frame.pts * STEP_US, frame.to_ndarray(format="yuv420p")


def opus(samples: np.ndarray, *, bit_rate: int, rate: int, application: str) -> np.ndarray:
    """Encode and decode; what the codec puts in front is taken off."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = rate, "mono", "flt"
    encoder.bit_rate, encoder.options = bit_rate, {"application": application}
    decoder = av.CodecContext.create("libopus", "r")
    decoder.sample_rate, decoder.layout = RATE, "mono"
    decoded: list[np.ndarray] = []
    size = rate // 50
    frames = [samples[at : at + size] for at in range(0, len(samples) - size + 1, size)]
    for number, part in enumerate(frames):
        frame = av.AudioFrame.from_ndarray(part.reshape(1, -1), format="flt", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, number * size, Fraction(1, rate)
        for packet in encoder.encode(frame):
            decoded += [heard.to_ndarray().reshape(-1) for heard in decoder.decode(packet)]
    delay = int.from_bytes(encoder.extradata[10:12], "little")  # RFC 7845 section 5.1: pre-skip
    whole = np.concatenate(decoded)
    return (whole / 32768 if whole.dtype == np.int16 else whole)[delay:]


@pytest.mark.parametrize(
    ("width", "height", "bit_rate"),
    [(320, 180, 100_000), (640, 360, 200_000), (1280, 720, 500_000)],
)
@pytest.mark.parametrize("name", VIDEO)
def test_card_is_read_after_a_video_codec_at_low_bit_rate(name, width, height, bit_rate):
    measure = Measure()
    for drawn_us, picture in pictures(name, width, height, bit_rate):
        reading = card.read(picture)
        assert reading is not None
        assert abs(reading.time_us - drawn_us) <= 500
        assert reading.source == 5
        assert reading.is_lit == (drawn_us % 1_000_000 < 100_000)
        measure.see(reading, drawn_us)

    report = measure.report()

    assert (report.pictures, report.unreadable) == (PICTURES, 0)
    assert report.worst_colour < COLOUR_TOLERANCE
    assert report.flashes == 2


@pytest.mark.parametrize("rate", [48_000, 16_000, 8_000])
@pytest.mark.parametrize("application", ["voip", "audio"])
def test_marks_are_heard_after_opus_at_24_kbit(rate, application):
    start_us = 86_400_500_000
    sent = tone.samples(start_us, 3 * rate, rate, hertz=392.0)

    heard = tone.read(
        opus(sent, bit_rate=24_000, rate=rate, application=application), RATE, start_us
    )

    assert heard.hertz == pytest.approx(392, abs=0.5)
    assert heard.level_dbfs == pytest.approx(tone.TONE_LEVEL_DBFS, abs=1.5)
    errors = [(beep + 500_000) % 1_000_000 - 500_000 for beep in heard.beeps_us]
    assert len(errors) == 3
    assert max(map(abs, errors)) < 1_000, errors


def test_offset_of_coded_sound_and_pictures_is_measured() -> None:
    measure = Measure()
    for drawn_us, picture in pictures("vp8", 640, 360, 200_000):
        measure.see(card.read(picture), drawn_us + 30_000)
    sound = opus(
        tone.samples(BEGIN_US, 2 * RATE, RATE), bit_rate=24_000, rate=RATE, application="audio"
    )
    for at in range(0, len(sound) - 959, 960):
        measure.hear(sound[at : at + 960], RATE, BEGIN_US + at * 1_000_000 // RATE)

    report: Report = measure.report()

    assert report.sync is not None
    assert report.sync.pairs == 2
    assert report.sync.offset_ms.median == pytest.approx(30, abs=1.5)
