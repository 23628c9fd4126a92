"""Blocks become runs; each chirp is heard once, wherever the runs are cut."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roomful_testing import tone
from roomful_testing.ear import Ear

RATE = 8_000


def feed(ear: Ear, begin_us: int, seconds: float, block: int = 160) -> list[tone.Heard]:
    heard = []
    for number in range(round(seconds * ear.rate / block)):
        at = begin_us + round(number * block * 1_000_000 / ear.rate)
        heard += ear.add(tone.samples(at, block, ear.rate), at)
    return heard


def beeps(heard: list[tone.Heard]) -> list[int]:
    return [beep for one in heard for beep in one.beeps_us]


@settings(max_examples=30)
@given(st.integers(0, 2_000_000), st.integers(40, 2_000))
def test_every_chirp_is_heard_once_wherever_runs_are_cut(begin_us, block):
    ear = Ear(RATE)
    heard = feed(ear, begin_us, 5.0, block) + ear.rest()

    seconds = [round(beep / 1e6) for beep in beeps(heard)]
    end_us = begin_us + 5_000_000 - block * 1_000_000 // RATE - 40_000
    whole = [second for second in range(8) if begin_us <= second * 1_000_000 <= end_us]
    assert seconds == sorted(set(seconds))
    assert set(whole) <= set(seconds)
    assert all(abs(beep - round(beep / 1e6) * 1_000_000) < 100 for beep in beeps(heard))


def test_rest_is_heard_without_being_taken():
    ear = Ear(RATE)
    assert feed(ear, 900_000, 0.5) == []

    assert beeps(ear.rest()) == beeps(ear.rest()) == [1_000_000]
    assert beeps(feed(ear, 1_400_000, 0.6)) == [1_000_000]


def test_hole_in_a_track_begins_anew_with_the_right_time():
    ear = Ear(RATE)
    heard = feed(ear, 900_000, 0.5) + feed(ear, 7_900_000, 1.1)

    assert ear.jumps == 1
    assert beeps(heard) == [1_000_000, 8_000_000]


def test_short_rest_before_a_hole_is_not_read():
    ear = Ear(RATE)
    heard = feed(ear, 900_000, 0.08) + feed(ear, 7_500_000, 0.1)

    assert heard == []


def test_jitter_of_times_is_no_hole():
    ear = Ear(RATE)
    for number in range(100):
        at = 500_000 + number * 20_000
        ear.add(tone.samples(at, 160, RATE), at + (number % 3 - 1) * 1_500)

    assert ear.jumps == 0


def test_channels_are_heard_together():
    ear = Ear(RATE)
    mono = tone.samples(500_000, 2 * RATE, RATE)

    (heard,) = ear.add(np.stack((mono, mono), axis=1), 500_000)

    assert heard.hertz == pytest.approx(440, abs=0.1)
