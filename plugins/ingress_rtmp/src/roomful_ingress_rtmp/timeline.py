"""RTMP timestamps as one time that never jumps. Sans-IO.

They are 32-bit milliseconds that wrap, and encoders restart them, loop files, and change clocks. A
jump back, or of more than a second ahead, goes on from where both tracks were.
"""

from __future__ import annotations

JUMP_MS = 1000
STEP_MS = 33
_HALF, _WRAP = 1 << 31, 1 << 32


class Timeline:
    """Both tracks of one publisher."""

    def __init__(self) -> None:
        self._last: int | None = None
        """unwrapped, as the encoder says it"""
        self._shift = 0
        self._newest = 0
        self._tracks: dict[str, int] = {}
        self.jumps = 0

    def take(self, track: str, timestamp: int) -> int:
        """Return the time of a message in ms since the first; grows for each track."""
        if self._last is None:
            self._last = timestamp
            self._shift = -timestamp
        difference = (timestamp - self._last + _HALF) % _WRAP - _HALF
        self._last += difference
        time = self._last + self._shift
        if abs(time - self._newest) > JUMP_MS:
            self.jumps += 1
            moved = self._newest + STEP_MS - time
            self._shift += moved
            time += moved
        before = self._tracks.get(track)
        if before is not None and time < before:
            time = before
        self._tracks[track] = time
        self._newest = max(self._newest, time)
        return time
