"""RTP time → common media time: microseconds of our CLOCK_MONOTONIC at capture. Sans-IO.

Each track has a line from its RTP time to common time, which is all that others see. The line is
drawn towards where the track *should* be, by at most 5 ms per 100 ms, and jumps only when it is
off by more than 5 s:

- Before the first sender report: by arrival, the fastest packet of the last seconds counting as not
  delayed.
- From then on: RTP time → the publisher's NTP clock by its sender reports (RFC 3550 section 6.4.1),
  NTP → common time by the least (arrival - NTP) of the last seconds. Tracks of one participant share
  that least value, so they stay in step with each other; different participants, whose clocks have
  nothing in common, are aligned by it.

Until something of a track is handed out (`hold`), its line follows at once: nobody sees it jump.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import NamedTuple

from roomful_media.window import WindowMinimum
from roomful_rtc.rtp import TS_MASK, unwrap

WINDOW_US = 10_000_000
SLEW = 0.05
"""5 ms per 100 ms"""
JUMP_US = 5_000_000
LOCKED_US = 5_000
_MOST_STEP_US = 100_000
"""of time that one correction may make use of: a pause is no reason for a leap"""
_LEAST_STEP_US = 5_000
_REPORTS = 32
_RATE_SPAN_US = 2_000_000
"""Two reports that are closer tell the phase, not the rate."""
_MOST_DRIFT = 500e-6
_REPORT_NOISE_US = 20_000

_log = logging.getLogger(__name__)


class ParticipantClock:
    """What the tracks of one participant know of its NTP clock.

    Tracks whose (arrival - NTP) differ by more than 5 s have no clock in common, whatever they
    claim: each of them keeps to its like.
    """

    def __init__(self) -> None:
        self._tracks: dict[object, WindowMinimum] = {}
        """bounded by the tracks of a participant: each takes its own away (`leave`)"""

    def observe(self, track: object, delay_us: float, arrival_us: int) -> None:
        """A packet of a track came: arrival minus the NTP time of its capture."""
        window = self._tracks.get(track)
        if window is None:
            window = self._tracks[track] = WindowMinimum(WINDOW_US)
        elif abs(delay_us - (window.lowest or 0.0)) > JUMP_US:
            window.clear()
        window.add(delay_us, arrival_us)

    def own_us(self, track: object) -> float | None:
        """The least delay of one track."""
        window = self._tracks.get(track)
        return None if window is None else window.lowest

    def offset_us(self, track: object) -> float | None:
        """Common time minus NTP time, as a track shall use it; None before it was observed."""
        own = self.own_us(track)
        if own is None:
            return None
        for window in self._tracks.values():
            other = window.lowest
            if other is not None and other < own and own - other < JUMP_US:
                own = other
        return own

    def leave(self, track: object) -> None:
        """A track ended."""
        self._tracks.pop(track, None)


class _Report(NamedTuple):
    ts: int
    ntp_us: float


class TrackClock:
    """The clock of one track. RTP times at its interface are extended by `extend`."""

    def __init__(self, rate: int, participant: ParticipantClock) -> None:
        self.rate, self.jumps, self.strange_reports = rate, 0, 0
        self._participant = participant
        self._nominal = 1e6 / rate
        self._per_tick = self._nominal
        self._reports: deque[_Report] = deque(maxlen=_REPORTS)
        self._arrivals = WindowMinimum(WINDOW_US)
        self._transit_us = 0.0
        """how much later than the participant's fastest this track came before it was restarted"""
        self._shift = 0
        self._base_ts, self._base_us = 0, 0.0
        self._last_ts: int | None = None
        self._recent = -1, -1
        """RTP time of the last packet, as it came and extended"""
        self._counted_ts = -1
        self._last_arrival_us = self._corrected_us = 0
        self._held = False
        self._early: tuple[int, int, int] | None = None
        """a report that came before the first packet"""

    # --- what comes in ---

    def extend(self, ts: int, arrival_us: int, most_lead_us: float = JUMP_US) -> int:
        """Return the extended RTP time of a packet.

        One that leads or lags by more than `most_lead_us` against its arrival begins a new epoch,
        whose RTP time has nothing to do with what came before. 0: it does in any case.
        """
        if ts == self._recent[0] and most_lead_us:
            return self._recent[1]
        extended = self._extend(ts, arrival_us, most_lead_us)
        self._recent = ts, extended
        return extended

    def _extend(self, ts: int, arrival_us: int, most_lead_us: float) -> int:
        last = self._last_ts
        if last is None:
            self._base_ts, self._base_us = ts, float(arrival_us)
            self._last_ts, self._last_arrival_us = ts, arrival_us
            self._corrected_us = arrival_us
            if self._early is not None:
                self.report(*self._early)
            return ts
        extended = unwrap(ts + self._shift & TS_MASK, last, 32)
        lead_us = (extended - last) * self._nominal - (arrival_us - self._last_arrival_us)
        if abs(lead_us) < most_lead_us:
            return extended
        return self._restart(ts, arrival_us)

    def arrived(self, ts: int, arrival_us: int) -> None:
        """A packet with an extended time came; only the first of each time tells anything."""
        if ts <= self._counted_ts:
            return
        self._counted_ts = self._last_ts = ts
        self._last_arrival_us = arrival_us
        if self._reports:
            self._participant.observe(self, arrival_us - self._ntp_us(ts), arrival_us)
        else:
            self._arrivals.add(arrival_us - ts * self._nominal, arrival_us)
        if arrival_us - self._corrected_us >= _LEAST_STEP_US or not self._held:
            self._correct(arrival_us)

    def report(self, ts: int, ntp: int, arrival_us: int) -> None:
        """A sender report: RTP time (32 bits) and NTP timestamp (64 bits) of the same instant."""
        last = self._last_ts
        if last is None:
            self._early = ts, ntp, arrival_us
            return
        extended = unwrap(ts + self._shift & TS_MASK, last, 32)
        lead_us = (extended - last) * self._nominal - (arrival_us - self._last_arrival_us)
        if abs(lead_us) > JUMP_US:
            self.strange_reports += 1
            return
        found = _Report(extended, ntp * 1e6 / (1 << 32))
        if self._reports and not self._agrees(found):
            self._reports.clear()
        elif self._reports and found.ts <= self._reports[-1].ts:
            return
        self._reports.append(found)
        self._per_tick = self._estimate()
        delay = self._last_arrival_us - self._ntp_us(last)
        fastest = self._arrivals.lowest
        if fastest is not None:  # what was seen before the first report counts
            delay = min(delay, fastest + extended * self._nominal - found.ntp_us)
            self._arrivals.clear()
        self._participant.observe(self, delay, self._last_arrival_us)

    def hold(self) -> None:
        """Something of this track goes out: from now on its line is slewed."""
        self._held = True

    def end(self) -> None:
        """Leave the participant's clock."""
        self._participant.leave(self)

    # --- what comes out ---

    def time_us(self, ts: int) -> float:
        """Return the common time of an extended RTP time."""
        return self._base_us + (ts - self._base_ts) * self._per_tick

    @property
    def locked(self) -> bool:
        """By sender reports, and nothing left to slew."""
        if self._last_ts is None or not self._reports:
            return False
        target = self._target_us(self._last_ts)
        return target is not None and abs(target - self.time_us(self._last_ts)) < LOCKED_US

    # --- inside ---

    def _restart(self, ts: int, arrival_us: int) -> int:
        """Go on with the line where a new source's first packet belongs by its arrival."""
        last = self._last_ts
        assert last is not None, "nothing restarts before it began"
        own, offset = self._participant.own_us(self), self._participant.offset_us(self)
        if self._reports and own is not None and offset is not None:
            self._transit_us = own - offset
        ahead = arrival_us - self._transit_us - self.time_us(last)
        extended = max(last + 1, last + round(ahead / self._per_tick))
        self._shift = extended - ts
        self._reports.clear()
        self._arrivals.clear()
        self._base_us, self._base_ts = self.time_us(extended), extended
        self._per_tick = self._nominal
        self._last_ts, self._last_arrival_us = extended, arrival_us
        return extended

    def _ntp_us(self, ts: int) -> float:
        newest = self._reports[-1]
        return newest.ntp_us + (ts - newest.ts) * self._per_tick

    def _agrees(self, found: _Report) -> bool:
        """Whether a report can come from the clock of the last one."""
        newest = self._reports[-1]
        ticks_us = (found.ts - newest.ts) * self._nominal
        off = abs(found.ntp_us - newest.ntp_us - ticks_us)
        return off <= abs(ticks_us) * 2 * _MOST_DRIFT + _REPORT_NOISE_US

    def _estimate(self) -> float:
        """Return µs of the publisher's NTP clock per tick, by the newest report and the oldest."""
        oldest, newest = self._reports[0], self._reports[-1]
        ticks_us = (newest.ts - oldest.ts) * self._nominal
        if ticks_us < _RATE_SPAN_US:
            return self._nominal
        drift = (newest.ntp_us - oldest.ntp_us) / ticks_us - 1
        return self._nominal * (1 + min(_MOST_DRIFT, max(-_MOST_DRIFT, drift)))

    def _target_us(self, ts: int) -> float | None:
        """Return where the line should be."""
        if self._reports:
            offset = self._participant.offset_us(self)
            return None if offset is None else self._ntp_us(ts) + offset
        lowest = self._arrivals.lowest
        return None if lowest is None else lowest + ts * self._nominal - self._transit_us

    def _correct(self, now_us: int) -> None:
        last = self._last_ts
        assert last is not None, "a packet arrived"
        target, here = self._target_us(last), self.time_us(last)
        elapsed = min(max(0, now_us - self._corrected_us), _MOST_STEP_US)
        self._corrected_us = max(now_us, self._corrected_us)
        self._base_ts, self._base_us = last, here
        if target is None:
            return
        error = target - here
        if not self._held:
            step = error
        elif abs(error) > JUMP_US:
            step = error
            self.jumps += 1
            _log.warning("media clock jumps", extra={"by_us": round(error)})
        else:
            most = SLEW * elapsed
            step = min(most, max(-most, error))
        self._base_us += step
