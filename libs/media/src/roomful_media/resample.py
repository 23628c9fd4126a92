"""Sample rates converted while they stream, and clocks that drift followed; sans-IO.

A block of time stays where it is: what comes out first is the sample at the time of what went in
first, only some milliseconds later. Where rates differ, soxr converts (its variable rate: blocks of
even size, 5 ms late at 48 kHz, 30 ms at 8 kHz). Where they are equal, samples pass untouched, and a
drift is followed by stretching single blocks by whole samples.
"""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray

from roomful.errors import MediaError

Samples = NDArray[np.float32]
"""shape (n, channels), interleaved, -1.0 to 1.0"""

MOST_CORRECTION = 0.005
"""A pitch that is half a percent off is heard by nobody."""
_SLEW_S = 0.02
"""over which soxr changes its ratio"""
_RATES = range(4000, 192_001)


class Resampler:
    """One stream of samples from one rate to another."""

    def __init__(self, rate_in: int, rate_out: int, channels: int) -> None:
        """Make the converter of `channels` interleaved channels; rates in Hz.

        Raises:
            MediaError: a rate that no sound has.
        """
        for rate in (rate_in, rate_out):
            if rate not in _RATES:
                raise MediaError(
                    f"a sample rate of {rate!r} Hz: {_RATES[0]} to {_RATES[-1]} can be"
                )
        self.rate_in, self.rate_out, self.channels = rate_in, rate_out, channels
        self._correction = 0.0
        self._owed = 0.0
        self._soxr = None if rate_in == rate_out else _stream(rate_in, rate_out, channels)

    @property
    def correction(self) -> float:
        """How much faster than by its nominal rate the input is used up, -0.005 to 0.005."""
        return self._correction

    def correct(self, correction: float) -> None:
        """Use the input up faster (above zero) or slower; what is out of range is cut to it."""
        correction = min(MOST_CORRECTION, max(-MOST_CORRECTION, correction))
        if correction == self._correction:
            return
        self._correction = correction
        if self._soxr is not None:
            slew = int(_SLEW_S * self.rate_in)
            self._soxr.set_io_ratio(self.rate_in * (1 + correction), self.rate_out, slew)

    def process(self, samples: Samples) -> Samples:
        """Convert a block; how many samples come out varies by a few, at first fewer."""
        if self._soxr is not None:
            return self._soxr.resample_chunk(np.ascontiguousarray(samples))
        if self._correction == 0.0 or not len(samples):
            return samples
        self._owed += len(samples) * self._correction / (1 + self._correction)
        whole = int(self._owed)
        if whole == 0:
            return samples
        self._owed -= whole
        return stretched(samples, max(1, len(samples) - whole))

    def flush(self) -> Samples:
        """Return what is still inside; the stream begins anew after it."""
        self._owed = 0.0
        if self._soxr is None:
            return np.zeros((0, self.channels), np.float32)
        rest = self._soxr.resample_chunk(np.zeros((0, self.channels), np.float32), last=True)
        self._soxr = _stream(self.rate_in, self.rate_out, self.channels)
        self._correction = 0.0
        return rest


def stretched(samples: Samples, length: int) -> Samples:
    """Return the block with another number of samples, without a seam to the blocks beside it.

    Cubic interpolation (Catmull-Rom): the first sample stays the first, and the one after the last
    would fall on the first of the block that follows.
    """
    edge = 2 * samples[-1] - samples[-2] if len(samples) > 1 else samples[-1]
    padded = np.concatenate([samples[:1], samples, edge[None], edge[None]])
    place = np.arange(length, dtype=np.float64) * (len(samples) / length)
    index = place.astype(np.int64)
    t = (place - index).astype(np.float32)[:, None]
    a, b, c, d = (padded[index + offset] for offset in range(4))
    bend = 2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)
    return (b + np.float32(0.5) * t * (c - a + t * bend)).astype(np.float32, copy=False)


def _stream(rate_in: int, rate_out: int, channels: int) -> soxr.ResampleStream:
    """Variable rate, whose blocks do not come in lumps of 100 ms as those of the fixed one do."""
    fastest = rate_in * (1 + MOST_CORRECTION)
    stream = soxr.ResampleStream(fastest, rate_out, channels, dtype="float32", vr=True)
    stream.set_io_ratio(rate_in, rate_out)
    return stream
