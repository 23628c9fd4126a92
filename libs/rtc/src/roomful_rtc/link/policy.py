"""What a queue of a link remembers of each stream, for when it is full.

Its bounds are a `roomful.model.media.QueuePolicy`: video goes first, each stream up to its next key
frame; then audio, the oldest for live jobs, the newest for recordings.
"""

from __future__ import annotations

from collections.abc import Callable

from roomful.model.media import QueuePolicy

KEY_FRAME_ASKED_NS = 2_000_000_000
"""While a stream waits for a key frame it asks for one so often."""
NEVER = -(1 << 62)


LIVE_FRAMES = QueuePolicy(max_bytes=8 << 20)
"""for links that carry encoded video frames: the longest fits an empty queue"""


class StreamState:
    """What a queue remembers of one stream."""

    __slots__ = ("_ask", "_asked_ns", "cut", "dropped", "missing", "stream", "video", "waiting")

    def __init__(
        self, stream: int, *, video: bool, ask_key_frame: Callable[[], None] | None = None
    ) -> None:
        self.stream, self.video = stream, video
        self.missing = 0
        """dropped since the last that was queued: a gap record comes before the next"""
        self.waiting = False
        """nothing but a key frame is taken"""
        self.cut = False
        """a gap was sent, what follows it was not"""
        self.dropped = 0
        self._ask, self._asked_ns = ask_key_frame, NEVER

    def drop(self, count: int, now_ns: int) -> None:
        """Note that so many packets or frames were dropped; the newest ones of this stream."""
        self.missing += count
        self.dropped += count
        if self.video:
            self.waiting = True
            self.ask_key_frame(now_ns)

    def ask_key_frame(self, now_ns: int) -> None:
        """Ask whoever sends for a key frame, unless that was done lately."""
        if self._ask is not None and now_ns - self._asked_ns >= KEY_FRAME_ASKED_NS:
            self._asked_ns = now_ns
            self._ask()
