"""Recognising the marker, and saying what is wrong with what is not it."""

from collections.abc import Iterable
from fractions import Fraction

import av
import numpy as np
import pytest

from roomful_demo.picture import FRAMES_PER_S, HEIGHT, WIDTH, Picture, paint
from roomful_demo.seeing import Eye, find_marker


def film(frames: int = 30) -> list[Picture]:
    return [np.ascontiguousarray(paint(n / FRAMES_PER_S)[:, :, :3]) for n in range(frames)]


def look(pictures: Iterable[Picture], per_s: float = FRAMES_PER_S) -> Eye:
    eye = Eye()
    for number, picture in enumerate(pictures):
        eye.take(picture, 100 + number / per_s)
    return eye


def test_the_film_is_seen() -> None:
    eye = look(film())

    assert eye.missing() is None
    assert eye.size == (WIDTH, HEIGHT)
    assert eye.frames_per_s == pytest.approx(FRAMES_PER_S)
    assert eye.first_at_s == 100


def test_the_film_is_seen_after_vp8_at_a_low_bit_rate() -> None:
    eye = look(through_vp8(film(), bits_per_s=60_000))

    assert eye.frames == 30
    assert eye.missing() is None


def test_without_frames_it_says_how_many_there_were() -> None:
    assert Eye().missing() == "0 frames were decoded"
    assert look(film(3)).missing() == "3 frames were decoded"


@pytest.mark.parametrize("brightness", [0, 16])
def test_black_is_named(brightness: int) -> None:
    black = np.full((HEIGHT, WIDTH, 3), brightness, np.uint8)

    missing = look([black] * 30).missing()

    assert missing == f"it is black (brightness {brightness} of 255)"


def test_a_picture_without_the_marker_is_named() -> None:
    grey = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)

    assert look([grey] * 30).missing() == "the marker is not in it"


def test_swapped_red_and_blue_are_not_the_marker() -> None:
    assert look(picture[:, :, ::-1] for picture in film()).missing() is not None


def test_a_faded_marker_is_named_with_its_colour() -> None:
    missing = look((picture * 0.7).astype(np.uint8) for picture in film()).missing()

    assert missing is not None
    assert missing.startswith("the marker is rgb(178, 85, 32) instead of rgb(")


def test_a_picture_that_stands_still_is_named() -> None:
    assert look(film(1) * 30).missing() == "the marker does not move"


def test_too_few_frames_a_second_are_named() -> None:
    missing = look(film(), per_s=4).missing()

    assert missing == "4.0 frames/s instead of 15"


def test_the_marker_is_found_where_it_is_at_any_size() -> None:
    large = np.repeat(np.repeat(film(1)[0], 3, axis=0), 3, axis=1)

    small, big = find_marker(film(1)[0]), find_marker(large)

    assert small is not None and big is not None
    assert small.x == pytest.approx(big.x, abs=0.01)
    assert small.y == pytest.approx(big.y, abs=0.01)


def through_vp8(pictures: list[Picture], *, bits_per_s: int) -> list[Picture]:
    """Encode and decode."""
    encoder = av.CodecContext.create("libvpx", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.time_base = Fraction(1, FRAMES_PER_S)
    encoder.bit_rate = bits_per_s
    encoder.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
    decoder = av.CodecContext.create("vp8", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    packets = []
    for number, picture in enumerate(pictures):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts = number
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    decoded = [frame for packet in packets for frame in decoder.decode(packet)]
    return [frame.to_ndarray(format="rgb24") for frame in decoded + decoder.decode(None)]
