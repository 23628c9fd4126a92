"""A tone of a participant's own, and a chirp at each full second of media time.

The tone lies between 150 and 1,000 Hz, the chirp above it and within what telephones carry: 1,300 to
3,100 Hz in 40 ms. Correlating with a chirp finds its begin to a small part of a millisecond, also
after a codec that smears it, where the edge of a plain beep is anybody's guess.

Samples are float32, shape (n,), −1.0 to 1.0. Levels are dBFS of a sine: 0 is full scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import log10, pi

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

SECOND_US = 1_000_000
LOWEST_HZ, HIGHEST_HZ = 150.0, 1_000.0
"""of tones"""
TONE_LEVEL_DBFS, CHIRP_LEVEL_DBFS = -12.0, -9.0
CHIRP_S = 0.04
SILENCE_DBFS = -70.0
"""below this nothing is heard"""

_CHIRP_FROM_HZ, _CHIRP_TO_HZ = 1_300.0, 3_100.0
_LOWEST_RATE = 8_000
_LIKENESS = 0.6
"""correlation, of 1, from which on it is a chirp; noise stays below 0.4"""
_PROMINENCE = 100.0
"""power of a tone to the median of its neighbourhood; noise stays below 20"""
_APART_S = 0.5
"""chirps are further apart than this"""
_SLACK = 2
"""samples by which a codec may move a chirp at either end out of the run"""


@dataclass(frozen=True, slots=True)
class Heard:
    """What a run of samples holds."""

    hertz: float
    """of the loudest tone; 0.0 where there is none"""
    level_dbfs: float
    """of that tone; −inf for digital silence"""
    beeps_us: tuple[int, ...]
    """when chirps began that lie wholly in the samples, on the clock of `time_us`"""


def samples(
    start_us: int, count: int, rate: int, hertz: float = 440.0, level_dbfs: float = TONE_LEVEL_DBFS
) -> Samples:
    """Return the samples from a media time on; what runs follow each other without a step.

    `rate` in Hz. `ValueError` for a rate or a tone that cannot be.
    """
    _check(rate)
    if not LOWEST_HZ <= hertz <= HIGHEST_HZ:
        raise ValueError(f"tone of {hertz!r} Hz is not within {LOWEST_HZ:g} to {HIGHEST_HZ:g} Hz")
    steps = np.arange(count) / rate
    begin = hertz * (start_us / SECOND_US) % 1.0
    sound = _amplitude(level_dbfs) * np.sin(2 * pi * (begin + hertz * steps))
    since = (start_us % SECOND_US / SECOND_US + steps) % 1.0
    within = since < CHIRP_S
    sound[within] += _amplitude(CHIRP_LEVEL_DBFS) * np.imag(_chirp(since[within]))
    return sound.astype(np.float32)


def read(samples: NDArray[np.floating], rate: int, time_us: int) -> Heard:
    """Return what samples hold; the first is of `time_us`. Shape (n,) or (n, channels).

    A tenth of a second tells the tone to a few Hz, a second to a tenth of one.
    """
    _check(rate)
    sound = np.asarray(samples, np.float64)
    if sound.ndim == 2:
        sound = sound.mean(axis=1)
    hertz, level_dbfs = _tone(sound, rate)
    beeps = tuple(time_us + round(at * SECOND_US) for at in _chirps(sound, rate))
    return Heard(hertz, level_dbfs, beeps)


def level_at(samples: NDArray[np.floating], rate: int, hertz: float) -> float:
    """Return the level of one frequency, dBFS: who is to be heard in a mix. Shape (n,)."""
    if not len(samples):
        return -np.inf
    window = np.hanning(len(samples))
    turns = np.exp(-2j * pi * hertz / rate * np.arange(len(samples)))
    return _dbfs(2 * abs(np.sum(samples * window * turns)) / window.sum())


def _check(rate: int) -> None:
    if rate < _LOWEST_RATE:
        raise ValueError(f"rate of {rate!r} Hz is below {_LOWEST_RATE} Hz")


def _amplitude(dbfs: float) -> float:
    return float(10.0 ** (dbfs / 20))


def _dbfs(amplitude: float) -> float:
    return 20 * log10(amplitude) if amplitude > 0 else -np.inf


def _chirp(since_s: NDArray[np.float64]) -> NDArray[np.complex128]:
    """The chirp at times since its begin, analytic; it swells and fades within 5 ms."""
    sweep = (_CHIRP_TO_HZ - _CHIRP_FROM_HZ) / CHIRP_S
    turns = _CHIRP_FROM_HZ * since_s + sweep / 2 * since_s**2
    edge = np.clip(np.minimum(since_s, CHIRP_S - since_s) / 0.005, 0.0, 1.0)
    return np.sin(pi / 2 * edge) ** 2 * np.exp(2j * pi * turns)


def _tone(sound: NDArray[np.float64], rate: int) -> tuple[float, float]:
    """Frequency and level of the loudest tone."""
    count = len(sound)
    if count < rate // 50:
        return 0.0, -np.inf
    window = np.hanning(count)
    power = np.abs(np.fft.rfft(sound * window)) ** 2
    # a little wider than tones are, so that a tone at the edge has neighbours
    low, high = (round(hertz * count / rate) for hertz in (LOWEST_HZ * 0.8, HIGHEST_HZ * 1.1))
    band = power[low : high + 1]
    peak = low + int(band.argmax())
    near = slice(max(0, peak - 3), peak + 4)
    # Parseval: what the window's main lobe holds is the sine's whole power
    amplitude = float(np.sqrt(4 * power[near].sum() / (count * (window**2).sum())))
    level_dbfs = _dbfs(amplitude)
    if level_dbfs < SILENCE_DBFS or power[peak] < _PROMINENCE * np.median(band):
        return 0.0, level_dbfs
    return (peak + _vertex(np.log(power[peak - 1 : peak + 2] + 1e-300))) * rate / count, level_dbfs


def _vertex(three: NDArray[np.float64]) -> float:
    """Where the parabola through three neighbours peaks, from the middle one."""
    left, middle, right = map(float, three)
    bend = left - 2 * middle + right
    return 0.5 * (left - right) / bend if bend < 0 else 0.0


def _chirps(sound: NDArray[np.float64], rate: int) -> list[float]:
    """Seconds from the first sample at which whole chirps begin, the earliest first."""
    length = round(CHIRP_S * rate)
    last = len(sound) - length
    # a chirp cut off at either end peaks outside of 0 to last; there it shows, and is left out
    alike = _likeness(np.concatenate((np.zeros(length), sound)), rate, length)
    apart = round(_APART_S * rate)
    found: list[float] = []
    while alike[at := int(alike.argmax())] >= _LIKENESS:
        three = alike[at - 1 : at + 2]
        if -_SLACK <= at - length <= last + _SLACK and len(three) == 3:
            found.append((at - length + _vertex(three)) / rate)
        alike[max(0, at - apart) : at + apart] = 0.0
    return sorted(found)


def _likeness(sound: NDArray[np.float64], rate: int, length: int) -> NDArray[np.float64]:
    """How alike what begins at each sample and a chirp are, 0 to 1, whatever the phase."""
    size = 1 << (len(sound) + length).bit_length()
    spectrum = np.fft.fft(sound, size)
    hertz = np.fft.fftfreq(size, 1 / rate)
    spectrum[(hertz < _CHIRP_FROM_HZ - 100) | (hertz > _CHIRP_TO_HZ + 100)] = 0.0
    within = np.fft.ifft(spectrum)
    match = np.abs(np.fft.ifft(spectrum * _template(rate, length, size)))
    energy = np.concatenate(([0.0], np.cumsum(np.abs(within) ** 2)))
    starts = np.arange(len(sound))
    held = energy[np.minimum(starts + length, size)] - energy[starts]
    # silence is like nothing; its rounding noise is not to be amplified
    floor = length * (_amplitude(SILENCE_DBFS) / 2) ** 2
    return match[: len(sound)] / np.sqrt(np.maximum(held, floor))


@lru_cache(maxsize=8)
def _template(rate: int, length: int, size: int) -> NDArray[np.complex128]:
    """Conjugate spectrum of a chirp of energy 1."""
    chirp = _chirp(np.arange(length) / rate)
    spectrum = np.conj(np.fft.fft(chirp / np.sqrt(np.sum(np.abs(chirp) ** 2)), size))
    spectrum.flags.writeable = False
    return spectrum
