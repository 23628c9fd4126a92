"""The melody as samples."""

import numpy as np
import pytest

from roomful_demo.hearing import level_dbfs, measure
from roomful_demo.melody import LEVEL_DBFS, NOTE_S, SAMPLE_RATE, TUNE, TUNE_S, position, samples


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


def test_the_tune_begins_anew() -> None:
    assert position(0.0) == (0, 0.0)
    assert position(TUNE_S + NOTE_S * 1.5) == (1, pytest.approx(0.5))
    assert np.array_equal(samples(round(TUNE_S * SAMPLE_RATE), 4800), samples(0, 4800))
    assert level_dbfs(samples(0, round(TUNE_S * SAMPLE_RATE))) < 0
