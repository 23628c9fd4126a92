"""Transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-01), sans-IO.

A feedback message covers a run of transport sequence numbers, from `base` on: which arrived, and
when, in steps of 250 µs after a reference time in steps of 64 ms.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

from roomful.errors import RemoteProtocolError
from roomful_rtc.rtp import SEQ_MASK, unwrap

DELTA_US = 250
REFERENCE_US = 64_000
MAX_STATUS = 1024
"""packets that one message covers at most; also read of a peer's message"""
MAX_BODY = 1200

_HEADER = struct.Struct("!HHI")
_NOT_RECEIVED, _SMALL, _LARGE = 0, 1, 2
_RUN_MAX = 0x1FFF
_VECTOR = 7
"""statuses in one two-bit vector chunk"""


class Feedback(NamedTuple):
    """One parsed message."""

    base: int
    """16-bit number of the first packet covered"""
    message: int
    """number of this message, 8 bit, wraps"""
    packets: tuple[tuple[int, int], ...]
    """(seq16, arrival in µs of the reporter's clock) of those that arrived, in order of number"""


class FeedbackBuilder:
    """Collects arrivals and makes messages; one per peer.

    Numbers that were reported or passed over are not reported again. Feed what `Arrivals` brings,
    call `take` each 50 to 100 ms.
    """

    __slots__ = ("_count", "_newest", "_next", "_seen")

    def __init__(self) -> None:
        self._seen: dict[int, int] = {}
        """extended number → arrival in µs"""
        self._next = -1
        """first extended number that no message has covered"""
        self._newest = -1
        self._count = 0

    def add(self, packets: Iterable[tuple[int, int]]) -> None:
        """Take (seq16, arrival_us) pairs in order of arrival; the first arrival counts."""
        for seq16, arrival_us in packets:
            if self._next < 0:
                self._next = self._newest = seq16
            seq = unwrap(seq16, self._newest)
            self._newest = max(self._newest, seq)
            if seq >= self._next and len(self._seen) < 2 * MAX_STATUS:
                self._seen.setdefault(seq, arrival_us)

    def take(self) -> list[bytes]:
        """Return message bodies for all that was added, oldest first."""
        bodies: list[bytes] = []
        numbers = sorted(self._seen)
        while numbers:
            if numbers[0] - self._next > MAX_STATUS // 2:
                self._next = numbers[0]
            body, used, covered = self._message(numbers)
            bodies.append(body)
            self._next = covered
            for seq in numbers[:used]:
                del self._seen[seq]
            numbers = numbers[used:]
        return bodies

    def _message(self, numbers: list[int]) -> tuple[bytes, int, int]:
        """Build one message from the first numbers; return it, how many it took, the next base."""
        reference = self._seen[numbers[0]] // REFERENCE_US
        clock = reference * REFERENCE_US
        statuses: list[int] = []
        deltas = bytearray()
        used, expected = 0, self._next
        for seq in numbers:
            delta = (self._seen[seq] - clock) // DELTA_US
            room = len(deltas) + (seq - self._next) // 3 < MAX_BODY - 32
            if not -0x8000 <= delta < 0x8000 or seq - self._next >= MAX_STATUS or not room:
                break
            statuses += [_NOT_RECEIVED] * (seq - expected)
            small = 0 <= delta < 256
            statuses.append(_SMALL if small else _LARGE)
            deltas += delta.to_bytes(1 if small else 2, "big", signed=not small)
            clock += delta * DELTA_US
            expected, used = seq + 1, used + 1
        head = _HEADER.pack(
            self._next & SEQ_MASK, len(statuses), (reference & 0xFFFFFF) << 8 | self._count
        )
        self._count = (self._count + 1) & 0xFF
        return head + _chunks(statuses) + bytes(deltas), used, expected


def _chunks(statuses: list[int]) -> bytes:
    """Encode statuses: runs where they are long, two-bit vectors else."""
    out = bytearray()
    at = 0
    while at < len(statuses):
        status, end = statuses[at], at + 1
        while end < len(statuses) and statuses[end] == status and end - at < _RUN_MAX:
            end += 1
        if end - at >= _VECTOR or end == len(statuses):
            out += (status << 13 | end - at).to_bytes(2, "big")
            at = end
            continue
        symbols = statuses[at : at + _VECTOR]
        bits = 0
        for symbol in symbols:
            bits = bits << 2 | symbol
        bits <<= 2 * (_VECTOR - len(symbols))
        out += (0xC000 | bits).to_bytes(2, "big")
        at += len(symbols)
    return bytes(out)


def parse(body: bytes) -> Feedback:
    """Read a message body.

    Raises:
        RemoteProtocolError: it is cut off, or covers more packets than are ever outstanding.
    """
    if len(body) < _HEADER.size:
        raise RemoteProtocolError("transport feedback is cut off")
    base, covered, tail = _HEADER.unpack_from(body)
    if covered > MAX_STATUS:
        raise RemoteProtocolError("transport feedback covers too many packets")
    statuses, at = _read_chunks(body, _HEADER.size, covered)
    clock = (tail >> 8) * REFERENCE_US
    packets: list[tuple[int, int]] = []
    for place, status in enumerate(statuses):
        if status not in (_SMALL, _LARGE):
            continue
        if at + status > len(body):
            raise RemoteProtocolError("transport feedback is cut off")
        delta = int.from_bytes(body[at : at + status], "big", signed=status == _LARGE)
        at += status
        clock += delta * DELTA_US
        packets.append(((base + place) & SEQ_MASK, clock))
    return Feedback(base, tail & 0xFF, tuple(packets))


def _read_chunks(body: bytes, at: int, covered: int) -> tuple[list[int], int]:
    statuses: list[int] = []
    while len(statuses) < covered:
        if at + 2 > len(body):
            raise RemoteProtocolError("transport feedback is cut off")
        chunk = int.from_bytes(body[at : at + 2], "big")
        at += 2
        if not chunk & 0x8000:
            length = min(chunk & _RUN_MAX, covered - len(statuses))
            if not length:
                raise RemoteProtocolError("transport feedback holds an empty run")
            statuses += [chunk >> 13 & 3] * length
        elif chunk & 0x4000:
            statuses += [chunk >> shift & 3 for shift in range(12, -1, -2)]
        else:
            statuses += [chunk >> shift & 1 for shift in range(13, -1, -1)]
    return statuses[:covered], at
