"""A card says what was drawn at every size, and nothing where it cannot be read."""

from time import process_time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomful_testing import card

SIZES = [(320, 180), (640, 360), (854, 480), (1280, 720), (1920, 1080), (720, 1280), (160, 90)]


def scaled(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """Nearest neighbours: the worst of scalers."""
    was = picture.shape[1], picture.shape[0] * 2 // 3
    rows = np.arange(height) * was[1] // height
    columns = np.arange(width) * was[0] // width
    luma = picture[: was[1]][rows][:, columns]
    planes = picture[was[1] :].reshape(2, was[1] // 2, was[0] // 2)
    chroma = planes[:, rows[::2] // 2][:, :, columns[::2] // 2]
    return np.concatenate((luma, chroma.reshape(height // 2, width)))


@given(st.integers(0, (1 << 40) * 1000 - 501), st.integers(0, 255), st.sampled_from(SIZES))
def test_card_says_what_was_drawn(time_us, source, size):
    reading = card.read(card.draw(time_us, *size, source))

    assert reading is not None
    assert abs(reading.time_us - time_us) <= 500
    assert reading.source == source
    assert reading.is_lit == (time_us % 1_000_000 < 100_000)
    assert reading.error == 0.0
    assert len(reading.bars) == len(card.COLOURS)


@pytest.mark.parametrize("size", SIZES[:-1])
def test_card_reads_the_same_after_scaling(size):
    for small in ((320, 180), (426, 240), (1920, 1080)):
        reading = card.read(scaled(card.draw(123_456_789_000, *size, 9), *small))

        assert reading is not None
        assert (reading.time_us, reading.source) == (123_456_789_000, 9)
        assert reading.error <= 1.0


def test_noise_and_less_contrast_are_borne():
    picture = card.draw(5_000_000, 640, 360).astype(float)
    noise = np.random.default_rng(1).normal(0, 25, picture.shape)
    spoilt = (picture * 0.6 + 40 + noise).clip(0, 255).astype(np.uint8)

    reading = card.read(spoilt)

    assert reading is not None
    assert reading.time_us == 5_000_000
    assert reading.is_lit
    assert reading.error > 10


def test_swapped_colours_are_an_error_of_that_size():
    picture = card.draw(1_000_000, 640, 360)
    chroma = picture[360:].reshape(2, -1)
    chroma[:] = chroma[::-1].copy()

    reading = card.read(picture)

    assert reading is not None
    assert reading.error > 80


def test_every_single_block_that_flips_is_noticed():
    picture = card.draw(77_777_000, 640, 360)
    for top, bottom in ((11, 40), (47, 76)):
        for block in range(32):
            spoilt = picture.copy()
            part = spoilt[top - 2 : bottom + 2, block * 20 : block * 20 + 20]
            part[:] = 251 - part
            assert card.read(spoilt) is None


@pytest.mark.parametrize("shape", [(270, 320), (270, 321), (30, 32), (1, 1)])
def test_what_is_no_card_is_not_read(shape):
    noise = np.random.default_rng(1).integers(0, 255, shape, dtype=np.uint8)

    assert card.read(noise) is None
    assert card.read(np.zeros(shape, np.uint8)) is None


@pytest.mark.parametrize(("width", "height"), [(321, 180), (320, 181), (32, 32)])
def test_size_that_cannot_be_is_refused(width, height):
    with pytest.raises(ValueError, match="sides must be even"):
        card.draw(0, width, height)


@pytest.mark.parametrize("source", [-1, 256])
def test_source_that_is_no_byte_is_refused(source):
    with pytest.raises(ValueError, match="is no byte"):
        card.draw(0, 320, 180, source)


def test_card_among_others_is_read_by_itself():
    whole = np.full((720 * 3 // 2, 1280), 100, np.uint8)
    luma, chroma = whole[:720], whole[720:].reshape(2, 360, 640)
    for source, (left, top) in enumerate([(0, 0), (642, 0), (0, 364)]):
        drawn = card.draw(7_000_000, 320, 180, source)
        luma[top : top + 180, left : left + 320] = drawn[:180]
        planes = drawn[180:].reshape(2, 90, 160)
        chroma[:, top // 2 : top // 2 + 90, left // 2 : left // 2 + 160] = planes

    readings = [
        card.read(card.crop(whole, left, top, 320, 180))
        for left, top in [(0, 0), (642, 0), (0, 364), (642, 364)]
    ]

    assert [reading and (reading.source, reading.error) for reading in readings] == [
        (0, 0.0), (1, 0.0), (2, 0.0), None
    ]  # fmt: skip


@pytest.mark.parametrize(
    "box", [(1, 0, 64, 64), (0, 0, 65, 64), (-2, 0, 64, 64), (258, 0, 64, 64), (0, 118, 64, 64)]
)
def test_part_that_is_odd_or_outside_is_refused(box):
    with pytest.raises(ValueError, match="odd or not within"):
        card.crop(card.draw(0, 320, 180), *box)


def test_drawn_cards_are_their_takers_to_change():
    card.draw(0, 320, 180)[:] = 0

    assert card.read(card.draw(0, 320, 180)) is not None


def test_card_of_720p_costs_less_than_a_millisecond_to_draw():
    def cost_ms() -> float:
        begin = process_time()
        for number in range(20):
            card.draw(number * 33_333, 1280, 720)
        return (process_time() - begin) / 20 * 1000

    assert min(cost_ms() for _ in range(5)) < 1.0
