"""What a full queue of a link drops, and what it remembers of each stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

KEY_FRAME_ASKED_NS = 2_000_000_000
"""While a stream waits for a key frame it asks for one so often."""
NEVER = -(1 << 62)


@dataclass(frozen=True, slots=True)
class QueuePolicy:
    """The bounds of a queue of media.

    Video goes first, each stream up to its next key frame; then audio.
    """

    name: str
    age_ns: int
    """what is older has been overtaken by events"""
    bytes: int
    keeps_oldest: bool
    """True: what is queued stays whole and the newest is dropped, as a recording wants. False: the
    oldest is dropped, so that what is heard is current."""


LIVE = QueuePolicy("live", 500_000_000, 2 << 20, keeps_oldest=False)
LIVE_FRAMES = QueuePolicy("live_frames", 500_000_000, 8 << 20, keeps_oldest=False)
"""for links that carry encoded video frames: the longest fits an empty queue"""
RECORDING = QueuePolicy("recording", 4_000_000_000, 16 << 20, keeps_oldest=True)

POLICIES: Mapping[str, QueuePolicy] = {
    policy.name: policy for policy in (LIVE, LIVE_FRAMES, RECORDING)
}


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
