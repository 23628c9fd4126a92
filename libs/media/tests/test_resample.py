"""Sample rates."""

from __future__ import annotations

import numpy as np
import pytest

from roomful.errors import MediaError
from roomful_media.resample import MOST_CORRECTION, Resampler, stretched


def sine(hz: float, rate: int, seconds: float) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate).astype(np.float32)[
        :, None
    ]


def through(resampler: Resampler, samples: np.ndarray) -> np.ndarray:
    size = resampler.rate_in // 50
    blocks = [resampler.process(samples[n : n + size]) for n in range(0, len(samples), size)]
    return np.concatenate([*blocks, resampler.flush()])


@pytest.mark.parametrize(
    ("rate_in", "rate_out"),
    [(8000, 48_000), (48_000, 8000), (16_000, 48_000), (44_100, 48_000), (48_000, 48_000)],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_pitch_level_and_time_are_kept(rate_in: int, rate_out: int, channels: int) -> None:
    samples = np.repeat(sine(1000, rate_in, 2.0), channels, axis=1)
    out = through(Resampler(rate_in, rate_out, channels), samples)

    assert len(out) == pytest.approx(2 * rate_out, abs=rate_out // 200)
    middle = slice(rate_out // 4, rate_out * 5 // 4)
    turn = np.exp(-2j * np.pi * 1000 * np.arange(rate_out) / rate_out)
    found = 2j * (out[middle, 0] * turn).mean()
    assert abs(found) == pytest.approx(1.0, abs=0.01)
    # a millisecond is a full turn
    assert abs(np.angle(found)) / (2 * np.pi) < 0.25


@pytest.mark.parametrize("rates", [(48_000, 48_000), (8000, 48_000)])
@pytest.mark.parametrize("correction", [MOST_CORRECTION, -MOST_CORRECTION, 0.0002])
def test_a_correction_uses_the_input_up_faster(rates: tuple[int, int], correction: float) -> None:
    resampler = Resampler(*rates, 1)
    resampler.correct(correction)
    out = through(resampler, sine(500, rates[0], 10.0))

    assert len(out) / rates[1] == pytest.approx(10.0 / (1 + correction), abs=0.003)
    steps = np.abs(np.diff(out[1000:-3000, 0])).max()
    assert steps < 1.15 * 2 * np.pi * 500 / rates[1]


def test_a_correction_is_bounded() -> None:
    resampler = Resampler(48_000, 48_000, 1)
    resampler.correct(0.5)
    assert resampler.correction == MOST_CORRECTION
    resampler.correct(-0.5)
    assert resampler.correction == -MOST_CORRECTION


def test_equal_rates_pass_untouched() -> None:
    samples = sine(440, 48_000, 0.02)

    assert Resampler(48_000, 48_000, 1).process(samples) is samples


@pytest.mark.parametrize("length", [1, 2, 955, 965])
def test_a_stretched_block_has_the_length_asked_for(length: int) -> None:
    out = stretched(sine(300, 48_000, 0.02), length)

    assert out.shape == (length, 1) and out.dtype == np.float32
    assert len(stretched(out[:1], 3)) == 3


def test_sound_of_impossible_rates_is_refused() -> None:
    with pytest.raises(MediaError, match="0 Hz"):
        Resampler(0, 48_000, 1)
