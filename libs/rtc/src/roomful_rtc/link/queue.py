"""What waits for the socket of a link: bounded in bytes and in time, in one order for everything.

    put ──▶ full? ──no──▶ ┌───────────────────────────────┐ ──take()──▶ message of whole records
              │ yes       │ control, media, gaps as they  │
              ▼           │ came; a long frame in pieces, │
       make room or drop  │ others' records between them  │
                          └───────────────────────────────┘

Nothing here waits and nothing fails because the other end is slow: what finds no room is dropped
and leaves a gap record, frames whole. Control is never dropped; it has bytes of its own, and an
end that leaves those full counts as hung.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from roomful.errors import LocalProtocolError
from roomful.model.media import Drop, QueuePolicy
from roomful_rtc.link.batching import Batcher
from roomful_rtc.link.entries import (
    OVERHEAD,
    Entry,
    Gap,
    Item,
    QueuedFrame,
    throw_out_oldest,
    throw_out_video,
)
from roomful_rtc.link.policy import StreamState
from roomful_rtc.link.record import FRAME_BYTES, KEY, LINK_FULL, Frame

CONTROL_BYTES = 64 << 10
CONTROL_BYTES_HARD = 1 << 20
"""nobody waits 5 s to see that this is not read"""
CONTROL_FULL_NS = 5_000_000_000
_NO_MEDIA = 1 << 62


class LinkQueue:
    """The queue of one end of a link.

    Args:
        policy: its bounds.
        wake: called when something comes into the empty queue.
    """

    def __init__(self, policy: QueuePolicy, wake: Callable[[], None]) -> None:
        self._keeps_oldest = policy.drop is Drop.NEWEST
        self.video_queued = False
        """whether throwing out video could help"""
        self.dropped = 0
        """packets and frames"""
        self.records = 0
        """taken so far"""
        self._entries: deque[Entry] = deque()
        """bounded by the policy and by the bound of control"""
        self._wake = wake
        self._bytes = self._control_bytes = 0
        self._limit, self._age_ns = policy.max_bytes, policy.max_ms * 1_000_000
        self._oldest_ns = _NO_MEDIA
        self._batcher = Batcher()
        self._control_full_ns: int | None = None
        self._closed = False

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def bytes(self) -> int:
        """What media waits, overhead included; at most the policy's bound and one entry's."""
        return self._bytes

    @property
    def control_bytes(self) -> int:
        """What control waits."""
        return self._control_bytes

    def over_half(self, now_ns: int) -> bool:
        """Whether a sender should do with less, as without higher temporal layers."""
        return 2 * self._bytes > self._limit or 2 * (now_ns - self._oldest_ns) > self._age_ns

    def hung(self, now_ns: int) -> bool:
        """Whether the other end has not read its control for too long; asked regularly."""
        if self._control_bytes <= CONTROL_BYTES:
            self._control_full_ns = None
            return False
        if self._control_full_ns is None:
            self._control_full_ns = now_ns
        waited_ns = now_ns - self._control_full_ns
        return waited_ns >= CONTROL_FULL_NS or self._control_bytes > CONTROL_BYTES_HARD

    # -- in ------------------------------------------------------------------------------------

    def put(self, record: bytes, state: StreamState, now_ns: int) -> bool:
        """Queue an RTP record; False when it was dropped."""
        size = len(record)
        # what `_full` and `_append` do, without the calls
        if self._bytes + size > self._limit or now_ns - self._oldest_ns > self._age_ns:
            key = bool(record[3] & KEY)
            if not self._make_room(size, state, now_ns, key=key):
                self._refuse(state, now_ns)
                return False
            state.waiting = state.waiting and not key
        if state.missing:
            self._append_gap(state, now_ns)
        entries = self._entries
        if not entries:
            self._wake()
        if self._oldest_ns == _NO_MEDIA:
            self._oldest_ns = now_ns
        entries.append((record, state, now_ns))
        self._bytes += size + OVERHEAD
        return True

    def put_frame(self, frame: Frame, state: StreamState, now_ns: int) -> bool:
        """Queue a frame, whole; False when it was dropped, whole.

        Raises:
            LocalProtocolError: longer than a frame may be.
        """
        size = len(frame.payload)
        if size > FRAME_BYTES:
            raise LocalProtocolError(f"a frame of {size} bytes, {FRAME_BYTES} are allowed")
        if state.waiting and not frame.key:
            self._refuse(state, now_ns)
            return False
        if self._full(size, now_ns) and not self._make_room(size, state, now_ns, key=frame.key):
            self._refuse(state, now_ns)
            return False
        state.waiting = False
        self.video_queued = self.video_queued or state.video
        if state.missing:
            self._append_gap(state, now_ns)
        self._append(QueuedFrame(frame), state, now_ns, size + OVERHEAD)
        return True

    def put_clock(self, record: bytes, state: StreamState, now_ns: int) -> None:
        """Queue a clock record; dropped without a trace when there is no room."""
        if not self._full(len(record), now_ns):
            self._append(record, state, now_ns, len(record) + OVERHEAD)

    def put_gap(self, count: int, reason: int, state: StreamState, now_ns: int) -> None:
        """Queue what somebody before us lost; without room it counts as lost by us."""
        if self._full(0, now_ns):
            state.missing += count
            return
        if state.missing:
            self._append_gap(state, now_ns)
        self._append(Gap(count, reason), state, now_ns, OVERHEAD)

    def put_end(self, record: bytes, state: StreamState, now_ns: int) -> None:
        """Queue the control record that ends a stream, after what is still owed to it."""
        if state.missing and not self._closed:
            self._append_gap(state, now_ns)
        self.put_control(record)

    def put_control(self, record: bytes) -> None:
        """Queue a control record, whatever waits already."""
        if self._closed:
            return
        if not self._entries:
            self._wake()
        self._entries.append((record, None, 0))
        self._control_bytes += len(record) + OVERHEAD

    def close(self) -> None:
        """Forget everything, and take nothing more."""
        self._closed = True
        self._entries.clear()
        self._bytes = self._control_bytes = 0
        self._limit = -1

    def skip(self, state: StreamState, now_ns: int) -> None:
        """Note that the sender dropped one packet, because its stream waits for a key frame."""
        self._refuse(state, now_ns)

    def _append(self, item: Item, state: StreamState, now_ns: int, size: int) -> None:
        if not self._entries:
            self._wake()
        self._entries.append((item, state, now_ns))
        self._bytes += size
        if self._oldest_ns == _NO_MEDIA:
            self._oldest_ns = now_ns

    def _append_gap(self, state: StreamState, now_ns: int) -> None:
        gap = Gap(state.missing, LINK_FULL)
        state.missing = 0
        self._append(gap, state, now_ns, OVERHEAD)

    def _refuse(self, state: StreamState, now_ns: int) -> None:
        if not self._closed:
            self.dropped += 1
            state.drop(1, now_ns)

    # -- room ----------------------------------------------------------------------------------

    def _full(self, need: int, now_ns: int) -> bool:
        return self._bytes + need > self._limit or now_ns - self._oldest_ns > self._age_ns

    def _make_room(self, need: int, state: StreamState, now_ns: int, *, key: bool) -> bool:
        """Throw out what goes first; False when what comes has to."""
        if self._closed:
            return False
        if self._keeps_oldest:
            made = self._cut_video(need, state, now_ns)
        else:
            made = self._drop_old(need, state, now_ns, key=key)
        self._note_oldest()
        return made

    def _cut_video(self, need: int, state: StreamState, now_ns: int) -> bool:
        """For a recording: audio may push out the newest video, nothing else may push."""
        if state.video or not self.video_queued or now_ns - self._oldest_ns > self._age_ns:
            return False
        enough = self._bytes + need - self._limit + self._limit // 8
        freed = self._freed(throw_out_video(self._entries, now_ns, enough))
        self.video_queued = freed >= enough
        return self._bytes + need <= self._limit

    def _drop_old(self, need: int, state: StreamState, now_ns: int, *, key: bool) -> bool:
        """For live media: all video goes, then the oldest audio; but video that merely finds no
        room goes itself, what is queued of it can still be shown in time.
        """
        if state.video and not key and now_ns - self._oldest_ns <= self._age_ns:
            return False
        if self.video_queued:
            self._freed(throw_out_video(self._entries, now_ns))
            self.video_queued = False
            self._note_oldest()
        if self._full(need, now_ns):
            too_much = self._bytes + need - self._limit * 7 // 8
            self._freed(throw_out_oldest(self._entries, self._age_ns, now_ns, too_much))
        return (key or not state.waiting) and self._bytes + need <= self._limit

    def _freed(self, thrown_out: tuple[int, int]) -> int:
        freed, dropped = thrown_out
        self._bytes -= freed
        self.dropped += dropped
        return freed

    def _note_oldest(self) -> None:
        self._oldest_ns = _NO_MEDIA
        for _, state, since_ns in self._entries:
            if state is not None:
                self._oldest_ns = since_ns
                break

    # -- out -----------------------------------------------------------------------------------

    def take(self) -> bytes | None:
        """Return the next message, None when nothing waits."""
        if not self._entries:
            return None
        batch = self._batcher.next(self._entries)
        self._bytes -= batch.media_cost
        self._control_bytes -= batch.control_cost
        self.records += batch.records
        self._note_oldest()
        return batch.message
