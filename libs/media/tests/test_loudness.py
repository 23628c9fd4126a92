"""Levels of blocks of sound."""

from __future__ import annotations

import numpy as np
import pytest

from roomful_media.loudness import dbov


@pytest.mark.parametrize(("amplitude", "level"), [(1.0, -3), (0.1, -23), (0.001, -63), (0.0, -127)])
def test_tone_has_the_level_of_its_power(amplitude: float, level: int) -> None:
    wave = amplitude * np.sin(np.arange(960) * 2 * np.pi / 48).astype(np.float32)
    assert dbov(wave.reshape(-1, 1)) == level
    assert dbov((wave * 32767).astype(np.int16)) == level


def test_levels_stay_within_their_seven_bits() -> None:
    assert dbov(np.full(960, 4.0, np.float32)) == 0
    assert dbov(np.full(960, 1e-9, np.float32)) == -127
    assert dbov(np.zeros((0, 1), np.float32)) == -127
