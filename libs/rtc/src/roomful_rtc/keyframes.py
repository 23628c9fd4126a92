"""When to ask a publisher for a key frame of one stream. Sans-IO.

    idle ──ask──▶ wanted ──send──▶ waiting ──0.8 s or the interval without one──▶ wanted
      ▲                               │
      └───────── key frame came ──────┘        (or five asked for in vain: the stream is dead)

However many subscribers ask, however often: one request goes out per interval (`media.md` 8).
"""

from __future__ import annotations

LOWEST_INTERVAL_S, HIGHEST_INTERVAL_S = 0.5, 1.0
REPEAT_AFTER_S = 0.8
"""Clients ignore a request that comes while they start an encoder: ask again after this."""
MAX_TRIES = 5


class KeyFrameRequests:
    """The throttle of one stream."""

    __slots__ = ("_due", "_interval_s", "_sent_at", "_tries")

    def __init__(self, spatial: int = 0) -> None:
        steps = min(spatial, 2) / 2
        self._interval_s = LOWEST_INTERVAL_S + (HIGHEST_INTERVAL_S - LOWEST_INTERVAL_S) * steps
        self._sent_at: float | None = None
        self._due: float | None = None
        self._tries = 0

    @property
    def due(self) -> float | None:
        """When `take` has to be called; None: nothing is wanted."""
        return self._due

    def ask(self, now: float) -> None:
        """Somebody needs a key frame."""
        self._tries = 0
        earliest = now if self._sent_at is None else max(now, self._sent_at + self._interval_s)
        self._due = earliest if self._due is None else min(self._due, earliest)

    def arrived(self) -> None:
        """A key frame began; whoever asked has it."""
        self._due = None

    def take(self, now: float) -> bool:
        """Return whether a request has to go out now."""
        if self._due is None or now < self._due:
            return False
        self._sent_at = now
        self._tries += 1
        wait = max(REPEAT_AFTER_S, self._interval_s)
        self._due = now + wait if self._tries < MAX_TRIES else None
        return True
