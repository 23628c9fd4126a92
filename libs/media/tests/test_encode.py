"""Encoders, by what decoders make of their packets."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from roomful.errors import MediaError
from roomful_media.encode import AudioEncoder, AudioOptions, Purpose, VideoEncoder, VideoOptions

CODECS = ("h264", "vp8", "vp9", "av1")
DECODERS = {"h264": "h264", "vp8": "vp8", "vp9": "vp9", "av1": "libdav1d"}


def publisher(codec: str, **more) -> VideoEncoder:
    options = {"width": 320, "height": 180, "bit_rate": 400_000, **more}
    return VideoEncoder(VideoOptions(codec, purpose=Purpose.PUBLISH, **options))


@pytest.mark.parametrize("codec", CODECS)
def test_what_is_published_comes_out_at_once_and_decodes_from_any_key_frame(
    codec, media_picture
) -> None:
    encoder, packets = publisher(codec), []
    for number in range(100):
        if number == 37:
            encoder.force_key()
        made = encoder.encode(media_picture(number), number)
        assert len(made) == 1, number
        packets += made

    # every two seconds whatever was forced between
    assert [packet.pts for packet in packets if packet.key] == [0, 37, 60]
    assert all(packet.dts == packet.pts and packet.duration == 1 for packet in packets)
    decoder = av.CodecContext.create(DECODERS[codec], "r")
    decoder.thread_count = 1
    frames = [f for packet in packets[37:] for f in decoder.decode(packet.copied())]
    frames += decoder.decode(None)
    assert len(frames) == 63
    luma = frames[5].to_ndarray()[90, 80]
    assert abs(int(luma) - 170) <= 8
    assert encoder.flush() == []


@pytest.mark.parametrize("codec", CODECS)
def test_the_bit_rate_is_kept(codec) -> None:
    encoder = publisher(codec, bit_rate=300_000)
    noise = np.random.default_rng(1)
    size = 0
    for number in range(120):
        frame = av.VideoFrame(320, 180, "yuv420p")
        for plane in frame.planes:
            area = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
            area[:] = noise.integers(96, 160, (area.shape[0] // 4 + 1, 1)).repeat(4, 0)[: len(area)]
        size += sum(len(packet.data) for packet in encoder.encode(frame, number))

    assert size * 8 / 4 < 1.5 * 300_000


def test_h264_of_a_publisher_has_its_headers_in_each_key_frame(media_picture) -> None:
    encoder = publisher("h264", profile="baseline")
    packets = [p for n in range(61) for p in encoder.encode(media_picture(n), n)]

    keys = [packet.data for packet in packets if packet.key]
    assert len(keys) == 2
    for data in keys:
        kinds = {data[at + 3] & 31 for at in range(len(data) - 3) if data[at : at + 3] == b"\0\0\1"}
        assert {7, 8, 5} <= kinds


@pytest.mark.parametrize("codec", ["aac", "opus"])
@pytest.mark.parametrize("channels", [1, 2])
def test_sound_in_blocks_of_any_size_becomes_whole_frames(codec, channels) -> None:
    encoder = AudioEncoder(AudioOptions(codec, channels=channels))
    at = np.arange(48_000) / 48_000
    wave = np.repeat((0.3 * np.sin(2 * np.pi * 440 * at)).astype(np.float32)[:, None], channels, 1)
    packets, first = [], 0
    for size in (1, 7, 960, 4000, 480, 100_000):
        packets += encoder.encode(wave[first : first + size])
        first += size
    packets += encoder.flush()

    times = [packet.seconds for packet in packets]
    assert times == sorted(times)
    assert packets[0].seconds <= 0
    assert float(packets[-1].end_s) == pytest.approx(1.0, abs=0.045)
    assert all(packet.key and packet.track == "audio" for packet in packets)
    assert packets[0].time_base == Fraction(1, 48_000)


def test_frames_and_samples_of_another_shape_are_refused(media_picture) -> None:
    encoder = publisher("vp8")
    with pytest.raises(MediaError, match="640x360 in an encoder of 320x180"):
        encoder.encode(media_picture(0, 640, 360), 0)
    with pytest.raises(MediaError, match="rgb24"):
        encoder.encode(av.VideoFrame(320, 180, "rgb24"), 0)
    with pytest.raises(MediaError, match="2 channels"):
        AudioEncoder(AudioOptions()).encode(np.zeros((960, 1), np.float32))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"codec": "theora"}, "'theora' is not encoded: .*'av1'"),
        ({"width": 1281}, "1281x720"),
        ({"height": 8}, "1280x8"),
        ({"fps": 0}, "0 frames"),
        ({"bit_rate": 5}, "5 bit/s"),
        ({"profile": "ultra"}, "'ultra'"),
    ],
)
def test_options_that_cannot_be_are_refused(options, match) -> None:
    with pytest.raises(MediaError, match=match):
        VideoOptions(**options)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"codec": "mp3"}, "'mp3' is not encoded"),
        ({"codec": "opus", "rate": 44_100}, "44100 Hz"),
        ({"channels": 6}, "6 channels"),
        ({"bit_rate": 1}, "1 bit/s"),
    ],
)
def test_audio_options_that_cannot_be_are_refused(options, match) -> None:
    with pytest.raises(MediaError, match=match):
        AudioOptions(**options)


def test_what_ffmpeg_does_not_take_is_an_error_of_the_media() -> None:
    with pytest.raises(MediaError, match="libx264 does not take"):
        VideoEncoder(VideoOptions(preset="nonsense"))
