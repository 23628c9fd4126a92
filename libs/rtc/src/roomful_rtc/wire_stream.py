"""One incoming stream of a peer: what is asked of its publisher by RTCP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomful_rtc import rtcp
from roomful_rtc.engine import Codec, UpStats
from roomful_rtc.layer_plan import PlannedLayer
from roomful_rtc.nack import NackTracker
from roomful_rtc.reports import ReceptionReporter
from roomful_rtc.stream import SILENT_AFTER_S, Stream

if TYPE_CHECKING:
    from roomful_rtc.source import WireSource


class WireStream(Stream):
    """Made by its source when the first packet came."""

    __slots__ = ("_nacks", "_source", "reporter")

    def __init__(
        self, source: WireSource, planned: PlannedLayer, ssrc: int, codec: Codec, now: float
    ) -> None:
        super().__init__(planned, ssrc, codec)
        self._source = source
        self.live = True
        self.reporter = ReceptionReporter(ssrc)
        self._nacks = NackTracker()
        self._grace_until = now + SILENT_AFTER_S

    @property
    def source(self) -> WireSource:
        return self._source

    @property
    def due(self) -> float | None:
        dues = [due for due in (self.requests.due, self._nacks.due) if due is not None]
        return min(dues, default=None)

    def gap(self, first: int, count: int, now: float) -> None:
        """Packets are missing; a layer that nobody gets is not repaired."""
        if self._source.is_followed(self.up):
            self._nacks.gap(first, count, now)
            self.set_timer()

    def recovered(self, seq: int) -> None:
        self._nacks.recovered(seq)
        self.set_timer()

    def key_frame(self, seq: int, width: int, height: int) -> None:
        self._nacks.key_frame(seq)
        self._give_up()
        super().key_frame(seq, width, height)

    def on_time(self, now: float) -> None:
        """Send what is due: a picture loss indication, a request for lost packets."""
        peer = self._source.peer
        if self.requests.take(now):
            peer.send_rtcp(rtcp.build_pli(peer.rtcp_ssrc, self.ssrc))
        if self._nacks.due is not None and self._nacks.due <= now:
            missing = self._nacks.take(now, peer.rtt_s)
            if missing and self._source.parameters.nack:
                peer.send_rtcp(
                    rtcp.build_nack(peer.rtcp_ssrc, self.ssrc, [seq & 0xFFFF for seq in missing])
                )
            self._give_up()
        self.set_timer()

    def _give_up(self) -> None:
        """Tell local sinks what is not asked for any more."""
        lost = self._nacks.take_lost()
        if lost:
            try:
                self._source.board.engine.give_up(self.up, lost)
            except LookupError:
                pass  # the engine's peer went first, with its rows

    def be_patient(self, now: float) -> None:
        """Count as live for a while though nothing came: the publisher is about to send."""
        self._grace_until = now + SILENT_AFTER_S
        self.set_live(live=True)

    def each_second(self, stats: UpStats, now: float) -> rtcp.ReportBlock:
        """Take the counters; return the block for the receiver report."""
        self.measure(stats, now)
        return self.reporter.report(
            packets=stats.packets,
            lost=stats.lost,
            highest_seq=stats.highest_seq,
            jitter=stats.jitter,
            clock=self.clock,
            now=now,
        )
