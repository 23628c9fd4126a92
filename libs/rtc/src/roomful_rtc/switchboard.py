"""Joins the engine's events and the time to streams, sinks and peers. Sans-IO.

Tables by the engine's handles, one timetable, and the beat: four times a second, each for a quarter
of the peers (so every peer has its second, and a full house does not stall the loop) and for all
sinks that owe a sender report. Each beat reads the engine's counters in one call.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol

from roomful.clock import Clock
from roomful_rtc import engine as ev
from roomful_rtc.timetable import Timed, Timetable

if TYPE_CHECKING:
    from roomful_rtc.media_sink import Sink
    from roomful_rtc.peer import WirePeer
    from roomful_rtc.stream import Stream

log = logging.getLogger(__name__)

BEATS = 4
BEAT_S = 1.0 / BEATS


class Owner(Protocol):
    """What a failure may end."""

    def fail(self, reason: str) -> None:
        """End it from inside."""
        ...


class Local(Owner, Protocol):
    """A local source or sink."""

    @property
    def phase(self) -> int:
        """The beat in which `each_second` is called."""
        ...

    def each_second(self, stats: ev.EngineStats, now: float) -> None: ...


class Switchboard:
    """What every peer, source and sink of one plane shares. On the loop's thread only."""

    def __init__(
        self,
        engine: ev.Engine,
        clock: Clock,
        *,
        wake: Callable[[], None],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        """`wake`: called when timers or the engine's tables changed. `spawn`: runs the end of a
        peer, keeps the task."""
        self.engine = engine
        self.clock = clock
        self.wake = wake
        self.spawn = spawn
        self.streams: dict[int, Stream] = {}
        """by up"""
        self.sinks: dict[int, Sink] = {}
        """by down"""
        self.peers: dict[int, WirePeer] = {}
        """by the engine's peer"""
        self.all_peers: dict[WirePeer, None] = {}
        """those that are not connected yet as well"""
        self.locals: dict[Local, None] = {}
        """sources and sinks of this process and its workers"""
        self._groups = count(1)
        self._handlers: dict[type, Callable[[Any], None]] = {
            ev.Gap: self._on_gap,
            ev.Recovered: self._on_recovered,
            ev.KeyFrame: self._on_key_frame,
            ev.KeyFrameWanted: self._on_key_frame_wanted,
            ev.SilentUp: self._on_silent,
            ev.AudioLevel: self._on_audio_level,
            ev.Switched: self._on_switched,
            ev.SwitchTimedOut: self._on_switch_timed_out,
            ev.UnknownSsrc: self._on_unknown_ssrc,
            ev.Arrivals: self._on_arrivals,
            ev.SinkFailed: self._on_sink_failed,
        }
        self._timetable = Timetable()
        self._owing: dict[Sink, None] = {}
        self._beat = 0
        self._phases = count()
        self._timetable.set(self, clock.monotonic() + BEAT_S)

    def new_phase(self) -> int:
        """The beat of the next peer."""
        return next(self._phases) % BEATS

    def new_group(self) -> int:
        """A number that ties the rows of one source in the engine."""
        return next(self._groups)

    # --- time -----------------------------------------------------------------------------

    def now(self) -> float:
        """Monotonic seconds."""
        return self.clock.monotonic()

    def set_timer(self, owner: Timed, due: float | None) -> None:
        """Call the owner's `on_time` at `due`, instead of before; None: not at all."""
        before = self._timetable.next_due()
        self._timetable.set(owner, due)
        if due is not None and (before is None or due < before):
            self.wake()

    def next_due(self) -> float | None:
        """When `run` has to be called next."""
        return self._timetable.next_due()

    def run(self, now: float) -> None:
        """Call everybody whose time has come; one that fails does not harm the others."""
        for owner in self._timetable.take(now):
            try:
                owner.on_time(now)
            except Exception:  # a peer's failure is contained here
                log.exception("a timer failed")

    def on_time(self, now: float) -> None:
        """The beat."""
        self._beat = (self._beat + 1) % BEATS
        self._timetable.set(self, now + BEAT_S)
        if not self.peers and not self.locals:
            return
        stats = self.engine.stats()
        self._send_reports(stats, now)
        for peer in tuple(self.peers.values()):
            if peer.phase == self._beat:
                self._guard(peer, lambda peer=peer: peer.each_second(stats, now))
        for local in tuple(self.locals):
            if local.phase == self._beat:
                self._guard(local, lambda local=local: local.each_second(stats, now))

    def report_soon(self, sink: Sink) -> None:
        """This sink owes a sender report."""
        self._owing[sink] = None

    def cancel_report(self, sink: Sink) -> None:
        """The sink ended."""
        self._owing.pop(sink, None)

    def _send_reports(self, stats: ev.EngineStats, now: float) -> None:
        owing, self._owing = self._owing, {}
        for sink in owing:
            counters = stats.downs.get(sink.down)
            if counters is not None:
                sink.send_report(counters, now)

    # --- the engine's events --------------------------------------------------------------

    def on_event(self, event: ev.EngineEvent) -> None:
        """Hand an event to what it is about; late ones about removed rows are ignored."""
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)

    def _on_gap(self, event: ev.Gap) -> None:
        if stream := self.streams.get(event.up):
            stream.gap(event.first, event.count, self.now())

    def _on_recovered(self, event: ev.Recovered) -> None:
        if stream := self.streams.get(event.up):
            stream.recovered(event.seq)

    def _on_key_frame(self, event: ev.KeyFrame) -> None:
        if stream := self.streams.get(event.up):
            stream.key_frame(event.seq, event.width, event.height)

    def _on_key_frame_wanted(self, event: ev.KeyFrameWanted) -> None:
        if stream := self.streams.get(event.up):
            stream.want_key_frame(self.now())

    def _on_silent(self, event: ev.SilentUp) -> None:
        if stream := self.streams.get(event.up):
            stream.on_silent(self.now())

    def _on_audio_level(self, event: ev.AudioLevel) -> None:
        stream = self.streams.get(event.up)
        if stream is not None and stream.source.on_level is not None:
            stream.source.on_level(event.dbov, event.active)

    def _on_switched(self, event: ev.Switched) -> None:
        if sink := self.sinks.get(event.down):
            sink.on_switched(event.up)

    def _on_switch_timed_out(self, event: ev.SwitchTimedOut) -> None:
        if sink := self.sinks.get(event.down):
            sink.on_switch_timed_out()

    def _on_sink_failed(self, event: ev.SinkFailed) -> None:
        if sink := self.sinks.get(event.down):
            sink.on_failed(event.error)

    def _on_unknown_ssrc(self, event: ev.UnknownSsrc) -> None:
        if peer := self._peer(event.peer):
            self._guard(peer, lambda: peer.on_unknown_ssrc(event))

    def _on_arrivals(self, event: ev.Arrivals) -> None:
        if peer := self._peer(event.peer):
            self._guard(peer, lambda: peer.on_arrivals(event.packets))

    def _peer(self, handle: int) -> WirePeer | None:
        """Find a peer; packets may come before its transport has said that it is connected."""
        known = self.peers.get(handle)
        if known is None:
            known = next((p for p in self.all_peers if p.transport.engine_peer == handle), None)
            if known is not None:
                known.enter_tables()
        return known

    def _guard(self, owner: Owner, call: Callable[[], None]) -> None:
        """Let a failure end what it is about, and nobody else."""
        try:
            call()
        except Exception:  # a peer's failure is contained here
            log.exception("a peer failed")
            owner.fail("internal: media handling failed")
