"""Video decoders: pictures with their times, sizes that change, errors, memory."""

from __future__ import annotations

import random
from collections.abc import Callable

import av
import pytest

from roomful.errors import MediaError
from roomful_media.codecs.video import MOST_PIXELS, VideoDecoder
from roomful_rtc.payload.vp9_frames import superframe

from . import clips


@pytest.fixture(params=["vp8", "vp9", "av1", "h264"])
def codec(request: pytest.FixtureRequest) -> str:
    return request.param


def test_every_frame_becomes_a_picture_at_once(codec: str) -> None:
    decoder = VideoDecoder(codec)

    for number, frame in enumerate(clips.clip(codec)):
        (picture,) = decoder.decode(frame.data, 3000 * number + (1 << 33))
        assert picture.format.name == "yuv420p"
        assert (picture.width, picture.height) == (clips.WIDTH, clips.HEIGHT)
        assert picture.pts == 3000 * number + (1 << 33)
        assert abs(clips.shade(picture) - number) <= 1


def test_size_may_change_at_a_key_frame(codec: str) -> None:
    decoder = VideoDecoder(codec)
    small = clips.clip(codec, (160, 96), 3)

    sizes = [
        picture.width
        for number, frame in enumerate((*clips.clip(codec)[:3], *small))
        for picture in decoder.decode(frame.data, number)
    ]

    assert sizes == [320] * 3 + [160] * 3


def test_rubbish_is_an_error_and_a_key_frame_mends_it(codec: str) -> None:
    decoder, chance = VideoDecoder(codec), random.Random(3)
    good = clips.clip(codec)[0].data
    failures = 0
    for _ in range(50):
        try:
            decoder.decode(chance.randbytes(300), 0)
        except MediaError:
            failures += 1
    decoder.reset()

    (picture,) = decoder.decode(good, 9)

    assert failures > 0
    assert picture.pts == 9


def test_mutated_frames_raise_nothing_else(codec: str) -> None:
    decoder, chance = VideoDecoder(codec), random.Random(4)
    clip = clips.clip(codec)

    for number in range(300):
        data = bytearray(clip[number % len(clip)].data)
        for _ in range(chance.randint(1, 20)):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        del data[chance.randrange(len(data) // 2, len(data) + 1) :]
        try:
            decoder.decode(bytes(data), number)
        except MediaError:
            decoder.reset()


def test_frame_of_another_codec_is_no_picture(codec: str) -> None:
    decoder = VideoDecoder(codec)
    for other in {"vp8", "vp9", "av1", "h264"} - {codec}:
        try:
            assert decoder.decode(clips.clip(other)[0].data, 0) == []
        except MediaError:
            continue


def vp8_of(width: int, height: int) -> bytes:
    """A VP8 key frame header that promises a size."""
    return b"\x10\x02\x00\x9d\x01\x2a" + width.to_bytes(2, "little") + height.to_bytes(2, "little")


def test_picture_larger_than_all_reason_is_refused() -> None:
    assert 16383 * 16383 > MOST_PIXELS

    with pytest.raises(MediaError):
        VideoDecoder("vp8").decode(vp8_of(16383, 16383) + bytes(500), 0)


def test_pictures_of_one_time_are_one() -> None:
    first, second = clips.clip("vp9")[:2]

    (picture,) = VideoDecoder("vp9").decode(superframe([first.data, second.data]), 5)

    assert clips.shade(picture) == 1


def test_other_pixel_formats_become_planar(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 64, 64, "yuv444p"
    encoder.options = {"tune": "zerolatency"}
    encoder.time_base = clips.Fraction(1, 30)
    frame = clips.picture(0, 64, 64).reformat(format="yuv444p")
    frame.pts = 0
    (packet,) = encoder.encode(frame)

    (picture,) = VideoDecoder("h264").decode(bytes(packet), 7)

    assert (picture.format.name, picture.pts) == ("yuv420p", 7)


@pytest.mark.parametrize("make", [lambda: VideoDecoder("h266"), lambda: VideoDecoder("")])
def test_unknown_codec_is_told_the_known_ones(make: Callable[[], VideoDecoder]) -> None:
    with pytest.raises(MediaError, match="vp8, vp9, av1, h264"):
        make()
