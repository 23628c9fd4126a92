"""The melody as samples."""

import numpy as np
import pytest

from roomful_demo.hearing import level_dbfs, measure
from roomful_demo.melody import (
    LEVEL_DBFS,
    NOTE_S,
    REST,
    SAMPLE_RATE,
    TUNE,
    TUNE_S,
    Moment,
    moment,
    samples,
)


def test_blocks_put_together_are_the_whole() -> None:
    blocks = [samples(start, 960) for start in range(0, SAMPLE_RATE, 960)]

    assert np.array_equal(np.concatenate(blocks), samples(0, SAMPLE_RATE))


@pytest.mark.parametrize("index", range(len(TUNE)))
def test_every_note_sounds_at_its_frequency_and_level(index: int) -> None:
    begin = int((index * NOTE_S + NOTE_S / 4) * SAMPLE_RATE)

    tone = measure(samples(begin, SAMPLE_RATE // 5))

    assert tone.hertz == pytest.approx(TUNE[index].hertz, abs=1.0)
    assert tone.note is TUNE[index]
    assert tone.level_dbfs == pytest.approx(LEVEL_DBFS, abs=0.5)


def test_notes_begin_and_end_without_a_click() -> None:
    sound = samples(0, round(TUNE_S * SAMPLE_RATE)).astype(int)

    assert np.abs(np.diff(sound)).max() < 1200


def test_the_tune_ends_with_a_rest_and_begins_anew() -> None:
    rest = samples(round(NOTE_S * len(TUNE) * SAMPLE_RATE), round(NOTE_S * REST * SAMPLE_RATE))

    assert not rest.any()
    assert np.array_equal(samples(round(TUNE_S * SAMPLE_RATE), 4800), samples(0, 4800))
    assert level_dbfs(samples(0, 4800)) < 0


def test_a_moment_is_a_note_and_how_far_it_is_gone() -> None:
    last = len(TUNE) - 1

    assert moment(0.0) == Moment(0, 0.0, True)
    assert moment(TUNE_S + NOTE_S * 1.5) == Moment(1, pytest.approx(0.5), True)
    assert moment(NOTE_S * (last + 0.3)) == Moment(last, pytest.approx(0.1), True)
    assert moment(NOTE_S * (last + 2.4)) == Moment(last, pytest.approx(0.8), False)
