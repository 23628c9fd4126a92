"""Counts of what a raw peer received, per SSRC, without sockets or clocks."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass

LATENCIES_KEPT = 20_000


@dataclass(slots=True)
class Flow:
    """One incoming stream."""

    pt: int
    first: int
    """first sequence number"""
    highest: int
    """highest sequence number, unwrapped"""
    first_ns: int
    """CLOCK_REALTIME of the first packet"""
    packets: int = 1
    bytes: int = 0
    """on the wire: RTP header, payload, authentication tag"""
    gaps: int = 0
    """numbers that did not come"""
    late: int = 0
    """packets that came after a later one, or twice"""
    authentic: int = 0
    refused: int = 0
    """of the packets that were decrypted as a sample"""

    def advance(self, seq16: int) -> None:
        """Take a number that is not the next one."""
        ahead = (seq16 - self.highest) & 0xFFFF
        if 0 < ahead < 0x8000:
            self.highest += ahead
            self.gaps += ahead - 1
        else:
            self.late += 1
            self.gaps -= bool(self.gaps)

    def record(self) -> dict[str, int]:
        """For a snapshot."""
        return asdict(self)


class Latencies:
    """Newest transit times in µs, from the stamp in the payload to the arrival."""

    def __init__(self) -> None:
        self._kept: deque[int] = deque(maxlen=LATENCIES_KEPT)

    def add(self, sent_ns: int, came_ns: int) -> None:
        """Keep a plausible one: other payloads end in other bytes."""
        transit = (came_ns - sent_ns) // 1000
        if 0 <= transit < 10_000_000:
            self._kept.append(transit)

    def take(self) -> list[int]:
        """Remove and return all."""
        kept = list(self._kept)
        self._kept.clear()
        return kept
