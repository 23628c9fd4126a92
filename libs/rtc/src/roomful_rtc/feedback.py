"""RTCP of one peer on its way in: guarded, parsed, handed to what it is about.

Guards (`security.md` 4.5): at most 50 compounds a second are handled; what is malformed is counted
and dropped; feedback about SSRCs that the sender does not receive is ignored, and so are reports
about streams that it does not send.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

from roomful.errors import RemoteProtocolError
from roomful.token_bucket import TokenBucket
from roomful_rtc import rtcp

REPORTS_PER_S, REPORTS_BURST = 50, 100
BLOCKS_PER_COMPOUND = 4 * rtcp.MAX_BLOCKS
NACKED_PER_COMPOUND = rtcp.MAX_NACKED
NACKED_PER_S, NACKED_BURST = 2000, 1000
"""numbers that are looked for in histories"""


class ReportedSink(Protocol):
    """What a subscriber's feedback is about."""

    def on_report_block(self, block: rtcp.ReportBlock, now: float) -> None: ...
    def on_nack(self, seq16s: tuple[int, ...]) -> None: ...
    def on_key_frame_wanted(self) -> None: ...


class FeedbackTarget(Protocol):
    """Whom the peer's RTCP is handed to."""

    def sink_of(self, ssrc: int) -> ReportedSink | None:
        """The stream we send under this SSRC."""
        ...

    def on_sender_report(self, report: rtcp.SenderReport, now: float) -> None: ...
    def on_goodbye(self, ssrc: int) -> None: ...
    def on_estimate(self, bitrate: int, now: float) -> None: ...


class FeedbackReader:
    """Handles the compounds of one peer."""

    def __init__(self, target: FeedbackTarget) -> None:
        self._target = target
        self._bucket = TokenBucket(REPORTS_PER_S, REPORTS_BURST)
        self._nacks = TokenBucket(NACKED_PER_S, NACKED_BURST)
        self.drops: Counter[str] = Counter()
        """by reason: rate, malformed, foreign_ssrc, nack_rate"""
        self._asked: set[int] = set()
        self._blocks = self._nacked = 0
        """of the compound that is being handled"""
        self._handlers: dict[type, Callable[[Any, float], None]] = {
            rtcp.SenderReport: self._on_report,
            rtcp.ReceiverReport: self._on_report,
            rtcp.Nack: self._on_nack,
            rtcp.Pli: self._on_pli,
            rtcp.Fir: self._on_fir,
            rtcp.Remb: self._on_remb,
            rtcp.Bye: self._on_bye,
        }

    def receive(self, compound: bytes, now: float) -> None:
        """Handle one decrypted compound packet."""
        if not self._bucket.take(now):
            self.drops["rate"] += 1
            return
        try:
            packets = rtcp.parse(compound)
        except RemoteProtocolError:
            self.drops["malformed"] += 1
            return
        self._asked.clear()
        self._blocks = self._nacked = 0
        for packet in packets:
            handler = self._handlers.get(type(packet))
            if handler is not None:
                handler(packet, now)
        for ssrc in tuple(self._asked):
            self._on_key_frame_wanted(ssrc)

    def _on_report(self, report: rtcp.SenderReport | rtcp.ReceiverReport, now: float) -> None:
        self._blocks += len(report.blocks)
        if self._blocks > BLOCKS_PER_COMPOUND:
            return
        if isinstance(report, rtcp.SenderReport):
            self._target.on_sender_report(report, now)
        for block in report.blocks:
            sink = self._target.sink_of(block.ssrc)
            if sink is not None:
                sink.on_report_block(block, now)

    def _on_nack(self, packet: rtcp.Nack, now: float) -> None:
        self._nacked += len(packet.seq16s)
        if self._nacked > NACKED_PER_COMPOUND:
            return
        sink = self._target.sink_of(packet.media)
        if sink is None:
            self.drops["foreign_ssrc"] += 1
        elif not self._nacks.take(now, len(packet.seq16s)):
            self.drops["nack_rate"] += 1
        else:
            sink.on_nack(packet.seq16s)

    def _on_pli(self, packet: rtcp.Pli, now: float) -> None:
        self._asked.add(packet.media)

    def _on_fir(self, packet: rtcp.Fir, now: float) -> None:
        self._asked.update(ssrc for ssrc, _ in packet.entries)

    def _on_bye(self, packet: rtcp.Bye, now: float) -> None:
        for ssrc in packet.ssrcs:
            self._target.on_goodbye(ssrc)

    def _on_key_frame_wanted(self, ssrc: int) -> None:
        sink = self._target.sink_of(ssrc)
        if sink is None:
            self.drops["foreign_ssrc"] += 1
        else:
            sink.on_key_frame_wanted()

    def _on_remb(self, packet: rtcp.Remb, now: float) -> None:
        if any(self._target.sink_of(ssrc) is not None for ssrc in packet.ssrcs):
            self._target.on_estimate(packet.bitrate, now)
        else:
            self.drops["foreign_ssrc"] += 1
