"""Gathers blocks of a track into runs long enough to be read, and reads every chirp once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from roomful_testing.tone import CHIRP_S, SECOND_US, Heard, read

RUN_S = 1.0
"""of new samples in a run; a run also holds as much of the last as a chirp is long"""
LEAST_S = 0.1
"""what is left of a run when the track has a hole is read if it is this long"""
APART_US = SECOND_US // 4
"""what is found nearer to a beep than this is the same once more"""
JUMP_US = 5_000
"""a block that begins this much from where the last ended begins anew"""


class Ear:
    """Of one track. Not fed for long, it holds what came: at most one run."""

    def __init__(self, rate: int) -> None:
        """`rate` in Hz."""
        self.rate = rate
        self.jumps = 0
        """blocks that did not follow the one before"""
        self._blocks: list[NDArray[np.floating]] = []
        self._count = 0
        self._begin_us = 0
        self._newest_beep_us: int | None = None

    def add(self, samples: NDArray[np.floating], time_us: int) -> list[Heard]:
        """Take a block of samples, the first of `time_us`; return what it completes.

        Shape (n,) or (n, channels).
        """
        if samples.ndim == 2:
            samples = samples.mean(axis=1)
        found: list[Heard] = []
        if self._count and abs(time_us - self._end_us()) > JUMP_US:
            self.jumps += 1
            found = self.rest()
            self._blocks, self._count = [], 0
        if not self._count:
            self._begin_us = time_us
        self._blocks.append(samples)
        self._count += len(samples)
        kept = round(CHIRP_S * self.rate) - 1
        if self._count >= RUN_S * self.rate + kept:
            found = [*found, self._read()]
            self._keep(kept)
        self._note(found)
        return found

    def rest(self) -> list[Heard]:
        """Return what is in the samples that do not fill a run yet; they are still to come in one."""
        return [self._read()] if self._count >= LEAST_S * self.rate else []

    def _read(self) -> Heard:
        heard = read(np.concatenate(self._blocks), self.rate, self._begin_us)
        newest = self._newest_beep_us
        fresh = tuple(
            beep for beep in heard.beeps_us if newest is None or abs(beep - newest) > APART_US
        )
        return replace(heard, beeps_us=fresh)

    def _keep(self, count: int) -> None:
        """Begin the next run with the last samples of this one."""
        run = np.concatenate(self._blocks)
        self._begin_us += round((len(run) - count) * SECOND_US / self.rate)
        self._blocks, self._count = [run[len(run) - count :]], count

    def _note(self, heard: list[Heard]) -> None:
        for one in heard:
            self._newest_beep_us = one.beeps_us[-1] if one.beeps_us else self._newest_beep_us

    def _end_us(self) -> int:
        return self._begin_us + round(self._count * SECOND_US / self.rate)
