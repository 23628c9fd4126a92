"""Packets as they arrive → packets in order, each at its time. Sans-IO; microseconds.

    arrival ─▶ `place` (sequence number) ─▶ held ──its time, no hole before it──▶ `pop`
                  │                          └── hole before it: when the hole is given up
                  ├─ duplicate, late: counted
                  └─ another source: numbers go on after the last, marked as a discontinuity

A hole is given up when the packet behind it is due and the hole is older than `patience_us`, or at
once when it is known that nothing will come (gap records of the link). Numbers are extended here.
The buffer is bounded in packets and bytes: when it is full the oldest packet goes and leaves a hole.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from roomful_rtc.nack import MOST_MISSING, NackTracker
from roomful_rtc.rtp import SEQ_MASK, unwrap

MOST_PACKETS, MOST_BYTES = 8192, 16 << 20
LEAP = 3000
"""numbers: RFC 3550 appendix A.1 (MAX_DROPOUT)"""
LATE_RUN = 64
"""So many old packets with nothing new between them are a source that began again a little lower.
What comes late because it was sent again does not count."""
_MOST_KNOWN = 4096
_MOST_SPAN = 3 * MOST_PACKETS
"""numbers between the next packet and the newest, holes included"""


class Gap:
    """Reasons of gap records (`media.md` 10.2)."""

    LINK_FULL, PAUSED, GIVEN_UP = 1, 2, 3


class Held(NamedTuple):
    """One packet in the buffer."""

    ts: int
    """extended"""
    marker: bool
    payload: bytes
    arrival_us: int
    discontinuity: bool


class Released(NamedTuple):
    """One packet that is due."""

    ts: int
    marker: bool
    payload: bytes
    lost: int
    """so many packets just before it were given up"""
    discontinuity: bool
    """what came before it does not continue in it"""


class Placed(NamedTuple):
    """Where an arriving packet belongs."""

    seq: int
    restarted: bool


@dataclass(slots=True)
class JitterCounters:
    """Packets since the buffer was made."""

    received: int = 0
    released: int = 0
    reordered: int = 0
    """came after one with a higher number"""
    duplicate: int = 0
    late: int = 0
    """came after they had been given up"""
    lost: int = 0
    """given up; those that came late included"""
    overflowed: int = 0
    restarts: int = 0
    strange: int = 0
    """far from all others, and the only one there"""


class JitterBuffer:
    """Of one track. `patience_us`: how long a hole may hold up packets that are due."""

    def __init__(
        self,
        patience_us: int = 0,
        most_packets: int = MOST_PACKETS,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self.counters = JitterCounters()
        self._patience_us = patience_us
        self._most_packets, self._most_bytes = most_packets, most_bytes
        self._held: dict[int, Held] = {}
        self._bytes = 0
        self._ssrc: int | None = None
        self._former: int | None = None
        self._stragglers = 0
        self._shift = 0
        """number here minus number of the wire, modulo 2**16"""
        self._next = self._highest = 0
        self._suspect: int | None = None
        self._late_run = 0
        self._missing: OrderedDict[int, int] = OrderedDict()
        """number → since when, both ascending; of each hole the last `MOST_MISSING`"""
        self._gone: set[int] = set()
        """missing numbers of which it is known that they will not come; part of `_missing`"""
        self._given_up: OrderedDict[int, None] = OrderedDict()
        """the last `_MOST_KNOWN` of them"""
        self._nacks = NackTracker()
        self._break = False
        self._due_ts: int | None = None
        """RTP time of the last packet released: what shares it is due too"""
        self._lost = 0
        """given up since the last packet that was released"""

    def __len__(self) -> int:
        return len(self._held)

    @property
    def interrupted(self) -> bool:
        """The next packet does not continue what came before."""
        return self._break

    # --- arrival ---

    def place(self, seq16: int, ssrc: int) -> Placed | None:
        """Say where a packet belongs; None: nowhere, and it is counted. Then call `insert`."""
        self.counters.received += 1
        following = self._highest + 1
        if ssrc == self._ssrc and (seq16 + self._shift - following) & SEQ_MASK == 0:
            self._late_run = 0
            return Placed(following, False)
        if self._ssrc is None:
            self._ssrc = ssrc
            self._next = seq16 + SEQ_MASK + 1
            self._highest = self._next - 1
            return Placed(self._next, False)
        if ssrc != self._ssrc:
            return self._other_source(seq16, ssrc)
        seq = unwrap(seq16 + self._shift & SEQ_MASK, self._highest)
        distance = seq - self._highest
        if not -LEAP < distance < LEAP:
            return self._leap(seq16)
        if distance > 0:
            self._late_run = 0
            return Placed(seq, False)
        return self._behind(seq, seq16)

    def _other_source(self, seq16: int, ssrc: int) -> Placed | None:
        """Stragglers of the former source do not bring it back; so many of them do."""
        if ssrc == self._former:
            self._stragglers += 1
            if self._stragglers < LATE_RUN:
                self.counters.strange += 1
                return None
        self._former, self._ssrc, self._stragglers = self._ssrc, ssrc, 0
        return self._restart(seq16)

    def _behind(self, seq: int, seq16: int) -> Placed | None:
        if seq in self._held:
            self.counters.duplicate += 1
            return None
        if seq < self._next:
            if not self.counters.released:
                self._next = seq
            else:
                return self._too_late(seq, seq16)
        self._late_run = 0
        self.counters.reordered += 1
        return Placed(seq, False)

    def _too_late(self, seq: int, seq16: int) -> Placed | None:
        if self._given_up.pop(seq, 0) is None:
            self.counters.late += 1
            return None
        self.counters.duplicate += 1
        self._late_run += 1
        return self._restart(seq16) if self._late_run >= LATE_RUN else None

    def _leap(self, seq16: int) -> Placed | None:
        """Two in a row make a new source (RFC 3550 appendix A.1)."""
        if self._suspect == seq16:
            return self._restart(seq16)
        self._suspect = seq16 + 1 & SEQ_MASK
        self.counters.strange += 1
        return None

    def _restart(self, seq16: int) -> Placed:
        self.counters.restarts += 1
        seq = self._highest + 1
        self._shift = seq - seq16 & SEQ_MASK
        self._suspect, self._late_run = None, 0
        self._given_up.clear()
        self._break = True
        return Placed(seq, True)

    def insert(self, seq: int, packet: Held) -> None:
        """Hold a packet at the place that `place` gave."""
        if seq <= self._highest:
            self._found(seq)
        else:
            if seq > self._highest + 1:
                self._open(self._highest + 1, seq, packet.arrival_us)
            self._highest = seq
        if self._break:
            packet, self._break = packet._replace(discontinuity=True), False
        self._held[seq] = packet
        self._bytes += len(packet.payload)
        self._trim()

    def _open(self, first: int, end: int, now_us: int) -> None:
        """A hole; what was paused before it does not come."""
        self._miss(first, end, now_us, gone=self._break)
        if not self._break:
            self._nacks.gap(first, end - first, now_us / 1e6)

    def _miss(self, first: int, end: int, now_us: int, *, gone: bool) -> None:
        numbers = range(max(first, end - MOST_MISSING), end)
        self._missing.update(dict.fromkeys(numbers, now_us))
        if gone:
            self._gone.update(numbers)

    def _found(self, seq: int) -> None:
        if self._missing.pop(seq, None) is not None:
            self._gone.discard(seq)
            self._nacks.recovered(seq)

    def _trim(self) -> None:
        while (
            len(self._held) > self._most_packets
            or self._bytes > self._most_bytes
            or self._highest - self._next > _MOST_SPAN
        ):
            self._evict()

    def _evict(self) -> None:
        """Lose the oldest packet, or where there is none, what is missing longest."""
        if not self._held:
            self._give_up(self._highest - _MOST_SPAN)
            return
        head = self._head()
        self._give_up(head)
        self._bytes -= len(self._held.pop(head).payload)
        self._next = head + 1
        self._lost += 1
        self.counters.lost += 1
        self.counters.overflowed += 1

    def gap(self, count: int, reason: int, now_us: int) -> None:
        """Take a gap record of the link: what it says will not come."""
        if self._ssrc is None:
            return
        if reason == Gap.PAUSED:
            self._break = True
        elif reason == Gap.LINK_FULL:
            last = self._highest + min(count, LEAP - 1)
            self._miss(self._highest + 1, last + 1, now_us, gone=True)
            self._highest = last
            self._trim()
        else:
            waiting = (number for number in self._missing if number not in self._gone)
            for number in list(islice(waiting, count)):
                self._gone.add(number)
                self._nacks.recovered(number)

    # --- release ---

    def head(self) -> Held | None:
        """Return the packet that comes next, behind a hole or not."""
        return self._held[self._head()] if self._held else None

    def _head(self) -> int:
        seq = self._next
        if seq in self._held:
            return seq
        if self._highest - seq > 4 * len(self._held):
            return min(self._held)
        while seq not in self._held:
            seq += 1
        return seq

    def pop(self, now_us: int, due_us: Callable[[int], float]) -> Released | None:
        """Return the next packet if its time has come; `due_us` tells the time of an RTP time."""
        if not self._held:
            return None
        seq = self._next
        packet = self._held.get(seq)
        if packet is None:
            seq = self._head()
            packet = self._held[seq]
            if due_us(packet.ts) > now_us or not self._hopeless(seq, now_us):
                return None
            self._give_up(seq)
        elif packet.ts != self._due_ts and due_us(packet.ts) > now_us:
            return None
        self._due_ts = packet.ts
        del self._held[seq]
        self._bytes -= len(packet.payload)
        self._next = seq + 1
        self.counters.released += 1
        lost, self._lost = self._lost, 0
        return Released(packet.ts, packet.marker, packet.payload, lost, packet.discontinuity)

    def _hopeless(self, seq: int, now_us: int) -> bool:
        """Whether every number of the hole before `seq` has been waited for long enough."""
        for number, since in self._missing.items():
            if number >= seq:
                break
            if number not in self._gone and now_us - since < self._patience_us:
                return False
        return True

    def _give_up(self, before: int) -> None:
        """Go on at `before`; nothing is held below it, what is missing there is lost."""
        while self._missing and next(iter(self._missing)) < before:
            number, _ = self._missing.popitem(last=False)
            self._gone.discard(number)
            self._given_up[number] = None
        while len(self._given_up) > _MOST_KNOWN:
            self._given_up.popitem(last=False)
        self._lost += before - self._next
        self.counters.lost += before - self._next
        self._next = before
        self._nacks.key_frame(before)

    # --- what would help ---

    def missing_for_us(self, now_us: int) -> int:
        """Return how long the oldest hole has been open; 0: there is none."""
        for since in self._missing.values():
            return max(0, now_us - since)
        return 0

    def nacks(self, now_us: int, rtt_s: float | None = None) -> list[int]:
        """Return the numbers (16 bits, of the wire) to ask for now, in order."""
        if not len(self._nacks):
            return []
        found = self._nacks.take(now_us / 1e6, rtt_s)
        return [number - self._shift & SEQ_MASK for number in found]
