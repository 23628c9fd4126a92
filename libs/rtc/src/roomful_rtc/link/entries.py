"""What waits in a link's queue, and what is thrown out of it when it is full.

An entry is (item, state, since_ns). The item is a finished record, a `Gap` or a `QueuedFrame`; the
state is that of its stream, None for control, which is never thrown out; nor is a frame of which
a fragment was sent.
"""

from __future__ import annotations

from collections import deque
from typing import TypeAlias

from roomful_rtc.link.policy import StreamState
from roomful_rtc.link.record import (
    CLOCK,
    DISCONTINUITY,
    FIRST_FRAGMENT_BYTES,
    FRAME_BODY,
    GAP_BODY,
    HEADER_SIZE,
    KEY,
    LINK_FULL,
    RTP,
    Frame,
    discontinuous,
    first_fragment,
    gap_record,
    later_fragment,
)

OVERHEAD = 160
"""What an entry counts beside its bytes, so that the bound of many small ones is a bound too: the
tuple, the number in it and the header of the bytes object."""


class Gap:
    """So many are missing here."""

    __slots__ = ("count", "reason")

    def __init__(self, count: int, reason: int) -> None:
        self.count, self.reason = count, reason


class QueuedFrame:
    """A frame, and how much of it was sent."""

    __slots__ = ("frame", "sent", "size")

    def __init__(self, frame: Frame) -> None:
        self.frame, self.size, self.sent = frame, len(frame.payload), 0

    @property
    def fits(self) -> bool:
        """Whether one record holds it."""
        return self.size <= FIRST_FRAGMENT_BYTES

    @property
    def finished(self) -> bool:
        return self.sent >= self.size

    def record(self, state: StreamState) -> bytes:
        """Return the next record, the only one when it fits."""
        if self.sent:
            record = later_fragment(state.stream, self.frame, self.sent)
            self.sent += len(record) - HEADER_SIZE
            return record
        flags = (KEY if self.frame.key else 0) | (DISCONTINUITY if state.cut else 0)
        state.cut = False
        self.sent = min(self.size, FIRST_FRAGMENT_BYTES)
        return first_fragment(state.stream, self.frame, flags)


Item: TypeAlias = bytes | Gap | QueuedFrame
Entry: TypeAlias = tuple[Item, StreamState | None, int]


def cost(item: Item) -> int:
    """Return what an entry counts against the bound."""
    if isinstance(item, Gap):
        return OVERHEAD
    return OVERHEAD + (item.size if isinstance(item, QueuedFrame) else len(item))


def record_size(item: Item) -> int | None:
    """Return the length of an entry's one record, None for a frame that needs several."""
    if isinstance(item, Gap):
        return HEADER_SIZE + GAP_BODY.size
    if isinstance(item, QueuedFrame):
        return HEADER_SIZE + FRAME_BODY.size + item.size if item.fits else None
    return len(item)


def encoded(item: Item, state: StreamState) -> bytes:
    """Return the record of an entry that goes out now."""
    if isinstance(item, Gap):
        state.cut = True
        return gap_record(state.stream, item.count, item.reason)
    if isinstance(item, QueuedFrame):
        return item.record(state)
    if state.cut and item[2] == RTP:
        state.cut = False
        return discontinuous(item)
    return item


def counted(item: Item) -> int:
    """Return how many packets or frames are missing when this is thrown out."""
    if isinstance(item, Gap):
        return item.count
    return 0 if isinstance(item, bytes) and item[2] == CLOCK else 1


def throw_out_video(
    entries: deque[Entry], now_ns: int, enough: int | None = None
) -> tuple[int, int]:
    """Throw out video, the newest first.

    Args:
        entries: changed in place.
        now_ns: for asking for key frames.
        enough: stop when so much went; None throws out all.

    Returns:
        Cost of what went, number of packets and frames that did.
    """
    freed, dropped, kept = 0, 0, list[Entry]()
    while entries and (enough is None or freed < enough):
        entry = entries.pop()
        item, state, _ = entry
        if state is None or not state.video or (isinstance(item, QueuedFrame) and item.sent):
            kept.append(entry)
            continue
        freed += cost(item)
        if isinstance(item, Gap):
            state.missing += item.count  # who dropped them has counted them
            state.waiting = True
        else:
            dropped += counted(item)
            state.drop(counted(item), now_ns)
    entries.extend(reversed(kept))
    return freed, dropped


def throw_out_oldest(
    entries: deque[Entry], age_ns: int, now_ns: int, too_much: int
) -> tuple[int, int]:
    """Throw out audio from the front until an eighth of the bounds is free.

    Args:
        entries: changed in place; where records went a gap stands.
        age_ns: what is older is too old.
        now_ns: the time.
        too_much: cost that has to go, at least.

    Returns:
        Cost of what went, number of packets and frames that did.
    """
    youngest_ns = now_ns - age_ns * 7 // 8
    freed, dropped = 0, 0
    kept, gaps = list[Entry](), dict[int, Gap]()
    while entries:
        item, state, since_ns = entry = entries[0]
        if state is not None and freed >= too_much and since_ns >= youngest_ns:
            break
        entries.popleft()
        if state is None or (isinstance(item, QueuedFrame) and item.sent):
            kept.append(entry)
            continue
        freed += cost(item)
        count = counted(item)
        if not isinstance(item, Gap):
            state.dropped += count
            dropped += count
        if state.stream in gaps:
            gaps[state.stream].count += count
        elif count:
            gap = gaps[state.stream] = Gap(count, LINK_FULL)
            kept.append((gap, state, youngest_ns))  # no younger than what follows it
            freed -= OVERHEAD
    entries.extendleft(reversed(kept))
    return freed, dropped
