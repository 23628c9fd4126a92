"""The melody that the presenter plays: eight notes and a rest, over and over.

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
REST = 2
"""notes long; long enough for a server to notice that the presenter fell silent"""
TUNE_S = NOTE_S * (len(TUNE) + REST)


@dataclass(frozen=True, slots=True)
class Moment:
    """Where in the tune a moment is."""

    index: int
    """of the newest note of `TUNE`"""
    gone: float
    """how far on the way to the next note, 0 to 1"""
    sounds: bool
    """False in the rest"""


def moment(seconds: float) -> Moment:
    """Return where in the tune that time is."""
    beat = seconds / NOTE_S % (len(TUNE) + REST)
    index = min(int(beat), len(TUNE) - 1)
    length = 1 + REST if index == len(TUNE) - 1 else 1
    return Moment(index, (beat - index) / length, beat < len(TUNE))


def samples(start: int, count: int) -> Samples:
    """Return `count` samples, int16 mono at `SAMPLE_RATE`, from sample number `start` on."""
    number = np.arange(start, start + count)
    index, inside = np.divmod(number, _NOTE_SAMPLES)
    hertz = _HERTZ[index % len(_HERTZ)]
    at_s = inside / SAMPLE_RATE
    phase = 2 * np.pi * hertz * at_s
    wave = np.sin(phase) + _OVERTONE * np.sin(2 * phase)
    return (_PEAK * wave * _envelope(at_s)).astype(np.int16)


_HERTZ = np.array([note.hertz for note in TUNE] + [0.0] * REST)
"""of every beat; 0 is silence"""


def _envelope(at_s: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return how loud a note is at these times since its begin: no clicks between notes."""
    return np.clip(np.minimum(at_s / _RISE_S, (NOTE_S - at_s) / _FALL_S), 0.0, 1.0)
