"""How long a jitter buffer holds packets back. Sans-IO; microseconds of media behind arrival."""

from __future__ import annotations

from dataclasses import dataclass

_BUCKET_US = 5_000
_FORGET = 0.998
"""weight of the past per packet: half of it is gone after some 350"""
_QUANTILE = 0.97
_EVERY = 16
_MOST_WEIGHT = 1e9
_FALL = 0.01
"""A delay that is too long falls by 10 ms a second."""


@dataclass(frozen=True, slots=True)
class DelayRange:
    """Equal ends: fixed. Otherwise as short as nearly all packets allow."""

    least_us: int
    most_us: int

    def __post_init__(self) -> None:
        if not 0 <= self.least_us <= self.most_us:
            raise ValueError(f"not a range of delays: {self!r}")


CALL = DelayRange(40_000, 200_000)
"""A call leg: as short as can be (`sip.md` 6.2)."""
STREAM = DelayRange(400_000, 400_000)
"""A live output."""
RECORDING = DelayRange(2_000_000, 2_000_000)
"""Only files: time for everything to be sent again."""


class DelayControl:
    """Keeps the delay within its range, so that all but 3 % of the packets come in time."""

    def __init__(self, allowed: DelayRange) -> None:
        self._allowed = allowed
        self.fixed = allowed.least_us == allowed.most_us
        """nothing to observe"""
        self._counts = [0.0] * (allowed.most_us // _BUCKET_US + 1)
        self._total, self._weight, self._seen = 0.0, 1.0, 0
        self._wanted_us = self.delay_us = float(allowed.least_us)
        self._lowered_us: int | None = None

    def observe(self, lateness_us: float, now_us: int) -> None:
        """A packet came this much later than its media time."""
        if self.fixed:
            return
        bucket = min(len(self._counts) - 1, max(0, int(lateness_us // _BUCKET_US)))
        self._weight /= _FORGET
        self._counts[bucket] += self._weight
        self._total += self._weight
        self._seen += 1
        if self._weight > _MOST_WEIGHT:
            self._rescale()
        if self._seen % _EVERY == 1:
            self._wanted_us = self._quantile_us()
        self._follow(now_us)

    def _rescale(self) -> None:
        self._counts = [count / self._weight for count in self._counts]
        self._total /= self._weight
        self._weight = 1.0

    def _quantile_us(self) -> float:
        left, bucket = self._total * _QUANTILE, 0
        for count in self._counts:
            left -= count
            bucket += 1
            if left <= 0:
                break
        upper = bucket * _BUCKET_US
        return float(min(self._allowed.most_us, max(self._allowed.least_us, upper)))

    def _follow(self, now_us: int) -> None:
        """Longer at once, shorter little by little."""
        if self._lowered_us is None or self._wanted_us >= self.delay_us:
            self.delay_us = max(self.delay_us, self._wanted_us)
        else:
            fall = _FALL * max(0, now_us - self._lowered_us)
            self.delay_us = max(self._wanted_us, self.delay_us - fall)
        self._lowered_us = now_us
