"""What comes in, counted for the API. Sans-IO."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

FIRST_S, EVERY_S = 3, 60
MIN_SIDE, MAX_SIDE, MAX_FPS = 16, 8192, 240


@dataclass(frozen=True, slots=True)
class Rates:
    """Averages since the last time; 0 where nothing came."""

    video_bps: int
    audio_bps: int
    fps: float


class Figures:
    """Counts bytes and pictures; keeps what the encoder says about itself."""

    def __init__(self) -> None:
        self.size = (0, 0)
        """by the encoder's word, even; used where nothing better is known"""
        self.fps = 0.0
        """by the encoder's word"""
        self._bytes = {True: 0, False: 0}
        self._pictures = 0
        self._seconds = self._told = 0

    def describe(self, values: dict[str, Any]) -> None:
        """Take onMetaData; what is no size or rate is left out."""
        width, height, fps = (values.get(name) for name in ("width", "height", "framerate"))
        if isinstance(width, float) and isinstance(height, float):
            if MIN_SIDE <= min(width, height) and max(width, height) <= MAX_SIDE:
                self.size = (int(width) // 2 * 2, int(height) // 2 * 2)
        if isinstance(fps, float) and 1 <= fps <= MAX_FPS:
            self.fps = fps

    def count(self, size: int, *, is_video: bool) -> None:
        """Count one tag."""
        self._bytes[is_video] += size
        self._pictures += is_video

    def each_second(self) -> Rates | None:
        """Let a second pass; return averages after three, then once a minute."""
        self._seconds += 1
        if self._seconds != FIRST_S and self._seconds % EVERY_S:
            return None
        span_s = self._seconds - self._told
        rates = Rates(
            self._bytes[True] * 8 // span_s,
            self._bytes[False] * 8 // span_s,
            self.fps or round(self._pictures / span_s, 1),
        )
        self._told, self._pictures = self._seconds, 0
        self._bytes = {True: 0, False: 0}
        return rates
