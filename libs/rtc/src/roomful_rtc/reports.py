"""Sender and receiver reports: clocks of incoming streams, their translation, round trips. Sans-IO.

RFC 3550 section 6.4. NTP times are the 64 bits of the wire, 32.32 fixed-point seconds of the
publisher's wall clock; `now` is our monotonic clock in seconds.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from roomful_rtc.rtcp import ReportBlock
from roomful_rtc.rtp import TS_MASK

NTP_FRACTION = 1 << 32
_FRESH_S = 30.0
"""Two reports whose wall clocks are further apart say little about each other."""
_KEPT_SENDS = 4


@dataclass(frozen=True, slots=True)
class ClockReading:
    """One sender report of a publisher: this RTP time was at this wall time."""

    ntp: int
    rtp_ts: int
    arrived: float
    """our clock"""

    @property
    def lsr(self) -> int:
        """Middle 32 bits of the NTP time, as reports refer to it."""
        return self.ntp >> 16 & 0xFFFFFFFF


def offset_between(old: ClockReading, new: ClockReading, clock_rate: int) -> int | None:
    """Return new minus old RTP time at equal wall time, modulo 2**32.

    None when the readings cannot be compared: no wall clock in them, or too far apart.
    """
    if not old.ntp or not new.ntp:
        return None
    apart = new.ntp - old.ntp
    if abs(apart) > _FRESH_S * NTP_FRACTION:
        return None
    ticks = (apart * clock_rate + NTP_FRACTION // 2) // NTP_FRACTION
    return (new.rtp_ts - old.rtp_ts - ticks) & TS_MASK


class RoundTrip:
    """Round-trip time of one outgoing stream from the receiver's LSR and DLSR.

    The reports we send hold the publisher's NTP time, so the time of sending is looked up.
    """

    __slots__ = ("_sends", "rtt_s")

    def __init__(self) -> None:
        self._sends: OrderedDict[int, float] = OrderedDict()
        self.rtt_s: float | None = None

    def sent(self, ntp: int, now: float) -> None:
        """A sender report with this NTP time went out."""
        self._sends[ntp >> 16 & 0xFFFFFFFF] = now
        while len(self._sends) > _KEPT_SENDS:
            self._sends.popitem(last=False)

    def reported(self, lsr: int, dlsr: int, now: float) -> float | None:
        """Take a report block; return the round trip in seconds, None when it does not say."""
        sent = self._sends.get(lsr)
        if sent is None:
            return None
        rtt = now - sent - dlsr / 65536
        if not 0 <= rtt < 10:
            return None
        self.rtt_s = rtt if self.rtt_s is None else 0.75 * self.rtt_s + 0.25 * rtt
        return rtt


class ReceptionReporter:
    """Makes the report blocks of one incoming stream from the engine's counters."""

    __slots__ = (
        "_expected",
        "_lost",
        "_packets",
        "_ssrc",
        "interval_expected",
        "interval_lost",
        "interval_received",
    )

    def __init__(self, ssrc: int) -> None:
        self._ssrc = ssrc
        self._expected = self._lost = self._packets = 0
        self.interval_expected = self.interval_lost = self.interval_received = 0
        """of the last interval; `interval_lost` is never negative"""

    def report(
        self,
        packets: int,
        lost: int,
        highest_seq: int,
        jitter: float,
        clock: ClockReading | None,
        now: float,
    ) -> ReportBlock:
        """Close the interval. Arguments as in `UpStats`."""
        expected = packets + lost
        self.interval_expected = max(0, expected - self._expected)
        self.interval_lost = min(max(0, lost - self._lost), self.interval_expected)
        self.interval_received = packets - self._packets
        self._expected, self._lost, self._packets = expected, lost, packets
        fraction = 0
        if self.interval_expected:
            fraction = min(255, 256 * self.interval_lost // self.interval_expected)
        return ReportBlock(
            ssrc=self._ssrc,
            fraction_lost=fraction,
            lost=max(-0x800000, min(0x7FFFFF, lost)),
            highest_seq=highest_seq & 0xFFFFFFFF,
            jitter=min(int(jitter), 0xFFFFFFFF),
            lsr=clock.lsr if clock else 0,
            dlsr=min(int((now - clock.arrived) * 65536), 0xFFFFFFFF) if clock else 0,
        )
