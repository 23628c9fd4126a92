"""The melody that the presenter plays: eight notes, over and over, each recognisable by its tone.

Pure: the samples of any stretch of time follow from its position alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int16]

SAMPLE_RATE = 48_000
NOTE_S = 0.4
LEVEL_DBFS = -17.0
"""root mean square of a held note; 0 is a full-scale square wave"""

_NOTE_SAMPLES = round(NOTE_S * SAMPLE_RATE)
_OVERTONE = 0.12
_RISE_S, _FALL_S = 0.015, 0.06
_PEAK = 32767 * 10 ** (LEVEL_DBFS / 20) * math.sqrt(2 / (1 + _OVERTONE**2))


@dataclass(frozen=True, slots=True)
class Note:
    """One pitch of the equal-tempered scale."""

    name: str
    midi: int
    """69 is A4"""

    @property
    def hertz(self) -> float:
        """Of the fundamental, which is the loudest part."""
        return 440.0 * 2 ** ((self.midi - 69) / 12)


C4, D4, E4, G4 = Note("C4", 60), Note("D4", 62), Note("E4", 64), Note("G4", 67)
A4, C5 = Note("A4", 69), Note("C5", 72)
TUNE = (C4, E4, G4, C5, A4, G4, E4, D4)
TUNE_S = NOTE_S * len(TUNE)


def position(seconds: float) -> tuple[int, float]:
    """Return which note of `TUNE` sounds at that time, and how far it is gone, 0 to 1."""
    whole = seconds / NOTE_S
    return int(whole) % len(TUNE), whole % 1.0


def samples(start: int, count: int) -> Samples:
    """Return `count` samples, int16 mono at `SAMPLE_RATE`, from sample number `start` on."""
    number = np.arange(start, start + count)
    index, inside = np.divmod(number, _NOTE_SAMPLES)
    hertz = _HERTZ[index % len(TUNE)]
    at_s = inside / SAMPLE_RATE
    phase = 2 * np.pi * hertz * at_s
    wave = np.sin(phase) + _OVERTONE * np.sin(2 * phase)
    return (_PEAK * wave * _envelope(at_s)).astype(np.int16)


_HERTZ = np.array([note.hertz for note in TUNE])


def _envelope(at_s: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return how loud a note is at these times since its begin: no clicks between notes."""
    return np.clip(np.minimum(at_s / _RISE_S, (NOTE_S - at_s) / _FALL_S), 0.0, 1.0)
