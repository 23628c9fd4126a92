"""What a track shows and sounds like over time: rate, freezes, colours, latency, sync, drift.

Three clocks come in, all in microseconds: *media time*, which the marks tell; *presentation*, at which
a picture or a sample is to be seen or heard, one clock for both kinds; and *now*, the clock that media
time was taken from, where it can be read at this end.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from math import inf
from statistics import median

import numpy as np
from numpy.typing import NDArray

from roomful_testing.card import Reading
from roomful_testing.ear import Ear
from roomful_testing.report import Report, Sync, spread
from roomful_testing.tone import SECOND_US, Heard

KEPT_PICTURES = 200_000
"""nearly two hours of 30 a second; the oldest go first"""
KEPT_SECONDS = 20_000
FREEZE_US = 200_000
"""a new picture later than this after the one before is a freeze"""
COLOUR_TOLERANCE = 24.0
"""a bar further off than this (of 255) is wrong: codecs at low bit rate stay below"""


class Measure:
    """Of one camera and one microphone, or either. Feed it, then ask for the `report`."""

    def __init__(
        self,
        *,
        freeze_us: int = FREEZE_US,
        colour_tolerance: float = COLOUR_TOLERANCE,
        loop_us: int = 0,
    ) -> None:
        """Measure nothing yet.

        Args:
            freeze_us: a new picture later than this after the one before is a freeze.
            colour_tolerance: a bar further off than this, of 255, is wrong.
            loop_us: after so much the burned clock begins again (a clip, see `replay`); whole seconds.
                Where a picture belongs follows from its presentation then, and latency from nothing.
        """
        self._freeze_us, self._colour_tolerance = freeze_us, colour_tolerance
        self._loop_us = loop_us
        self.pictures = self.unreadable = self.repeated = self.backward = self.wrong_colours = 0
        self._worst_colour = 0.0
        self._newest_us: int | None = None
        self._newest_shown_us = 0
        self._was_lit = True
        self._shown_us: deque[int] = deque(maxlen=KEPT_PICTURES)
        self._video_latency_us: deque[int] = deque(maxlen=KEPT_PICTURES)
        self._flashes: deque[int] = deque(maxlen=KEPT_SECONDS)
        self._ear: Ear | None = None
        self._heard: deque[Heard] = deque(maxlen=KEPT_SECONDS)

    # --- what comes in -----------------------------------------------------------------------

    def see(self, reading: Reading | None, time_us: int, now_us: int | None = None) -> None:
        """Take what `card.read` told of a picture that is presented at `time_us`."""
        self.pictures += 1
        if reading is None:
            self.unreadable += 1
            return
        self._worst_colour = max(self._worst_colour, reading.error)
        self.wrong_colours += reading.error > self._colour_tolerance
        media_us, newest_us = self._media_us(reading, time_us), self._newest_us
        self._newest_us, self._newest_shown_us = media_us, time_us
        if newest_us is not None and media_us <= newest_us:
            self.repeated += media_us == newest_us
            self.backward += media_us < newest_us
            return
        self._shown_us.append(time_us)
        if now_us is not None and not self._loop_us:
            self._video_latency_us.append(now_us - reading.time_us)
        if reading.is_lit and not self._was_lit:
            # when the second itself began: the flash is seen with the first picture after that
            self._flashes.append(time_us - reading.time_us % SECOND_US)
        self._was_lit = reading.is_lit

    def _media_us(self, reading: Reading, time_us: int) -> int:
        """Media time; in a loop that which is nearest to what is to be expected by presentation."""
        if not self._loop_us or self._newest_us is None:
            return reading.time_us
        expected_us = self._newest_us + time_us - self._newest_shown_us
        rounds = round((expected_us - reading.time_us) / self._loop_us)
        return reading.time_us + rounds * self._loop_us

    def hear(self, samples: NDArray[np.floating], rate: int, time_us: int) -> None:
        """Take a block of sound, shape (n,) or (n, channels), heard from `time_us` on."""
        if self._ear is None or self._ear.rate != rate:
            self._heard.extend(self._ear.rest() if self._ear else ())
            self._ear = Ear(rate)
        self._heard.extend(self._ear.add(samples, time_us))

    # --- what comes out ----------------------------------------------------------------------

    def report(self) -> Report:
        """Return what was measured so far."""
        heard = [*self._heard, *(self._ear.rest() if self._ear else ())]
        beeps = sorted(beep for one in heard for beep in one.beeps_us)
        gaps = [after - before for before, after in pairwise(self._shown_us)]
        freezes = [gap for gap in gaps if gap > self._freeze_us]
        tones = [one.hertz for one in heard if one.hertz]
        return Report(
            pictures=self.pictures,
            unreadable=self.unreadable,
            repeated=self.repeated,
            backward=self.backward,
            wrong_colours=self.wrong_colours,
            worst_colour=self._worst_colour,
            fps=self._fps(),
            freezes=len(freezes),
            longest_gap_ms=max(gaps, default=0) / 1000,
            latency_ms=spread([value / 1000 for value in self._video_latency_us]),
            heard=len(heard),
            silent=len(heard) - len(tones),
            hertz=median(tones) if tones else 0.0,
            level_dbfs=median(one.level_dbfs for one in heard) if heard else -inf,
            beeps=len(beeps),
            flashes=len(self._flashes),
            sync=self._sync(np.array(beeps)),
        )

    def _fps(self) -> float:
        shown = self._shown_us
        if len(shown) < 2 or shown[-1] <= shown[0]:
            return 0.0
        return (len(shown) - 1) * SECOND_US / (shown[-1] - shown[0])

    def _sync(self, beeps: NDArray[np.int64]) -> Sync | None:
        """Compare each flash with the beep nearest to it: they are of one second."""
        pairs: list[tuple[int, float]] = []
        for flash in self._flashes if len(beeps) else ():
            offset = flash - int(beeps[np.abs(beeps - flash).argmin()])
            if abs(offset) < SECOND_US // 2:
                pairs.append((flash, offset / 1000))
        return Sync.of(pairs)
