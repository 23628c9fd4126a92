"""From the entries of a queue to messages: records in batches, long frames in pieces between them."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from roomful_rtc.link.entries import OVERHEAD, Entry, Item, QueuedFrame, cost, encoded, record_size
from roomful_rtc.link.policy import StreamState
from roomful_rtc.link.record import BATCH_BYTES, HEADER

_LOOK_AHEAD = 256
"""entries beside an unfinished frame that are looked at for others' records"""


class Batch(NamedTuple):
    """A message, and what went out of the queue with it."""

    message: bytes
    records: int
    media_cost: int
    control_cost: int


class Batcher:
    """Of one queue. Remembers whose turn it is while a long frame goes out."""

    def __init__(self) -> None:
        self._aside = False

    def next(self, entries: deque[Entry]) -> Batch:
        """Take the next message out of a queue that is not empty."""
        item, state, _ = entries[0]
        if not isinstance(item, QueuedFrame) or item.fits:
            return _batch(entries)
        assert state is not None, "a frame has a stream"
        if item.sent and self._aside:
            self._aside = False
            batch = _beside(entries, state)
            if batch.records:
                return batch
        self._aside = True
        return _piece(entries, item, state)


def _batch(entries: deque[Entry]) -> Batch:
    """As many records as a message holds, up to the next long frame."""
    parts, size, media, control = list[bytes](), 0, 0, 0
    while entries:
        item, state, _ = entries[0]
        length = len(item) if type(item) is bytes else record_size(item)
        if length is None or (size + length > BATCH_BYTES and parts):
            break
        entries.popleft()
        size += length
        if state is None:
            control += length + OVERHEAD
            parts.append(_bytes(item))
        elif type(item) is bytes and not state.cut:
            media += length + OVERHEAD
            parts.append(item)
        else:
            media += cost(item)
            parts.append(encoded(item, state))
    return Batch(b"".join(parts), len(parts), media, control)


def _piece(entries: deque[Entry], frame: QueuedFrame, state: StreamState) -> Batch:
    """The next fragment of the first entry, which stays until it was sent whole."""
    record = frame.record(state)
    if not frame.finished:
        return Batch(record, 1, 0, 0)
    entries.popleft()
    return Batch(record, 1, cost(frame), 0)


def _beside(entries: deque[Entry], state: StreamState) -> Batch:
    """Records of other streams than that of the first entry, whose frame is unfinished."""
    parts, size, media, control = list[bytes](), 0, 0, 0
    held, blocked = [entries.popleft()], {state.stream}
    while entries and len(held) < _LOOK_AHEAD:
        item, other, _ = entry = entries.popleft()
        stream = other.stream if other is not None else HEADER.unpack_from(_bytes(item))[3]
        length = None if stream in blocked else record_size(item)
        if length is None or size + length > BATCH_BYTES:
            held.append(entry)
            blocked.add(stream)
            continue
        size += length
        if other is None:
            control += length + OVERHEAD
            parts.append(_bytes(item))
        else:
            media += cost(item)
            parts.append(encoded(item, other))
    entries.extendleft(reversed(held))
    return Batch(b"".join(parts), len(parts), media, control)


def _bytes(item: Item) -> bytes:
    assert isinstance(item, bytes), "control is queued as finished records"
    return item
