"""Recognising the melody, and saying what is wrong with what is not it."""

import numpy as np
import pytest

from roomful_demo.hearing import WINDOW, Ear, level_dbfs, measure, note_of, steps_of_tune
from roomful_demo.melody import A4, C4, C5, D4, E4, G4, SAMPLE_RATE, TUNE, Samples, samples

FOUR_SECONDS = 4 * SAMPLE_RATE


def listen(sound: Samples) -> Ear:
    ear = Ear()
    for start in range(0, len(sound), 480):
        ear.take(sound[start : start + 480], start / SAMPLE_RATE)
    return ear


def sine(hertz: float, peak: float = 6000) -> Samples:
    return (peak * np.sin(2 * np.pi * hertz * np.arange(FOUR_SECONDS) / SAMPLE_RATE)).astype(
        np.int16
    )


def test_the_melody_is_heard() -> None:
    ear = listen(samples(0, FOUR_SECONDS))

    assert ear.missing() is None
    assert list(ear.notes)[:8] == [C4, E4, G4, C5, A4, G4, E4, D4]
    assert ear.error_hertz < 1.0
    assert ear.span_hertz == (pytest.approx(261.6, abs=1), pytest.approx(523.3, abs=1))
    assert ear.first_at_s == 0.0


def test_the_melody_is_heard_from_anywhere_and_through_noise() -> None:
    noise = np.random.default_rng(1).normal(0, 200, FOUR_SECONDS)
    sound = samples(31_415, FOUR_SECONDS) + noise

    assert listen(sound.astype(np.int16)).missing() is None


def test_without_samples_nothing_was_decoded() -> None:
    assert Ear().missing() == "nothing was decoded"


@pytest.mark.parametrize("noise", [0, 3])
def test_silence_is_named(noise: int) -> None:
    hiss = np.random.default_rng(1).integers(-noise, noise + 1, FOUR_SECONDS).astype(np.int16)

    ear = listen(hiss)

    assert ear.first_at_s is None
    assert ear.missing() is not None and "the track is silent" in str(ear.missing())


def test_a_steady_tone_is_not_the_melody() -> None:
    missing = listen(sine(440)).missing()

    assert missing == "the melody was not heard (notes: A4; now 440 Hz)"


def test_the_melody_backwards_is_not_the_melody() -> None:
    missing = listen(samples(0, FOUR_SECONDS)[::-1].copy()).missing()

    assert missing is not None and "the melody was not heard" in missing


def test_the_melody_at_another_speed_is_not_the_melody() -> None:
    missing = listen(samples(0, 2 * FOUR_SECONDS)[::2].copy()).missing()

    assert missing is not None and "the melody was not heard" in missing


def test_a_melody_too_soft_is_named_with_its_level() -> None:
    missing = listen((samples(0, FOUR_SECONDS) // 8).astype(np.int16)).missing()

    assert missing in ("-35 dBFS instead of -17", "-36 dBFS instead of -17")


def test_silence_has_no_tone() -> None:
    tone = measure(np.zeros(WINDOW, np.int16))

    assert (tone.hertz, tone.note, tone.level_dbfs) == (0.0, None, -120.0)


def test_a_full_scale_sine_is_three_decibels_down() -> None:
    assert level_dbfs(sine(997, 32767)) == pytest.approx(-3.01, abs=0.02)
    assert level_dbfs(np.zeros(0, np.int16)) == -120.0


@pytest.mark.parametrize(("hertz", "note"), [(261.63, C4), (268.0, C4), (270.0, None), (0.0, None)])
def test_a_note_is_what_is_within_a_quarter_tone(hertz: float, note: object) -> None:
    assert note_of(hertz) is note


def test_steps_count_only_as_the_tune_goes() -> None:
    assert steps_of_tune([]) == 0
    assert steps_of_tune([*TUNE, C4]) == 8
    assert steps_of_tune([C4, E4, G4, D4, E4, G4, C5]) == 2
