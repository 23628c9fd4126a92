"""One input of the mixer: samples on the mixer's own time line, counted from its start; sans-IO.

         read ▼ head            tail ▼ write
    silence ──┼────── samples ───────┼── silence

A block says where it belongs. Off by less than `_NEAR_S` it continues what is there, and the
resampler works off the rest; further off, it goes where it says, between ramps. What is late is cut.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from roomful.errors import MediaError
from roomful_media.resample import MOST_CORRECTION, Resampler

Samples = NDArray[np.float32]
"""shape (n, channels), interleaved, -1.0 to 1.0"""

RAMP_S = 0.01
_NEAR_S = 0.03
"""A clock that is being slewed, and the drift of a minute, are nearer."""
_SETTLE_S = 2.0
"""in which a correction works off what a block is off"""
_REST_S = 0.0002
"""off by less: left alone"""
_MOST_CHANNELS = 8
_LOUDEST = 4.0
"""Decoders overshoot full scale, but not by this."""


class Strip:
    """A bounded ring of samples; all of it that is not written is silence."""

    def __init__(self, rate: int, gains: tuple[float, ...], head: int, capacity: int) -> None:
        """Make a silent strip.

        Args:
            rate: Hz of the mix.
            gains: of the route, one a channel of the mix.
            head: place of the next sample that is read.
            capacity: samples that it holds; what lies further ahead is dropped.
        """
        self._rate, self._channels = rate, len(gains)
        self._gains = None if all(gain == 1.0 for gain in gains) else np.array(gains, np.float32)
        self._head = self._tail = head
        self._ring = np.zeros((capacity, self._channels), np.float32)
        self._up = np.linspace(0, 1, int(rate * RAMP_S), endpoint=False, dtype=np.float32)[:, None]
        self._heard = np.zeros(self._channels, np.float32)
        """the last sample that was read: silence is reached from it"""
        self._resampler: Resampler | None = None
        self._inside = 0.0
        """samples of the mix that the resampler still holds"""
        self._skip = 0
        """samples to come whose place is taken"""
        self._rise = 0
        """samples of the ramp that are behind us"""
        self._broken = False
        """what was before the head was skipped: what is read next begins softly"""
        self.late = self.dropped = self.missing = 0

    @property
    def waiting(self) -> int:
        """Samples that are there to be read."""
        return max(0, self._tail - self._head)

    def write(self, samples: Samples, rate: int, place: int) -> None:
        """Put a block at `place`, counted in samples of the mix.

        Raises:
            MediaError: it is not float32 of shape (n, channels), or of a rate that no sound has.
        """
        if samples.ndim != 2 or not 1 <= samples.shape[1] <= _MOST_CHANNELS:
            raise MediaError(f"audio of shape {samples.shape!r} is not (n, channels)")
        if samples.dtype != np.float32:
            raise MediaError(f"audio of {samples.dtype} is not of float32")
        if place >= self._head + len(self._ring):
            self.dropped += len(samples)
            return
        samples = self._routed(_tame(samples))
        resampler = self._resampler
        if resampler is None or (resampler.rate_in, resampler.channels) != (rate, samples.shape[1]):
            self._resampler = resampler = Resampler(rate, self._rate, samples.shape[1])
            self._go_to(place)
        off = place + self._skip - self._tail - self._inside
        if abs(off) > _NEAR_S * self._rate or self._tail < self._head:
            resampler.flush()
            self._go_to(place)
            off = 0.0
        _steer(resampler, off / self._rate)
        made = resampler.process(samples)
        due = len(samples) * self._rate / (rate * (1 + resampler.correction))
        self._inside += due - len(made)
        self._append(made)

    def read(self, size: int) -> Samples | None:
        """Take the next samples; None is silence."""
        there = min(size, self.waiting)
        if there == size and not self._broken:
            samples = self._taken(size)
            self._heard = samples[-1]
            return samples
        if there == 0 and not self._heard.any():
            self._head += size
            return None
        return self._read_partly(size, there)

    def _read_partly(self, size: int, there: int) -> Samples:
        """Take what is there; ramp where it begins or ends."""
        samples = np.zeros((size, self._channels), np.float32)
        samples[:there] = self._taken(there)
        if self._broken:
            samples[: len(self._up)] *= self._up[:size]
            self._broken = False
        if there < size:
            self.missing += size - there if there else 0
            fall = min(len(self._up), size - there)
            last = samples[there - 1] if there else self._heard
            samples[there : there + fall] = last * (1 - self._up[:fall])
            self._rise = 0
        self._head += size - there
        self._heard = samples[-1]
        return samples

    def skip(self, size: int) -> None:
        """Let samples pass unheard."""
        there = min(size, self.waiting)
        self._taken(there)
        self._head += size - there
        self._heard = np.zeros(self._channels, np.float32)
        self._rise = 0
        self._broken = True

    def read_last(self, size: int) -> Samples | None:
        """Take the next samples as the last: they fade out."""
        samples = self.read(size)
        if samples is not None:
            fall = min(len(self._up), size)
            samples[:fall] *= 1 - self._up[:fall]
            samples[fall:] = 0
        return samples

    def _routed(self, samples: Samples) -> Samples:
        """One channel that is heard on some of ours, or two on two."""
        if samples.shape[1] == 1:
            return samples
        if self._channels == 2 and self._gains is None:
            return samples[:, :2]
        return samples.mean(axis=1, keepdims=True, dtype=np.float32)

    def _go_to(self, place: int) -> None:
        """Go on elsewhere: after silence, or after as much as is there already was left away."""
        self._inside = 0.0
        self._skip = max(0, self._tail - place)
        if place > self._tail:
            self._fall()
            self._tail = place
        self._rise = 0

    def _fall(self) -> None:
        """Fade out what is last on the strip and not read yet."""
        count = min(len(self._up), self.waiting)
        if count:
            places = np.arange(self._tail - count, self._tail) % len(self._ring)
            self._ring[places] *= self._up[count - 1 :: -1]

    def _append(self, samples: Samples) -> None:
        """Write at the tail what is not too late and not too far ahead."""
        cut = min(len(samples), self._skip + max(0, self._head - self._tail))
        if cut:
            self._cut(cut)
            samples = samples[cut:]
        room = self._head + len(self._ring) - self._tail
        if len(samples) > room:
            self.dropped += len(samples) - room
        self._advance(samples[:room])

    def _cut(self, count: int) -> None:
        self.late += count
        skipped = min(count, self._skip)
        self._skip -= skipped
        self._tail += count - skipped

    def _advance(self, samples: Samples) -> None:
        if not len(samples):
            return
        if self._rise < len(self._up):
            ramp = self._up[self._rise : self._rise + len(samples)]
            samples = samples.copy()
            samples[: len(ramp)] *= ramp
            self._rise += len(ramp)
        if self._gains is not None:
            samples = samples * self._gains
        at = self._tail % len(self._ring)
        first = min(len(samples), len(self._ring) - at)
        self._ring[at : at + first] = samples[:first]
        if first < len(samples):
            self._ring[: len(samples) - first] = samples[first:]
        self._tail += len(samples)

    def _taken(self, count: int) -> Samples:
        """Take samples off the ring; silence stays where they were."""
        at = self._head % len(self._ring)
        self._head += count
        part = self._ring[at : at + count]
        samples = part.copy()
        part[:] = 0
        if len(part) < count:
            rest = self._ring[: count - len(part)]
            samples = np.concatenate([samples, rest])
            rest[:] = 0
        return samples


def _tame(samples: Samples) -> Samples:
    """Return samples that cannot drown everybody: decoders of hostile streams make any number."""
    flat = samples.reshape(-1)
    if np.vdot(flat, flat) < _LOUDEST**2 * len(flat) or not len(flat):
        return samples
    finite = np.nan_to_num(samples, nan=0.0, posinf=_LOUDEST, neginf=-_LOUDEST)
    return np.clip(finite, -_LOUDEST, _LOUDEST)


def _steer(resampler: Resampler, off_s: float) -> None:
    """Use the input up slower while it would sound before its time, faster while after it."""
    wanted = 0.0 if abs(off_s) < _REST_S else -off_s / _SETTLE_S
    if wanted == 0.0 or abs(wanted - resampler.correction) > MOST_CORRECTION / 50:
        resampler.correct(wanted)
