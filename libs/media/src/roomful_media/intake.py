"""What the local link hands to a worker for one track → packets in order, at their times. Sans-IO.

    write ─▶ jitter buffer (order, holes) ─▶ `pop`, when common time + delay has come
       └───▶ clock (common time) ─▶ delay (how long to hold back)

Not safe against use by two threads at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from roomful.errors import MediaError
from roomful_media.clock import JUMP_US, ParticipantClock, TrackClock
from roomful_media.delay import DelayControl, DelayRange
from roomful_media.jitter import Held, JitterBuffer, JitterCounters, Released
from roomful_rtc.rtp import HEADER, HEADER_SIZE, layout

RESUME_LEAD_US = 200_000.0
"""After a pause RTP time that is off by more than this has stood still meanwhile."""
NOTHING_DECODES_US = 10_000_000
_PAUSE_US = 2_000_000
_PLAIN = 0x80
"""first byte of a packet without padding, extension and CSRCs"""


class TrackSink(Protocol):
    """Takes the media of one track from the link; times are CLOCK_MONOTONIC."""

    def write(self, packet: memoryview, arrival_ns: int) -> None:
        """Take one plain RTP packet; the view is valid during the call only."""
        ...

    def clock(self, rtp_ts: int, ntp: int, arrival_ns: int) -> None:
        """Take a sender report: RTP time (32 bits) and NTP timestamp (64 bits)."""
        ...

    def gap(self, count: int, reason: int) -> None:
        """Take a gap record: `count` packets will not come (`jitter.Gap`)."""
        ...

    def end(self) -> None:
        """Nothing more comes."""
        ...


class Wishes(NamedTuple):
    """What would help a track now."""

    nacks: list[int]
    """sequence numbers, 16 bits"""
    key_frame: bool


@dataclass(frozen=True, slots=True)
class TrackFormat:
    """What was negotiated for a track."""

    codec: str
    """in small letters, as `vp8` or `opus`"""
    clock_rate: int
    rate: int = 48_000
    """Hz that is wanted of audio; codecs that cannot follow give their own"""
    channels: int = 1
    """wanted of audio, as `rate`"""


class Intake:
    """A `TrackSink` of one track."""

    def __init__(
        self,
        clock_rate: int,
        participant: ParticipantClock,
        delay: DelayRange,
        patience_us: int = 0,
    ) -> None:
        self.jitter = JitterBuffer(patience_us)
        self.time = TrackClock(clock_rate, participant)
        self._delay = DelayControl(delay)
        self.malformed = 0
        """packets that are no RTP"""
        self.ended = False
        self._arrival_us = 0

    @property
    def counters(self) -> JitterCounters:
        """Of the jitter buffer."""
        return self.jitter.counters

    @property
    def delay_us(self) -> float:
        """How far what is handed out lies behind common time."""
        return self._delay.delay_us

    def write(self, packet: memoryview, arrival_ns: int) -> None:
        """Take one packet; what is no RTP is counted."""
        size = len(packet)
        start, end = HEADER_SIZE, size
        if size < HEADER_SIZE or packet[0] != _PLAIN:
            try:
                start, end = layout(packet)[:2]
            except ValueError:
                self.malformed += 1
                return
        _, second, seq16, ts16, ssrc = HEADER.unpack_from(packet)
        placed = self.jitter.place(seq16, ssrc)
        if placed is None:
            return
        arrival_us = self._arrival_us = arrival_ns // 1000
        lead = RESUME_LEAD_US if self.jitter.interrupted else JUMP_US
        ts = self.time.extend(ts16, arrival_us, 0.0 if placed.restarted else lead)
        self.time.arrived(ts, arrival_us)
        if not self._delay.fixed:
            self._delay.observe(arrival_us - self.time.time_us(ts), arrival_us)
        payload = bytes(packet[start:end])
        self.jitter.insert(placed.seq, Held(ts, second > 127, payload, arrival_us, False))

    def clock(self, rtp_ts: int, ntp: int, arrival_ns: int) -> None:
        """Take a sender report."""
        self.time.report(rtp_ts, ntp, arrival_ns // 1000)

    def gap(self, count: int, reason: int) -> None:
        """Take a gap record."""
        self.jitter.gap(count, reason, self._arrival_us)

    def end(self) -> None:
        """Leave the participant's clock; what is held can still be taken."""
        self.ended = True
        self.time.end()

    def due_us(self, ts: int) -> float:
        """Return when a packet with this RTP time goes out."""
        return self.time.time_us(ts) + self._delay.delay_us

    def pop(self, now_us: int) -> Released | None:
        """Return the next packet that is due."""
        released = self.jitter.pop(now_us, self.due_us)
        if released is not None:
            self.time.hold()
        return released


class FailureWatch:
    """Tells when media has come for 10 s and none of it could be decoded."""

    def __init__(self, codec: str) -> None:
        self._codec = codec
        self._since_us: int | None = None
        self._last_us = 0

    def worked(self) -> None:
        """Something was decoded."""
        self._since_us = None

    def failed(self, now_us: int) -> None:
        """Something could not be decoded. Raises `MediaError` when that has gone on for 10 s."""
        if self._since_us is None or now_us - self._last_us > _PAUSE_US:
            self._since_us = now_us
        self._last_us = now_us
        if now_us - self._since_us >= NOTHING_DECODES_US:
            self._since_us = None
            raise MediaError(f"nothing of a track in {self._codec!r} decoded for 10 s")
