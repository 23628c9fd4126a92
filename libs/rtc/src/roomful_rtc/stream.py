"""One incoming stream: its row in the engine, its clock, what is asked of its publisher."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from roomful.model.enums import VideoQuality
from roomful_rtc import rtcp
from roomful_rtc.engine import Codec, UpStats
from roomful_rtc.keyframes import KeyFrameRequests
from roomful_rtc.layer_plan import PlannedLayer
from roomful_rtc.nack import NackTracker
from roomful_rtc.reports import ClockReading, ReceptionReporter

if TYPE_CHECKING:
    from roomful_rtc.source import WireSource

SILENT_AFTER_S = 2.0
_SMOOTHING = 0.5


@dataclass(frozen=True, slots=True)
class Layer:
    """One stream of a source as it is now."""

    spatial: int
    """0 is the lowest"""
    quality: VideoQuality
    rid: str
    ssrc: int
    up: int
    """the engine's handle"""
    clock_rate: int = 90_000
    width: int = 0
    height: int = 0
    """of the last key frame, else as announced; 0 while unknown"""
    bitrate: int = 0
    """measured, else as announced; bit/s"""
    live: bool = True
    """packets came within the last 2 s"""
    clock: ClockReading | None = None
    """the publisher's last sender report"""


class Stream:
    """Made by its source when the first packet came. `up` is entered right after."""

    __slots__ = (
        "_grace_until",
        "_nacks",
        "_size",
        "bitrate",
        "clock",
        "codec",
        "live",
        "planned",
        "reporter",
        "requests",
        "source",
        "ssrc",
        "up",
    )

    def __init__(
        self, source: WireSource, planned: PlannedLayer, ssrc: int, codec: Codec, now: float
    ) -> None:
        self.source = source
        self.planned = planned
        self.ssrc = ssrc
        self.codec = codec
        self.up = 0
        self.live = True
        self.bitrate = planned.bitrate
        self.clock: ClockReading | None = None
        self.requests = KeyFrameRequests(planned.spatial)
        self.reporter = ReceptionReporter(ssrc)
        self._nacks = NackTracker()
        self._size = (0, 0)
        self._grace_until = now + SILENT_AFTER_S

    @property
    def layer(self) -> Layer:
        """What sinks see of it."""
        width, height = self._size if self._size[0] else (self.planned.width, self.planned.height)
        return Layer(
            spatial=self.planned.spatial,
            quality=self.planned.quality,
            rid=self.planned.rid,
            ssrc=self.ssrc,
            up=self.up,
            clock_rate=self.codec.clock_rate,
            width=width,
            height=height,
            bitrate=self.bitrate,
            live=self.live,
            clock=self.clock,
        )

    # --- what the engine tells ------------------------------------------------------------

    def gap(self, first: int, count: int, now: float) -> None:
        """Packets are missing; a layer that nobody gets is not repaired."""
        if self.source.parameters.nack and self.source.is_followed(self.up):
            self._nacks.gap(first, count, now)
            self._set_timer()

    def recovered(self, seq: int) -> None:
        """One of them came."""
        self._nacks.recovered(seq)
        self._set_timer()

    def key_frame(self, seq: int, width: int, height: int) -> None:
        """A key frame began."""
        self._nacks.key_frame(seq)
        self.requests.arrived()
        self._set_timer()
        if width and height and (width, height) != self._size:
            self._size = (width, height)
            self.source.layers_changed()
        self.set_live(live=True)

    def on_silent(self, now: float) -> None:
        """The engine saw no packet for 2 s."""
        if now >= self._grace_until:
            self.set_live(live=False)

    def set_live(self, *, live: bool) -> None:
        """Packets come, or none came for a while."""
        if live != self.live:
            self.live = live
            self.source.layers_changed()

    # --- what goes to the publisher -------------------------------------------------------

    def want_key_frame(self, now: float) -> None:
        """Somebody needs a key frame of this stream."""
        self.requests.ask(now)
        self.on_time(now)

    def on_time(self, now: float) -> None:
        """Send what is due: a picture loss indication, a request for lost packets."""
        peer = self.source.peer
        if self.requests.take(now):
            peer.send_rtcp(rtcp.build_pli(peer.rtcp_ssrc, self.ssrc))
        if self._nacks.due is not None and self._nacks.due <= now:
            missing = self._nacks.take(now, peer.rtt_s)
            if missing:
                peer.send_rtcp(
                    rtcp.build_nack(peer.rtcp_ssrc, self.ssrc, [seq & 0xFFFF for seq in missing])
                )
        self._set_timer()

    def _set_timer(self) -> None:
        dues = [due for due in (self.requests.due, self._nacks.due) if due is not None]
        self.source.board.set_timer(self, min(dues, default=None))

    def read_clock(self, ntp: int, rtp_ts: int, now: float) -> None:
        """The publisher's sender report."""
        self.clock = ClockReading(ntp, rtp_ts, now)

    def be_patient(self, now: float) -> None:
        """Count as live for a while though nothing came: the publisher is about to send."""
        self._grace_until = now + SILENT_AFTER_S
        self.set_live(live=True)

    def each_second(self, stats: UpStats, now: float) -> rtcp.ReportBlock:
        """Take the counters; return the block for the receiver report."""
        measured = stats.bitrate
        if measured:
            blend = (self.bitrate or measured) * (1 - _SMOOTHING) + measured * _SMOOTHING
            self.bitrate = int(blend)
        quiet_s = now - stats.last_arrival_us / 1e6
        self.set_live(live=quiet_s < SILENT_AFTER_S or now < self._grace_until)
        return self.reporter.report(
            packets=stats.packets,
            lost=stats.lost,
            highest_seq=stats.highest_seq,
            jitter=stats.jitter,
            clock=self.clock,
            now=now,
        )
