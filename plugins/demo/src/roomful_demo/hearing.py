"""Recognises the melody in decoded sound.

Sans-IO: samples go in, what was heard comes out. Levels are root mean square in dBFS (0 is a
full-scale square wave).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.fft import rfft

from roomful_demo.melody import LEVEL_DBFS, SAMPLE_RATE, TUNE, Note, Samples

WINDOW = SAMPLE_RATE // 5
"""samples that one look at the spectrum takes"""
HOP = SAMPLE_RATE // 10
QUARTER_TONE = 2 ** (1 / 24)
"""a tone is the note it is nearer to than this ratio"""
SILENCE_DBFS = -45.0
LEVEL_TOLERANCE_DB = 6.0
NOTES_NEEDED = 4
"""different neighbours of the tune that prove it is the tune"""

_HANNING = np.hanning(WINDOW)
_KEPT = 64


@dataclass(frozen=True, slots=True)
class Tone:
    """What one window of sound was."""

    hertz: float
    """the loudest frequency, 0 in silence"""
    level_dbfs: float
    note: Note | None
    """the note of the tune it is, if any"""


def measure(window: Samples) -> Tone:
    """Find the loudest frequency of `WINDOW` samples (int16 mono at `SAMPLE_RATE`)."""
    level = level_dbfs(window)
    if level < SILENCE_DBFS:
        return Tone(0.0, level, None)
    spectrum = np.abs(rfft(window * _HANNING))
    peak = int(np.argmax(spectrum[1:-1])) + 1
    hertz = (peak + _lean(spectrum[peak - 1 : peak + 2])) * SAMPLE_RATE / WINDOW
    return Tone(hertz, level, note_of(hertz))


def level_dbfs(window: Samples) -> float:
    """Return the level of some samples; -120 for none and for perfect silence."""
    if not len(window):
        return -120.0
    power = float(np.mean((window / 32767.0) ** 2))
    return max(-120.0, 10 * math.log10(power)) if power else -120.0


def note_of(hertz: float) -> Note | None:
    """Return the note of the tune that this frequency is."""
    for note in TUNE:
        if 1 / QUARTER_TONE < hertz / note.hertz < QUARTER_TONE:
            return note
    return None


def _lean(around: Samples) -> float:
    """Return how far the true peak is from the middle of three bins, -0.5 to 0.5 (a parabola)."""
    left, middle, right = (float(value) for value in around)
    bend = left - 2 * middle + right
    return 0.5 * (left - right) / bend if bend else 0.0


class Ear:
    """Listens to one track."""

    def __init__(self) -> None:
        self.first_at_s: float | None = None
        """when the first sound came that was no silence"""
        self.samples = 0
        self.newest: Tone | None = None
        self.notes: deque[Note] = deque(maxlen=_KEPT)
        """heard one after another, the newest last"""
        self._loudest_dbfs = -120.0
        self._levels: deque[float] = deque(maxlen=_KEPT)
        self._last_hertz: dict[Note, float] = {}
        self._buffer: Samples = np.zeros(0, np.int16)

    def take(self, sound: Samples, now_s: float) -> None:
        """Hear some samples, int16 mono at `SAMPLE_RATE`, that came at `now_s`."""
        self.samples += len(sound)
        if self.first_at_s is None and level_dbfs(sound) > SILENCE_DBFS:
            self.first_at_s = now_s
        self._buffer = np.concatenate((self._buffer, sound))
        while len(self._buffer) >= WINDOW:
            self._hear(measure(self._buffer[:WINDOW]))
            self._buffer = self._buffer[HOP:]

    @property
    def level_dbfs(self) -> float:
        """How loud the notes were in the middle: the median of what was heard."""
        return median(self._levels) if self._levels else self._loudest_dbfs

    @property
    def error_hertz(self) -> float:
        """The farthest that a heard note was from what was played."""
        return max((abs(hz - note.hertz) for note, hz in self._last_hertz.items()), default=0.0)

    @property
    def span_hertz(self) -> tuple[float, float]:
        """The lowest and the highest note heard; zeros for none."""
        heard = self._last_hertz.values()
        return (min(heard), max(heard)) if heard else (0.0, 0.0)

    def missing(self) -> str | None:
        """Say what is not as it was played; None when all is well."""
        if not self.samples:
            return "nothing was decoded"
        if self._loudest_dbfs < SILENCE_DBFS:
            return f"the track is silent ({self._loudest_dbfs:.0f} dBFS)"
        if steps_of_tune(self.notes) < NOTES_NEEDED:
            heard = " ".join(note.name for note in list(self.notes)[-8:])
            tone = f"{self.newest.hertz:.0f} Hz" if self.newest else "nothing"
            return f"the melody was not heard (notes: {heard or 'none'}; now {tone})"
        if abs(self.level_dbfs - LEVEL_DBFS) > LEVEL_TOLERANCE_DB:
            return f"{self.level_dbfs:.0f} dBFS instead of {LEVEL_DBFS:.0f}"
        return None

    def _hear(self, tone: Tone) -> None:
        self.newest = tone
        self._loudest_dbfs = max(self._loudest_dbfs, tone.level_dbfs)
        if tone.note is None:
            return
        self._levels.append(tone.level_dbfs)
        self._last_hertz[tone.note] = tone.hertz
        if not self.notes or self.notes[-1] is not tone.note:
            self.notes.append(tone.note)


def steps_of_tune(heard: Sequence[Note]) -> int:
    """Count the longest run of heard notes that follow each other as in the tune."""
    following = {(before, TUNE[(index + 1) % len(TUNE)]) for index, before in enumerate(TUNE)}
    best = run = 0
    for pair in zip(heard, list(heard)[1:], strict=False):
        run = run + 1 if pair in following else 0
        best = max(best, run)
    return best
