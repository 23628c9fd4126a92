"""Everybody's sound but one's own: an N-1 mixer on the common media clock; sans-IO.

    write(key, block) ──▶ input: route, resample, place in time ──┐
                                                                  ├─ tick() every 20 ms ──▶ Mix
    write(key, block) ──▶ input …                               ──┘      .total, .without(key)

An input is a strip of samples in time. What comes is put where its time says: near the end of the
strip it continues it, and what it is off is worked down by resampling; after a hole silence comes
first; what is late is cut away, never played later. Wherever sound begins or ends it is ramped.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from roomful.errors import AlreadyExists, MediaError, NotFound
from roomful_media.frames import AudioBlock
from roomful_media.limiter import limited
from roomful_media.strip import Samples, Strip

__all__ = ["Mix", "Mixer", "Route", "Samples"]

TICK_MS = 20


class Route(Enum):
    """Which channels of a stereo mix a participant is heard on."""

    BOTH = (1.0, 1.0)
    LEFT = (1.0, 0.0)
    RIGHT = (0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Mix:
    """What one tick gave."""

    time_us: int
    """common media time of the first sample"""
    sum: Samples
    """of all inputs, before the limiter: do not change it"""
    own: dict[str, Samples]
    """what each that sounded gave to it"""

    def total(self) -> Samples:
        """Return all of them, limited."""
        return limited(self.sum)

    def without(self, *keys: str) -> Samples:
        """Return all but these, limited: what a participant is to hear."""
        rest = self.sum
        for key in keys:
            own = self.own.get(key)
            if own is not None:
                rest = rest - own
        return limited(rest)


class Mixer:
    """Inputs come and go; a tick takes 20 ms of each."""

    def __init__(self, rate: int, channels: int, start_us: int, *, hold_ms: int = 1000) -> None:
        """Make a mixer without inputs.

        Args:
            rate: Hz of the mix, a multiple of 50.
            channels: 1 or 2.
            start_us: common media time of the first tick.
            hold_ms: how far ahead of the clock an input may be; what is further is dropped.
        """
        if rate % (1000 // TICK_MS) or channels not in (1, 2):
            raise MediaError(f"a mix of {rate!r} Hz and {channels!r} channels cannot be")
        self.rate, self.channels = rate, channels
        self._size = rate * TICK_MS // 1000
        self._start_us = start_us
        self._ticks = 0
        self._hold = max(2 * self._size, rate * hold_ms // 1000)
        self._inputs: dict[str, Strip] = {}
        self._leaving: list[Strip] = []
        """bounded: each is gone with the next tick"""

    @property
    def time_us(self) -> int:
        """Common media time of the next tick."""
        return self._start_us + self._ticks * TICK_MS * 1000

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(self._inputs)

    def add(self, key: str, route: Route = Route.BOTH) -> None:
        """Let somebody in.

        Raises:
            AlreadyExists: the key is in.
        """
        if key in self._inputs:
            raise AlreadyExists(f"input {key!r} is in the mix")
        gains = route.value if self.channels == 2 else (1.0,)
        self._inputs[key] = Strip(self.rate, gains, self._position, self._hold)

    def remove(self, key: str) -> None:
        """Let somebody go: the next 10 ms of what is there fade out. Unknown keys are none."""
        strip = self._inputs.pop(key, None)
        if strip is not None:
            self._leaving.append(strip)

    def write(self, key: str, block: AudioBlock) -> None:
        """Put a block where its time says; any rate, any number of channels.

        Raises:
            NotFound: no such input.
            MediaError: the block is no sound.
        """
        strip = self._strip(key)
        place = round((block.time_us - self._start_us) * self.rate / 1_000_000)
        strip.write(block.samples, block.rate, place)

    def tick(self) -> Mix:
        """Take the next 20 ms of everybody."""
        time_us, size = self.time_us, self._size
        total = np.zeros((size, self.channels), np.float32)
        own: dict[str, Samples] = {}
        for key, strip in self._inputs.items():
            samples = strip.read(size)
            if samples is not None:
                own[key] = samples
                total += samples
        for strip in self._leaving:
            samples = strip.read_last(size)
            if samples is not None:
                total += samples
        self._leaving.clear()
        self._ticks += 1
        return Mix(time_us, total, own)

    def skip(self, ticks: int) -> None:
        """Let time pass unheard: ticks that came too late to be worth it."""
        for strip in self._inputs.values():
            strip.skip(ticks * self._size)
        self._leaving.clear()
        self._ticks += ticks

    def statistics(self, key: str) -> dict[str, int]:
        """Return samples that an input lost: `late`, `dropped` (too far ahead), `missing`."""
        strip = self._strip(key)
        return {"late": strip.late, "dropped": strip.dropped, "missing": strip.missing}

    def _strip(self, key: str) -> Strip:
        strip = self._inputs.get(key)
        if strip is None:
            raise NotFound(f"no input {key!r} in the mix: {sorted(self._inputs)!r}")
        return strip

    @property
    def _position(self) -> int:
        return self._ticks * self._size
