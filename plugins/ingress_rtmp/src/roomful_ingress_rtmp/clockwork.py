"""Media time of one publisher as CLOCK_MONOTONIC, and that as NTP time: for all its tracks alike."""

from __future__ import annotations

from roomful.clock import Clock

NTP_EPOCH_S = 2_208_988_800


class Clockwork:
    """Anchored by the first message."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._base_us: int | None = None
        self.ntp_offset_us = (
            clock.wall_ms() * 1000 + NTP_EPOCH_S * 1_000_000 - int(clock.monotonic() * 1e6)
        )
        """NTP time less CLOCK_MONOTONIC"""

    @property
    def now_ns(self) -> int:
        return int(self._clock.monotonic() * 1e9)

    def time_us(self, media_ms: int) -> int:
        """Return when this moment of the media is, had it come without delay."""
        if self._base_us is None:
            self._base_us = int(self._clock.monotonic() * 1e6) - media_ms * 1000
        return self._base_us + media_ms * 1000
