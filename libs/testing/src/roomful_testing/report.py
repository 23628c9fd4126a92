"""What was measured, as figures and as a text to read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LAST_PAIRS = 10
"""the end of a run, in seconds"""


@dataclass(frozen=True, slots=True)
class Spread:
    """Of a figure that was measured many times."""

    median: float
    p99: float
    lowest: float
    highest: float

    def __str__(self) -> str:
        return f"{self.median:.1f} (p99 {self.p99:.1f}, {self.lowest:.1f} to {self.highest:.1f})"


def spread(values: Sequence[float]) -> Spread | None:
    """Return the spread; None of nothing."""
    if not values:
        return None
    median, p99 = np.percentile(values, [50, 99])
    return Spread(float(median), float(p99), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Sync:
    """By how much pictures are later than the sound that belongs to them, in milliseconds."""

    pairs: int
    """flashes that had a beep"""
    offset_ms: Spread
    last_ms: float
    """median of the last ten"""
    drift_ms_per_min: float
    """slope of the offset; 0.0 where there is too little of it"""

    @classmethod
    def of(cls, pairs: Sequence[tuple[int, float]]) -> Sync | None:
        """Take (presentation in microseconds, offset in milliseconds); None of nothing."""
        offsets = [offset for _, offset in pairs]
        whole = spread(offsets)
        if whole is None:
            return None
        last = float(np.median(offsets[-LAST_PAIRS:]))
        minutes = np.array([(time_us - pairs[0][0]) / 60e6 for time_us, _ in pairs])
        slope = float(np.polyfit(minutes, offsets, 1)[0]) if len(pairs) >= 3 else 0.0
        return cls(len(pairs), whole, last, slope)


@dataclass(frozen=True, slots=True)
class Report:
    """Of one `Measure`. Counts are of pictures unless they say something else."""

    pictures: int
    unreadable: int
    repeated: int
    """of the same media time as the one before"""
    backward: int
    """of an earlier one"""
    wrong_colours: int
    worst_colour: float
    """steps of 255"""
    fps: float
    """new pictures a second, by presentation"""
    freezes: int
    longest_gap_ms: float
    """between two new pictures"""
    latency_ms: Spread | None
    """from drawing to now; None where no clock told"""
    heard: int
    """runs of about a second that were read"""
    silent: int
    """of these, without a tone"""
    hertz: float
    """of the tone, median; 0.0: none"""
    level_dbfs: float
    beeps: int
    flashes: int
    sync: Sync | None
    """None without a flash and a beep of one second"""

    def __str__(self) -> str:
        return "\n".join(f"{name:<9}{text}" for name, text in self._rows())

    def _rows(self) -> list[tuple[str, str]]:
        return [
            (
                "pictures",
                f"{self.pictures}, {self.fps:.2f} new a second; {self.repeated} repeated, "
                f"{self.backward} backward, {self.unreadable} unreadable",
            ),
            ("freezes", f"{self.freezes}, longest gap {self.longest_gap_ms:.0f} ms"),
            ("colours", f"{self.wrong_colours} wrong, worst {self.worst_colour:.0f} of 255"),
            ("latency", "not known" if self.latency_ms is None else f"{self.latency_ms} ms"),
            (
                "tone",
                f"{self.hertz:.1f} Hz, {self.level_dbfs:.1f} dBFS; "
                f"{self.silent} of {self.heard} s silent",
            ),
            ("sync", self._sync_text()),
        ]

    def _sync_text(self) -> str:
        if self.sync is None:
            return f"not known: {self.flashes} flashes, {self.beeps} beeps"
        return (
            f"picture later than sound by {self.sync.offset_ms} ms, at the end "
            f"{self.sync.last_ms:.1f}, drift {self.sync.drift_ms_per_min:+.2f} ms/min "
            f"({self.sync.pairs} pairs)"
        )
