"""One subscription's outgoing stream on one peer: bandwidth, reports, feedback.

Which layer flows is `media_sink`'s business; the downlink's share is the ceiling here.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from roomful.errors import ResourceExhausted
from roomful_rtc import rtcp
from roomful_rtc.bandwidth import PAUSED, Demand
from roomful_rtc.engine import DownStats
from roomful_rtc.media_sink import Sink
from roomful_rtc.media_source import Source
from roomful_rtc.reports import RoundTrip
from roomful_rtc.rtp import TS_MASK
from roomful_rtc.selection import Want, wanted_spatial
from roomful_rtc.send_parameters import SendParameters, SinkStats

if TYPE_CHECKING:
    from roomful_rtc.peer import WirePeer
    from roomful_rtc.switchboard import Switchboard

__all__ = ["SendParameters", "SinkStats", "Want", "WireSink"]

log = logging.getLogger(__name__)


class WireSink(Sink):
    """A source forwarded to one peer. Made by `WirePeer.send`; starts with `Want()`."""

    def __init__(
        self, board: Switchboard, peer: WirePeer, source: Source, parameters: SendParameters
    ) -> None:
        self._peer = peer
        self._parameters = parameters
        self._cap: int | None = None
        """highest spatial layer that the downlink carries, `PAUSED`, None: no limit"""
        self._trip = RoundTrip()
        self._counters: DownStats | None = None
        self.fraction_lost = 0.0
        """by the last receiver report, 0 to 1"""
        self._jitter_ms = 0.0
        self._owes = True
        """a sender report, as soon as there is something to report"""
        super().__init__(board, source)

    @property
    def parameters(self) -> SendParameters:
        return self._parameters

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
    def rtt_s(self) -> float | None:
        """Round trip by the receiver's reports about this stream."""
        return self._trip.rtt_s

    @property
    def active(self) -> bool:
        return self.wanted and not self.paused

    @property
    def ceiling(self) -> int | None:
        return self._cap

    # --- commands -------------------------------------------------------------------------

    def on_want_changed(self) -> None:
        if self._cap is not None:
            self._peer.allocate()

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

    def on_closed(self) -> None:
        self._peer.forget_sink(self)

    # --- life in the engine ---------------------------------------------------------------

    def enter(self, up: int) -> int:
        parameters = self._parameters
        return self.board.engine.add_down(
            up,
            self._peer.engine_peer,
            parameters.ssrc,
            parameters.pts,
            rtx_ssrc=parameters.rtx_ssrc,
            rtx_pts=parameters.rtx_pts,
            mid=parameters.mid,
        )

    def open_or_close(self) -> None:
        """Enter the row, or end when the engine refuses it."""
        try:
            self.open()
        except (ResourceExhausted, ValueError, LookupError) as error:
            log.warning("a stream cannot be sent", extra={"reason": str(error)})
            self.close()

    def on_switched(self, up: int) -> None:
        """The engine now forwards this row: its timestamps need a report."""
        self._owes = True
        super().on_switched(up)

    # --- bandwidth ------------------------------------------------------------------------

    def demand(self) -> Demand | None:
        """What this stream would take; None when it is off or nothing of it is live."""
        if not self.wanted or self._source.kind != "video":
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
        self.reconsider()
        if self.paused != was_paused:
            self._peer.observer.on_stream_state(self, self.paused)
        return limited

    # --- reports --------------------------------------------------------------------------

    def send_report(self, stats: DownStats, now: float) -> None:
        """Send the publisher's NTP time with our RTP time (RFC 3550 section 6.4.1)."""
        layer = self.layer_of(stats.up)
        if layer is None or layer.clock is None or not stats.packets or not self.active:
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
        layer = self.layer_of(self._flowing)
        rate = layer.clock_rate if layer else 90_000
        self.fraction_lost = block.fraction_lost / 256
        self._jitter_ms = block.jitter * 1000 / rate

    def on_nack(self, seq16s: tuple[int, ...]) -> None:
        """The subscriber misses packets."""
        if self._down:
            self.board.engine.resend(self._down, seq16s)

    def each_second(self, stats: DownStats, now: float) -> int:
        """Take the counters; return the packets sent since the last call."""
        sent = stats.packets - (self._counters.packets if self._counters else 0)
        self._counters = stats
        if self._owes:
            self.send_report(stats, now)
        self.try_again()
        return sent
