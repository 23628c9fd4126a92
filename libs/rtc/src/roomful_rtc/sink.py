"""One subscription's outgoing stream on one peer: layer choice, switching, reports, feedback.

What flows follows from four things: what is wanted (`Want`), what is live (`Source.layers`), what
the downlink carries (the cap), whether the publisher muted. Each change ends in `_reconsider`,
which tells the engine the difference.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from roomful.errors import ResourceExhausted
from roomful.model.enums import VideoQuality
from roomful_rtc import rtcp
from roomful_rtc.bandwidth import PAUSED, Demand
from roomful_rtc.engine import DownStats
from roomful_rtc.reports import RoundTrip, offset_between
from roomful_rtc.rtp import TS_MASK
from roomful_rtc.selection import Want, best_live, wanted_spatial
from roomful_rtc.send_parameters import SendParameters, SinkStats
from roomful_rtc.source import Layer, Source

if TYPE_CHECKING:
    from roomful_rtc.peer import WirePeer
    from roomful_rtc.switchboard import Switchboard

__all__ = ["SendParameters", "SinkStats", "Want", "WireSink"]

log = logging.getLogger(__name__)

ALL_SPATIAL = 255
_SVC_CODECS = frozenset({"vp9", "av1"})


class WireSink:
    """A source forwarded to one peer. Made by `WirePeer.send`; starts with `Want()`."""

    def __init__(
        self, board: Switchboard, peer: WirePeer, source: Source, parameters: SendParameters
    ) -> None:
        self._board = board
        self._peer = peer
        self._source = source
        self._parameters = parameters
        self._want = Want()
        self._cap: int | None = None
        """highest spatial layer that the downlink carries, `PAUSED`, None: no limit"""
        self._down = 0
        self._flowing = self._target = 0
        """ups: the one the engine forwards, and the one it shall forward"""
        self._applied: tuple[bool, int, int] | None = None
        self._trip = RoundTrip()
        self._counters: DownStats | None = None
        self.fraction_lost = 0.0
        """by the last receiver report, 0 to 1"""
        self._jitter_ms = 0.0
        self._owes = True
        """a sender report, as soon as there is something to report"""
        self._retry = self._closed = False
        source.attach(self)

    @property
    def source(self) -> Source:
        return self._source

    @property
    def parameters(self) -> SendParameters:
        return self._parameters

    @property
    def want(self) -> Want:
        return self._want

    @property
    def layer(self) -> Layer | None:
        """The layer that flows now; None when nothing does."""
        if not self._active:
            return None
        return self._layer_of(self._flowing)

    @property
    def paused(self) -> bool:
        """Congestion stopped it (`PeerObserver.on_stream_state`)."""
        return self._cap == PAUSED

    @property
    def stats(self) -> SinkStats:
        """As of the last second."""
        counters = self._counters
        return SinkStats(
            packets=counters.packets if counters else 0,
            bytes=counters.bytes if counters else 0,
            resent=counters.resent if counters else 0,
            dropped=counters.dropped if counters else 0,
            fraction_lost=self.fraction_lost,
            rtt_ms=None if self.rtt_s is None else self.rtt_s * 1000,
            jitter_ms=self._jitter_ms,
        )

    @property
    def down(self) -> int:
        """The engine's handle, 0 while it has no row."""
        return self._down

    @property
    def rtt_s(self) -> float | None:
        """Round trip by the receiver's reports about this stream."""
        return self._trip.rtt_s

    @property
    def _wanted(self) -> bool:
        return (
            self._want.enabled
            and self._want.quality is not VideoQuality.OFF
            and not self._source.muted
        )

    @property
    def _active(self) -> bool:
        return self._wanted and not self.paused and not self._closed

    # --- commands -------------------------------------------------------------------------

    def set(self, want: Want) -> None:
        """Change what is wanted.

        Video changes layer at the next key frame of the new one, which is asked for; until then the
        old one flows. A silent layer is never waited for: the best live one at or below the wanted
        takes its place, else the lowest live one above.
        """
        if self._closed or want == self._want:
            return
        self._want = want
        if self._cap is not None:
            self._peer.allocate()
        self._reconsider()

    def update(self, parameters: SendParameters) -> None:
        """Take the section's payload types and ids after a new negotiation; SSRCs stay.

        Raises:
            ValueError: an SSRC changed.
        """
        before = self._parameters
        if (parameters.ssrc, parameters.rtx_ssrc) != (before.ssrc, before.rtx_ssrc):
            raise ValueError("the SSRCs of a sink stay")
        self._parameters = parameters
        self._peer.set_tables()

    def close(self) -> None:
        """Stop sending and free the row. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._source.detach(self)
        if self._down:
            self._board.sinks.pop(self._down, None)
            try:
                self._board.engine.remove_down(self._down)
            except LookupError:
                pass  # the engine's peer went first, with its rows
            self._board.wake()
        self._board.cancel_report(self)
        self._peer.forget_sink(self)

    # --- life in the engine ---------------------------------------------------------------

    def open(self) -> None:
        """Enter the row: the peer is connected.

        Raises:
            ResourceExhausted: the engine's tables are full.
            ValueError: the engine refuses an SSRC or payload type.
        """
        layer = self._choose(self._source.layers)
        up = layer.up if layer else 0
        parameters = self._parameters
        self._down = self._board.engine.add_down(
            up,
            self._peer.engine_peer,
            parameters.ssrc,
            parameters.pts,
            rtx_ssrc=parameters.rtx_ssrc,
            rtx_pts=parameters.rtx_pts,
            mid=parameters.mid,
        )
        self._board.sinks[self._down] = self
        self._flowing = self._target = up
        self._reconsider()

    def open_or_close(self) -> None:
        """Enter the row, or end when the engine refuses it."""
        try:
            self.open()
        except (ResourceExhausted, ValueError, LookupError) as error:
            log.warning("a stream cannot be sent", extra={"reason": str(error)})
            self.close()

    def on_source_changed(self) -> None:
        """Layers or the mute state are not what they were."""
        self._reconsider()

    def on_up_removed(self, up: int) -> None:
        """The engine no longer has this row."""
        if self._flowing == up:
            self._flowing = 0
        if self._target == up:
            self._target = self._flowing

    def on_clock(self, up: int) -> None:
        """A sender report for this row came."""
        if up == self._flowing and self._active:
            self._board.report_soon(self)

    def follows(self, up: int) -> bool:
        """Whether packets of this row are needed now, or soon."""
        return self._active and up in (self._flowing, self._target)

    def on_switched(self, up: int) -> None:
        """The engine now forwards this row."""
        self._flowing = up
        self._owes = True
        self._board.report_soon(self)

    def on_switch_timed_out(self) -> None:
        """No key frame came; it is tried again at the next second."""
        self._target = self._flowing
        self._retry = True

    def _reconsider(self) -> None:
        if self._closed or not self._down:
            return
        layers = self._source.layers
        layer = self._choose(layers)
        state = (self._active, self._max_spatial(layers), self._want.max_temporal)
        resumes = state[0] and not (self._applied and self._applied[0])
        if layer is not None and self._active:
            self._follow(layer)
        if state != self._applied:
            self._board.engine.set_down(self._down, *state)
            self._applied = state
        if resumes and layer is not None:
            self._source.request_key_frame(layer.spatial)
        self._board.wake()

    def _choose(self, layers: tuple[Layer, ...]) -> Layer | None:
        if not layers:
            return None
        spatial = wanted_spatial(layers, self._want)
        if self._cap is not None and self._cap >= 0:
            spatial = min(spatial, self._cap)
        best = best_live(layers, spatial)
        if best is None:
            return self._layer_of(self._target) or layers[0]
        return next(layer for layer in layers if layer.spatial == best)

    def _follow(self, layer: Layer) -> None:
        if layer.up == self._target:
            return
        old = self._layer_of(self._flowing)
        offset = None
        if old is not None and old.clock is not None and layer.clock is not None:
            offset = offset_between(old.clock, layer.clock, layer.clock_rate)
        self._board.engine.switch(self._down, layer.up, ts_offset=offset)
        self._target = layer.up
        if layer.up != self._flowing:
            self._source.request_key_frame(layer.spatial)

    def _layer_of(self, up: int) -> Layer | None:
        return next((layer for layer in self._source.layers if layer.up == up), None)

    def _max_spatial(self, layers: tuple[Layer, ...]) -> int:
        """Cap within one SVC stream, where the engine can drop its layers."""
        codec = self._source.codec
        if codec not in _SVC_CODECS or codec not in self._board.engine.features:
            return ALL_SPATIAL
        if len(layers) != 1 or self._want.quality is VideoQuality.HIGH:
            return ALL_SPATIAL
        return int(self._want.quality)

    # --- bandwidth ------------------------------------------------------------------------

    def demand(self) -> Demand | None:
        """What this stream would take; None when it is off or nothing of it is live."""
        if self._closed or not self._wanted or self._source.kind != "video":
            return None
        rates = self._rates()
        if not rates:
            return None
        return Demand(
            key=self,
            rates=tuple(rate for _, rate in rates),
            priority=self._want.priority,
            area=self._want.area,
            may_pause=self._parameters.may_pause,
        )

    def _rates(self) -> list[tuple[int, int]]:
        """(spatial, bit/s) of the layers it may get, lowest first, never falling."""
        layers = self._source.layers
        if not layers:
            return []
        wanted = wanted_spatial(layers, self._want)
        rates: list[tuple[int, int]] = []
        for layer in layers:
            if layer.live and (layer.spatial <= wanted or not rates):
                below = rates[-1][1] if rates else 0
                rates.append((layer.spatial, max(layer.bitrate, below)))
        return rates

    def allot(self, level: int) -> bool:
        """Take the place in `Demand.rates` that the downlink carries, or `PAUSED`.

        Returns whether that is less than what is wanted.
        """
        rates = self._rates()
        was_paused = self.paused
        limited = level < len(rates) - 1
        if level == PAUSED:
            self._cap = PAUSED
        else:
            self._cap = rates[level][0] if limited else None
        self._reconsider()
        if self.paused != was_paused:
            self._peer.observer.on_stream_state(self, self.paused)
        return limited

    # --- reports --------------------------------------------------------------------------

    def send_report(self, stats: DownStats, now: float) -> None:
        """Send the publisher's NTP time with our RTP time (RFC 3550 section 6.4.1)."""
        layer = self._layer_of(stats.up)
        if layer is None or layer.clock is None or not stats.packets or not self._active:
            return
        clock, ssrc = layer.clock, self._parameters.ssrc
        report = rtcp.build_sr(
            rtcp.SenderReport(
                ssrc=ssrc,
                ntp=clock.ntp,
                rtp_ts=(clock.rtp_ts + stats.ts_offset) & TS_MASK,
                packets=stats.packets,
                octets=stats.bytes,
            )
        )
        if self._parameters.cname:
            report = rtcp.compound((report, rtcp.build_sdes(ssrc, self._parameters.cname)))
        self._peer.send_rtcp(report)
        self._trip.sent(clock.ntp, now)
        self._owes = False

    def on_report_block(self, block: rtcp.ReportBlock, now: float) -> None:
        """What the subscriber says of this stream."""
        self._trip.reported(block.lsr, block.dlsr, now)
        layer = self._layer_of(self._flowing)
        rate = layer.clock_rate if layer else 90_000
        self.fraction_lost = block.fraction_lost / 256
        self._jitter_ms = block.jitter * 1000 / rate

    def on_nack(self, seq16s: tuple[int, ...]) -> None:
        """The subscriber misses packets."""
        if self._down:
            self._board.engine.resend(self._down, seq16s)

    def on_key_frame_wanted(self) -> None:
        """The subscriber lost a picture."""
        layer = self._layer_of(self._target)
        if layer is not None and self._active:
            self._source.request_key_frame(layer.spatial)

    def each_second(self, stats: DownStats, now: float) -> int:
        """Take the counters; return the packets sent since the last call."""
        sent = stats.packets - (self._counters.packets if self._counters else 0)
        self._counters = stats
        if self._owes:
            self.send_report(stats, now)
        if self._retry or not self._target:
            self._retry = False
            self._reconsider()
        return sent
