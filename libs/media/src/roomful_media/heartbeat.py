"""Is a worker alive? A ping every 2 s, dead after 6 s of silence; sans-IO.

Anything a worker says counts as life. Time in which the server itself did not run is nobody's
silence: its workers' answers may have been waiting all along.
"""

from __future__ import annotations

PING_S = 2.0
SILENT_S = 6.0
TICK_S = 0.5
"""`tick` is called about so often"""
_STALL_S = 0.5


class Heartbeat:
    """Of one worker, from its first word on."""

    def __init__(self, now: float) -> None:
        self._ticked_at = self._heard_at = now
        self._pinged_at = now - PING_S
        self._pings = 0

    def tick(self, now: float, heard_at: float) -> int | None:
        """Note the time and when the worker was last heard; return the number of a ping to send."""
        stalled_s = now - self._ticked_at - TICK_S
        if stalled_s > _STALL_S:
            self._heard_at += stalled_s
        self._heard_at = min(max(self._heard_at, heard_at), now)
        self._ticked_at = now
        if now - self._pinged_at < PING_S:
            return None
        self._pinged_at = now
        self._pings += 1
        return self._pings

    @property
    def silent_s(self) -> float:
        """How long the worker has said nothing, as of the last tick."""
        return self._ticked_at - self._heard_at

    @property
    def dead(self) -> bool:
        """Whether that is too long."""
        return self.silent_s >= SILENT_S
