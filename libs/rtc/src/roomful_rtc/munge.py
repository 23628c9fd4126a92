"""Translation of sequence numbers, timestamps and VP8 picture ids from ups to one down.

The reference for every engine; sans-IO. A *source* is any object that stands for an up. The
numbers of a down are made by **segments**: runs of incoming numbers that share their offsets.

- A packet dropped on purpose ends a segment and raises the offset: the receiver sees no gap.
- A packet lost upstream leaves its number free: the receiver may ask for it, a late one fits in.
- A switch, a resume and a leap begin a new *epoch*: late packets are placed in the current epoch
  only, so nothing maps below the point of the switch (one nonce, one content).
- Segments of the last `history` outgoing numbers stay, so that a NACK finds its packet and a
  resend repeats exactly what was, or would have been, sent.
"""

from __future__ import annotations

from roomful_rtc.payload import Look
from roomful_rtc.rtp import TS_MASK

VIDEO_HISTORY, AUDIO_HISTORY = 512, 64
FRAMES_PER_SECOND = 30
"""of the gap that is left where the time between two streams is not known"""

_PID_MASK = {7: 0x7F, 15: 0x7FFF}


class Packet:
    """One incoming packet, plain, as every down of its up sees it."""

    __slots__ = (
        "arrival_us",
        "codec",
        "elements",
        "late",
        "leap",
        "look",
        "marker",
        "payload",
        "pt",
        "seq",
        "source",
        "ts",
    )

    def __init__(  # noqa: PLR0913 - refused: one flat record per packet, made in one place
        self,
        source: object,
        seq: int,
        ts: int,
        marker: int,
        pt: int,
        codec: str,
        payload: bytes,
        look: Look,
        elements: dict[int, bytes],
        arrival_us: int,
        late: bool,
        leap: bool = False,
    ) -> None:
        self.source = source
        self.seq = seq
        """extended"""
        self.ts = ts
        self.marker = marker
        """0 or 128, as in the header's second byte"""
        self.pt = pt
        self.codec = codec
        self.payload = payload
        self.look = look
        self.elements = elements
        """header extensions by the publisher's ids"""
        self.arrival_us = arrival_us
        self.late = late
        """came after a packet with a higher number"""
        self.leap = leap
        """so many numbers are missing before it that they are given up"""


class Segment:
    """A run of incoming numbers `start`…`end` of one source with common offsets.

    `out = in - offset`, `out_ts = ts + ts_offset`, picture ids and TL0PICIDX likewise added.
    """

    __slots__ = (
        "end",
        "epoch",
        "offset",
        "pid_offset",
        "rewrites",
        "source",
        "start",
        "tl0_offset",
        "ts_offset",
    )

    def __init__(  # noqa: PLR0913 - refused: a record of seven numbers
        self,
        source: object,
        epoch: int,
        start: int,
        offset: int,
        ts_offset: int,
        pid_offset: int = 0,
        tl0_offset: int = 0,
    ) -> None:
        self.source = source
        self.epoch = epoch
        self.start = start
        self.end = start - 1
        """last number of a closed segment; the open one is bounded by `Translation.last`"""
        self.offset = offset
        self.ts_offset = ts_offset
        self.pid_offset = pid_offset
        self.tl0_offset = tl0_offset
        self.rewrites = bool(pid_offset or tl0_offset)


class Translation:
    """The numbers of one down. The caller sets `last` for each packet sent in order.

    `current` is None while nothing may be sent: before the first `begin`, and after `pause`.
    """

    __slots__ = (
        "_dropped_pid",
        "_epoch",
        "_first_ts",
        "_next_out",
        "_segments",
        "current",
        "history",
        "last",
    )

    def __init__(self, first_seq: int, first_ts: int, history: int = VIDEO_HISTORY) -> None:
        self.history = history
        self.current: Segment | None = None
        self.last: Packet | None = None
        """newest packet sent in order; of the newest segment's epoch"""
        self._segments: list[Segment] = []
        self._epoch = 0
        self._next_out = first_seq
        self._first_ts = first_ts
        self._dropped_pid = -1

    @property
    def next_out(self) -> int:
        """The number that follows the highest one given away, extended."""
        current = self.current
        if current is None or self.last is None:
            return self._next_out
        return max(current.start, self.last.seq + 1) - current.offset

    @property
    def ts_offset(self) -> int:
        """Sent minus incoming RTP time of the newest segment, modulo 2**32."""
        return self._segments[-1].ts_offset if self._segments else 0

    def begin(
        self, packet: Packet, source: object, clock_rate: int, ts_offset: int | None = None
    ) -> Segment:
        """Let `packet` follow what was sent last: a start, a resume or a switch.

        `ts_offset`: new minus old RTP time at equal wall time; None: judged by arrival.
        """
        last, previous = self.last, self._segments[-1] if self._segments else None
        out = self.next_out
        if previous is None or last is None:
            times, pids, tl0s = (self._first_ts - packet.ts) & TS_MASK, 0, 0
        else:
            known = 0 if source is previous.source else ts_offset
            sent = last.ts + previous.ts_offset
            advance = _advance(last, packet, clock_rate, known, previous.source is source)
            times = (sent + advance - packet.ts) & TS_MASK
            pids, tl0s = self._picture_offsets(packet, last, previous)
        self._close()
        return self._open(
            Segment(None, 0, packet.seq, packet.seq - out, times, pids, tl0s), packet, source
        )

    def leap(self, packet: Packet) -> Segment:
        """Go on with `packet` after more numbers than can be recovered: they become one gap."""
        current = self.current
        if current is None:
            raise ValueError("nothing is being translated")
        out = self.next_out + 1
        self._close()
        following = Segment(
            None,
            0,
            packet.seq,
            packet.seq - out,
            current.ts_offset,
            current.pid_offset,
            current.tl0_offset,
        )
        return self._open(following, packet, current.source)

    def pause(self) -> None:
        """Send nothing more until the next `begin`."""
        self._close()

    def drop(self, packet: Packet) -> None:
        """Leave out a packet on purpose; no effect for a late one or while nothing is sent."""
        current, last = self.current, self.last
        if current is None or last is None or packet.seq < max(current.start, last.seq):
            return
        if packet.seq != current.start:
            following = Segment(
                current.source,
                current.epoch,
                packet.seq,
                current.offset,
                current.ts_offset,
                current.pid_offset,
                current.tl0_offset,
            )
            current.end = packet.seq - 1
            self._segments.append(following)
            self.current = current = following
            self._prune()
        current.start += 1
        current.end = current.start - 1
        current.offset += 1
        pid = packet.look.pid
        if pid >= 0 and pid != self._dropped_pid:
            self._dropped_pid = pid
            current.pid_offset -= 1
            current.rewrites = True

    def place(self, packet: Packet) -> Segment | None:
        """Return the segment a late packet belongs to; None: it must not be sent."""
        last = self.last
        if self.current is None or last is None or last.seq - packet.seq > self.history:
            return None
        return self._segment_of(packet.seq)

    def find(self, out: int) -> tuple[Segment, int] | None:
        """Return segment and incoming number of an outgoing one, for a resend."""
        following = self.next_out
        if not following - self.history <= out < following:
            return None
        for segment in reversed(self._segments):
            if out >= segment.start - segment.offset:
                seq = out + segment.offset
                return (segment, seq) if segment is self.current or seq <= segment.end else None
        return None

    def _open(self, segment: Segment, packet: Packet, source: object) -> Segment:
        self._epoch += 1
        segment.source, segment.epoch = source, self._epoch
        self._segments.append(segment)
        self.current, self.last, self._dropped_pid = segment, packet, -1
        self._prune()
        return segment

    def _close(self) -> None:
        current, last = self.current, self.last
        if current is None or last is None:
            return
        self._next_out = self.next_out
        current.end = max(current.start - 1, last.seq)
        self.current = None

    def _segment_of(self, seq: int) -> Segment | None:
        for segment in reversed(self._segments):
            if segment.epoch != self._epoch:
                return None
            if seq >= segment.start:
                return segment if segment is self.current or seq <= segment.end else None
        return None

    def _picture_offsets(self, packet: Packet, last: Packet, previous: Segment) -> tuple[int, int]:
        """Continue picture id and TL0PICIDX after those of `last`."""
        look, before = packet.look, last.look
        used = self._segment_of(last.seq) or previous
        pids, tl0s = used.pid_offset, used.tl0_offset
        if look.pid >= 0 and before.pid >= 0:
            pids = (before.pid + used.pid_offset + 1 - look.pid) & 0x7FFF
        if look.tl0 >= 0 and before.tl0 >= 0:
            tl0s = (before.tl0 + used.tl0_offset + 1 - look.tl0) & 0xFF
        return pids, tl0s

    def _prune(self) -> None:
        oldest = self.next_out - self.history
        segments = self._segments
        while len(segments) > 1 and (
            segments[0].end - segments[0].offset < oldest or len(segments) > self.history
        ):
            del segments[0]


def rewrite(look: Look, segment: Segment, buffer: memoryview, at: int) -> None:
    """Write the translated picture id and TL0PICIDX of a payload that begins at `buffer[at]`."""
    if look.pid_at >= 0:
        pid = (look.pid + segment.pid_offset) & _PID_MASK[look.pid_bits]
        if look.pid_bits == 15:
            buffer[at + look.pid_at] = 0x80 | pid >> 8
            buffer[at + look.pid_at + 1] = pid & 0xFF
        else:
            buffer[at + look.pid_at] = pid
    if look.tl0_at >= 0:
        buffer[at + look.tl0_at] = (look.tl0 + segment.tl0_offset) & 0xFF


def _advance(
    last: Packet, packet: Packet, clock_rate: int, ts_offset: int | None, same: bool
) -> int:
    """Return how far the sent RTP time moves from `last` to `packet`: at least one frame.

    Never more than a second ahead of the time that went by between the two arrivals, unless both
    are of one stream, whose own time is right.
    """
    frame = max(1, clock_rate // FRAMES_PER_SECOND)
    elapsed = max(0, packet.arrival_us - last.arrival_us) * clock_rate // 1_000_000
    if ts_offset is None:
        return max(frame, elapsed)
    known = (packet.ts - ts_offset - last.ts) & TS_MASK
    if known > TS_MASK >> 1:
        return 1 if same else frame
    if same:
        return max(1, known)
    return max(frame, known) if known <= elapsed + clock_rate else max(frame, elapsed)
