"""What time does in PyEngine: windows end, waits expire, streams fall silent."""

from __future__ import annotations

from collections.abc import Mapping

from roomful_rtc.engine import Arrivals, AudioLevel, SilentUp, SwitchTimedOut
from roomful_rtc.py_engine.intake import Intake
from roomful_rtc.py_engine.outbox import Outbox
from roomful_rtc.py_engine.rows import Down, Peer, Up

ARRIVALS_US = 50_000
LEVELS_US = 100_000
SLOW_US = 500_000
SILENT_US = 2_000_000
ASK_AGAIN_US = 1_000_000
RATE_US = 1_000_000
HISTORY_KEPT_US = 5_000_000


class Clockwork:
    """Runs in every turn; looks at its tables only when something is due."""

    def __init__(
        self,
        outbox: Outbox,
        intake: Intake,
        peers: Mapping[int, Peer],
        ups: Mapping[int, Up],
        downs: Mapping[int, Down],
    ) -> None:
        self.deadlines: set[int] = set()
        """downs that have a switch under way"""
        self._outbox = outbox
        self._intake = intake
        self._peers = peers
        self._ups = ups
        self._downs = downs
        self._arrivals_at = self._levels_at = self._slow_at = 0

    def run(self, now_us: int) -> None:
        """Do what is due."""
        if now_us < self._arrivals_at:
            return
        self._arrivals_at = now_us + ARRIVALS_US
        window_ends = now_us >= self._levels_at
        if window_ends:
            self._levels_at = now_us + LEVELS_US
        if self._intake.heard:
            self._intake.heard = not window_ends
            self._collect(now_us)
            if window_ends:
                self._levels()
        if self.deadlines:
            self._time_out(now_us)
        if now_us >= self._slow_at:
            self._slow_at = now_us + SLOW_US
            self._slow(now_us)

    def _collect(self, now_us: int) -> None:
        """Tell what arrived and expire what is held."""
        for peer in self._peers.values():
            if peer.arrivals:
                self._outbox.event(Arrivals(peer.handle, tuple(peer.arrivals)))
                peer.arrivals.clear()
            if peer.held:
                self._intake.expire(peer, now_us)
                self._intake.heard = True

    def next_turn(self, now_us: int) -> float | None:
        """Return seconds to the next due time, None while there is nothing to watch."""
        if self.deadlines or self._intake.heard:
            return max(0, self._arrivals_at - now_us) / 1_000_000
        if self._ups:
            return max(0, self._slow_at - now_us) / 1_000_000
        return None

    def wants(self, up: Up, now_us: int) -> None:
        """A down waits for a key frame of this up: ask for one, again each second."""
        up.waiting_since_us = now_us
        self._outbox.want_key_frame(up.handle)

    def _time_out(self, now_us: int) -> None:
        for handle in list(self.deadlines):
            down = self._downs.get(handle)
            if down is None or down.next_up is None:
                self.deadlines.discard(handle)
            elif now_us >= down.deadline_us:
                self.deadlines.discard(handle)
                down.next_up.pending.pop(handle, None)
                down.next_up = down.next_up_ts_offset = None
                self._outbox.event(SwitchTimedOut(handle))

    def _levels(self) -> None:
        for up in self._ups.values():
            if up.level_packets:
                active = up.level_active / up.level_packets
                self._outbox.event(AudioLevel(up.handle, up.level_max, active))
                up.level_max, up.level_packets, up.level_active = -127, 0, 0

    def _slow(self, now_us: int) -> None:
        for up in self._ups.values():
            if now_us - up.rate_from_us >= RATE_US:
                received = up.bytes - up.rate_bytes
                up.rate = received * 8_000_000 // (now_us - up.rate_from_us)
                up.rate_bytes, up.rate_from_us = up.bytes, now_us
            if not up.silent and now_us - up.last_arrival_us >= SILENT_US:
                up.silent = True
                self._outbox.event(SilentUp(up.handle))
            self._ask(up, now_us)
            if up.downs or up.pending:
                up.idle_from_us = now_us
            elif up.history is not None and now_us - up.idle_from_us >= HISTORY_KEPT_US:
                up.history = None

    def _ask(self, up: Up, now_us: int) -> None:
        """Repeat the wish of downs that still wait; a stream that sends nothing is not asked."""
        if not up.video or up.silent or now_us - up.waiting_since_us < ASK_AGAIN_US:
            return
        if up.pending or any(down.waiting and down.enabled for down in up.downs):
            self.wants(up, now_us)
