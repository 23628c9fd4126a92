"""Tones are heard at their pitch and level, chirps at the time of their begin."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomful_testing import tone

RATES = [8_000, 16_000, 44_100, 48_000]


def noise(count: int, rms: float) -> np.ndarray:
    return np.random.default_rng(1).normal(0, rms, count)


@given(
    st.integers(0, 10**13),
    st.floats(tone.LOWEST_HZ, tone.HIGHEST_HZ),
    st.sampled_from(RATES),
)
def test_second_tells_tone_level_and_the_chirp(start_us, hertz, rate):
    heard = tone.read(tone.samples(start_us, round(rate * 1.05), rate, hertz), rate, start_us)

    assert heard.hertz == pytest.approx(hertz, abs=0.1)
    assert heard.level_dbfs == pytest.approx(tone.TONE_LEVEL_DBFS, abs=0.2)
    assert 1 <= len(heard.beeps_us) <= 2
    for beep in heard.beeps_us:
        assert abs((beep + 500_000) % 1_000_000 - 500_000) < 50


def test_runs_follow_each_other_without_a_step():
    whole = tone.samples(7_990_000, 48_000, 48_000, 523.25)
    parts = [tone.samples(7_990_000 + 20_000 * n, 960, 48_000, 523.25) for n in range(50)]

    assert np.abs(np.concatenate(parts) - whole).max() < 1e-6


def test_tenth_of_a_second_tells_the_tone():
    heard = tone.read(tone.samples(500_000, 4_800, 48_000, 330.0), 48_000, 500_000)

    assert heard.hertz == pytest.approx(330, abs=3)
    assert heard.beeps_us == ()


def test_channels_are_heard_together():
    mono = tone.samples(0, 48_000, 48_000, 330.0)

    heard = tone.read(np.stack((mono, mono), axis=1), 48_000, 0)

    assert heard.hertz == pytest.approx(330, abs=0.1)
    assert heard.level_dbfs == pytest.approx(tone.TONE_LEVEL_DBFS, abs=0.2)


def test_chirp_in_noise_is_heard_in_time():
    samples = tone.samples(900_000, 48_000, 48_000) + noise(48_000, 0.05)

    (beep,) = tone.read(samples, 48_000, 900_000).beeps_us

    assert abs(beep - 1_000_000) < 200


@pytest.mark.parametrize("cut_ms", [1, 2, 5, 20, 39])
def test_chirp_that_is_cut_off_is_left_out(cut_ms):
    late = tone.samples(1_000_000 + cut_ms * 1000, 24_000, 48_000)
    early = tone.samples(500_000, 24_000 + (40 - cut_ms) * 48, 48_000)

    assert tone.read(late, 48_000, 0).beeps_us == ()
    assert tone.read(early, 48_000, 0).beeps_us == ()


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(48_000),
        np.zeros(0),
        np.zeros(100),
        noise(48_000, 0.1),
        noise(48_000, 0.00001),
        np.sin(np.arange(48_000) * 2 * np.pi * 2_000 / 48_000),
    ],
)
def test_silence_noise_and_other_sounds_are_no_marks(samples):
    heard = tone.read(samples, 48_000, 0)

    assert (heard.hertz, heard.beeps_us) == (0.0, ())


def test_each_tone_of_a_mix_has_its_level():
    mix = tone.samples(0, 48_000, 48_000, 300.0, -20.0) + tone.samples(0, 48_000, 48_000, 700.0)

    assert tone.level_at(mix, 48_000, 300.0) == pytest.approx(-20, abs=0.1)
    assert tone.level_at(mix, 48_000, 700.0) == pytest.approx(-12, abs=0.1)
    assert tone.level_at(mix, 48_000, 500.0) < -60
    assert tone.level_at(np.zeros(0), 48_000, 500.0) == -np.inf


def test_tones_and_rates_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="tone of 50"):
        tone.samples(0, 960, 48_000, 50.0)
    with pytest.raises(ValueError, match="rate of 4000"):
        tone.samples(0, 960, 4_000)
    with pytest.raises(ValueError, match="rate of 4000"):
        tone.read(np.zeros(960), 4_000, 0)
