"""One incoming stream: its row in the engine, its clock, and the key frames asked of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from roomful.model.enums import VideoQuality
from roomful_rtc.engine import Codec, UpStats
from roomful_rtc.keyframes import KeyFrameRequests
from roomful_rtc.layer_plan import PlannedLayer
from roomful_rtc.reports import ClockReading

if TYPE_CHECKING:
    from roomful_rtc.media_source import Source

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
    """0 of a local source"""
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
    """Made by its source; `up` is entered right after."""

    __slots__ = (
        "_grace_until",
        "_size",
        "bitrate",
        "clock",
        "codec",
        "live",
        "planned",
        "requests",
        "ssrc",
        "up",
    )

    def __init__(self, planned: PlannedLayer, ssrc: int, codec: Codec) -> None:
        self.planned = planned
        self.ssrc = ssrc
        self.codec = codec
        self.up = 0
        self.live = False
        self.bitrate = planned.bitrate
        self.clock: ClockReading | None = None
        self.requests = KeyFrameRequests(planned.spatial)
        self._size = (0, 0)
        self._grace_until = 0.0

    @property
    def source(self) -> Source:
        """Whose stream it is."""
        raise NotImplementedError

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
        """Packets are missing."""

    def recovered(self, seq: int) -> None:
        """One of them came."""

    def key_frame(self, seq: int, width: int, height: int) -> None:
        """A key frame began."""
        self.requests.arrived()
        self.set_timer()
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
        """Ask for what is due."""
        raise NotImplementedError

    @property
    def due(self) -> float | None:
        """When `on_time` has something to ask for."""
        return self.requests.due

    def set_timer(self) -> None:
        """Have `on_time` called when something is due."""
        self.source.board.set_timer(self, self.due)

    def read_clock(self, ntp: int, rtp_ts: int, now: float) -> None:
        """The publisher's sender report."""
        self.clock = ClockReading(ntp, rtp_ts, now)

    def measure(self, stats: UpStats, now: float) -> None:
        """Take the counters, once a second."""
        if stats.bitrate:
            blend = (self.bitrate or stats.bitrate) * (1 - _SMOOTHING) + stats.bitrate * _SMOOTHING
            self.bitrate = int(blend)
        quiet_s = now - stats.last_arrival_us / 1e6
        self.set_live(live=quiet_s < SILENT_AFTER_S or now < self._grace_until)
