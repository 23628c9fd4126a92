"""Tones, and what is left of them."""

from __future__ import annotations

import numpy as np

from roomful_media.codecs import Samples


def tone(rate: int, seconds: float, hertz: float = 440.0, channels: int = 1) -> Samples:
    """A sine at a quarter of full scale."""
    phase = np.arange(round(rate * seconds)) * (2 * np.pi * hertz / rate)
    return np.repeat((0.25 * np.sin(phase)).astype(np.float32)[:, None], channels, 1)


def blocks(samples: Samples, size: int) -> list[Samples]:
    """Cut into blocks of `size`; a rest is left out."""
    return [samples[at : at + size] for at in range(0, len(samples) - size + 1, size)]


def pitch(samples: Samples, rate: int) -> float:
    """The loudest frequency."""
    mono = samples[:, 0] * np.hanning(len(samples))
    spectrum = np.abs(np.fft.rfft(mono, 8 * len(mono)))
    return float(np.argmax(spectrum) * rate / (8 * len(mono)))


def loudness(samples: Samples) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if len(samples) else 0.0


TONE_LOUDNESS = 0.25 / np.sqrt(2)
