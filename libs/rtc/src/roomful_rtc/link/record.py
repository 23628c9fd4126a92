"""The records of the local link, as bytes.

A record is a header of 8 bytes, big endian, and a body:

    0–1  length of the body, ≤ 61,440
    2    type: 0 control, 1 RTP, 2 clock, 3 gap, 4 frame
    3    flags: bit 0 first after a discontinuity, bit 1 begins a key frame, bit 2 more fragments
    4–7  stream: id given by the server, 0 for control of the whole link

    control  a JSON object with "t"                                   (`control`)
    RTP      arrival_ns u64, the packet
    clock    rtp_ts u32, ntp u64, arrival_ns u64: one per sender report
    gap      count u32, reason u8
    frame    arrival_ns u64, pts_us i64, dts_us i64, config u32, total u32, payload; the fragments
             that follow are payload only, and every one but the last has the flag `MORE`

Times in ns are CLOCK_MONOTONIC, which both ends of a link share.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from roomful.model.media import GapReason

HEADER = Struct("!HBBI")
"""length of the body, type, flags, stream"""
RTP_HEADER = Struct("!HBBIQ")
"""the header of an RTP record and its arrival time"""
ARRIVAL = Struct("!Q")
CLOCK_BODY = Struct("!IQQ")
GAP_BODY = Struct("!IB")
FRAME_BODY = Struct("!QqqII")

HEADER_SIZE = HEADER.size
BODY_BYTES = 61_440
BATCH_BYTES = 61_440
"""a message of several records is no longer than this"""
MESSAGE_BYTES = HEADER_SIZE + BODY_BYTES
"""a message of one record is no longer than this"""
FRAME_BYTES = 8 << 20
FIRST_FRAGMENT_BYTES = BODY_BYTES - FRAME_BODY.size
STREAM_MAX = 0xFFFFFFFF

CONTROL, RTP, CLOCK, GAP, FRAME = range(5)
DISCONTINUITY, KEY, MORE = 1, 2, 4
LINK_FULL, PAUSED, UPSTREAM_LOSS = map(
    int, (GapReason.QUEUE_FULL, GapReason.PAUSED, GapReason.LOST)
)
"""Reasons of a gap, as numbers."""

_COUNT_MAX = 0xFFFFFFFF


class Frame(NamedTuple):
    """One encoded frame. `payload` is whole and may be kept."""

    payload: bytes
    arrival_ns: int
    """when it came to the process that sent it, CLOCK_MONOTONIC"""
    pts_us: int
    dts_us: int
    config: int
    """id of the `config` message that says how to decode it"""
    key: bool = False


def clock_record(stream: int, rtp_ts: int, ntp: int, arrival_ns: int) -> bytes:
    """Build the record of one sender report; `ntp` is its 64-bit NTP timestamp."""
    return HEADER.pack(CLOCK_BODY.size, CLOCK, 0, stream) + CLOCK_BODY.pack(rtp_ts, ntp, arrival_ns)


def gap_record(stream: int, count: int, reason: int) -> bytes:
    """Build the record that says how many packets or frames are missing here."""
    body = GAP_BODY.pack(min(count, _COUNT_MAX), reason)
    return HEADER.pack(GAP_BODY.size, GAP, 0, stream) + body


def first_fragment(stream: int, frame: Frame, flags: int) -> bytes:
    """Build the first record of a frame, the only one when all of it fits."""
    payload = frame.payload[:FIRST_FRAGMENT_BYTES]
    total = len(frame.payload)
    if len(payload) < total:
        flags |= MORE
    body = FRAME_BODY.pack(frame.arrival_ns, frame.pts_us, frame.dts_us, frame.config, total)
    size = FRAME_BODY.size + len(payload)
    return b"".join((HEADER.pack(size, FRAME, flags, stream), body, payload))


def later_fragment(stream: int, frame: Frame, offset: int) -> bytes:
    """Build the record of the payload from `offset` on."""
    payload = frame.payload[offset : offset + BODY_BYTES]
    flags = MORE if offset + len(payload) < len(frame.payload) else 0
    return HEADER.pack(len(payload), FRAME, flags, stream) + payload


def discontinuous(record: bytes) -> bytes:
    """Return an RTP record with the flag of the first after a discontinuity."""
    return b"".join((record[:3], bytes((record[3] | DISCONTINUITY,)), record[4:]))
