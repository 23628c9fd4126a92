"""What flows, as the core sees it: sources, sinks, and the plane that joins them.

Media inside the server is RTP of encoded media. A publication's source and a subscription's sink
are *wire* (a peer's, handled wholly in the engine) or *local*: plain RTP that is handed over by
calls, to and from a participant in this process or a media worker. Protocols and records only.
Arrival times are CLOCK_MONOTONIC in ns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Protocol

from roomful.model.enums import VideoQuality

if TYPE_CHECKING:
    from roomful.model.subscription import Subscription, TrackSettings
    from roomful.model.track import Publication, VideoLayer

ALL_TEMPORAL = 255
_FULL_RATE_FPS = 30
_TEMPORAL_SHARES = (0.25, 0.5)
"""Share of the frames in temporal layer 0, and in 0 and 1, of the usual three (L1T3)."""


class GapReason(IntEnum):
    """Why packets do not come; the numbers are those of the local link."""

    QUEUE_FULL = 1
    """the queue of the sink's link was full"""
    PAUSED = 2
    """they were not wanted; their numbers are not missing"""
    LOST = 3
    """they were lost on the way from the publisher and are not asked for any more"""


@dataclass(frozen=True, slots=True)
class Want:
    """What a subscriber wants; `width` and `height` win over `quality`."""

    enabled: bool = True
    quality: VideoQuality = VideoQuality.HIGH
    width: int = 0
    height: int = 0
    fps: int = 0
    """0: all frames; else the smallest temporal layer that reaches it, where the codec has some"""
    priority: int = 0
    """higher gets bandwidth first"""

    @classmethod
    def of(cls, settings: TrackSettings) -> Want:
        """The room's words as the media side's."""
        return cls(
            enabled=not settings.disabled and settings.quality is not VideoQuality.OFF,
            quality=settings.quality,
            width=settings.width,
            height=settings.height,
            fps=settings.fps,
            priority=settings.priority,
        )

    @property
    def area(self) -> int:
        """Pixels, for the order in which bandwidth is given; a quality counts as a usual size."""
        if self.width and self.height:
            return self.width * self.height
        return _USUAL_AREA[self.quality]

    @property
    def max_temporal(self) -> int:
        """Highest temporal layer worth sending."""
        if not self.fps:
            return ALL_TEMPORAL
        for temporal, share in enumerate(_TEMPORAL_SHARES):
            if self.fps <= share * _FULL_RATE_FPS:
                return temporal
        return ALL_TEMPORAL


_USUAL_AREA = {
    VideoQuality.LOW: 320 * 180,
    VideoQuality.MEDIUM: 640 * 360,
    VideoQuality.HIGH: 1280 * 720,
    VideoQuality.OFF: 0,
}


class Drop(Enum):
    """Which audio goes when a queue is full; video always goes up to its next key frame."""

    OLDEST = "oldest"
    """sound stays current: live jobs"""
    NEWEST = "newest"
    """what is queued stays whole: recordings"""


@dataclass(frozen=True, slots=True)
class QueuePolicy:
    """What may wait for a sink behind a link. Sinks in this process have no queue."""

    max_ms: int = 500
    max_bytes: int = 2 << 20
    drop: Drop = Drop.OLDEST


LIVE = QueuePolicy()
RECORDING = QueuePolicy(max_ms=4000, max_bytes=16 << 20, drop=Drop.NEWEST)


class MediaSource(Protocol):
    """Where the media of one publication comes from (wire or local); owned by its transport."""

    def request_key_frame(self) -> None:
        """Ask the publisher for a key frame; throttled by the source."""
        ...


class TrackSink(Protocol):
    """Where the media of one subscription goes: plain calls on the loop, which must not wait.

    One that raises, or takes more than a quarter of the time, is ended; nobody else notices.
    """

    def write(self, packet: memoryview, arrival_ns: int) -> None:
        """Take one whole plain RTP packet; the view is valid during the call only.

        Numbers and timestamps go on over pauses and changes of layer; a packet lost on its way
        leaves its number free, a late one still comes.
        """
        ...

    def clock(self, rtp_ts: int, ntp: int, arrival_ns: int) -> None:
        """Note a sender report: `rtp_ts`, as in this sink's packets, was at wall time `ntp`.

        `ntp`: 64 bits, 32.32 fixed-point seconds of the publisher's clock (RFC 3550 section 4).
        """
        ...

    def gap(self, count: int, reason: int) -> None:
        """Note packets that will not come (`GapReason`)."""
        ...

    def end(self) -> None:
        """Nothing comes any more. Called once."""
        ...


class SinkHandle(Protocol):
    """One subscription to a sink, as its owner sees it."""

    def set(self, want: Want) -> None:
        """Change what is wanted; the old layer flows until the new one's next key frame."""
        ...

    def keyframe(self) -> None:
        """Ask for a key frame: a picture was lost."""
        ...

    def close(self) -> None:
        """End it; the sink's `end` is called. Idempotent."""
        ...


class LocalSource(MediaSource, Protocol):
    """A publication whose packets are handed over by calls. Layers are counted from the lowest, 0."""

    on_keyframe: Callable[[int], None] | None
    """Told the layer that a key frame is wanted of, at most twice a second."""
    on_demand: Callable[[int, bool], None] | None
    """Told a layer and whether anybody wants it; all count as wanted at first."""
    on_level: Callable[[int, float], None] | None
    """Audio, each 100 ms with packets: (loudest dBov 0…-127, share of packets ≥ -35 dBov)."""
    on_ended: Callable[[str], None] | None
    """The plane ended the source, and why; not told after `end`."""

    def write(
        self,
        packet: bytes | memoryview,
        arrival_ns: int,
        layer: int = 0,
        *,
        level: int | None = None,
    ) -> None:
        """Publish one whole plain RTP packet. Its SSRC and payload type mean nothing.

        `level`: of audio, dBov, 0 to -127 (RFC 6464), where the packet does not say.
        """
        ...

    def clock(self, rtp_ts: int, ntp: int, arrival_ns: int, layer: int = 0) -> None:
        """Say what a sender report says; at the start and once a second."""
        ...

    def gap(self, count: int, reason: int, layer: int = 0) -> None:
        """Say that packets will not come."""
        ...

    def set_muted(self, muted: bool) -> None:
        """Stop or resume the sinks; on unmute a key frame is asked for."""
        ...

    def restart(self) -> None:
        """Let another writer go on whose numbers have nothing to do with those before."""
        ...

    def end(self) -> None:
        """Free everything; sinks in this process end too. Idempotent."""
        ...


class MediaPlane(Protocol):
    """The one UDP port, engine and worker supervisor of a server; offered by one plugin.

    Wire transports know the concrete class of the plugin that offers it through `roomful_rtc`;
    for local media these calls are enough.
    """

    async def start(self) -> None:
        """Open the ports. Raises `ConfigError` naming the setting when one is taken."""
        ...

    async def stop(self) -> None: ...

    def source(
        self, publication: Publication, layers: Sequence[VideoLayer] = (), *, fmtp: str = ""
    ) -> LocalSource:
        """Make the local source of a publication, which gets it as its `source`.

        `layers`: of simulcast video, one stream each, lowest quality first; none: one stream.
        `fmtp`: codec parameters as in SDP, where subscribers need them (H.264).

        Raises:
            MediaError: a codec that is not forwarded here.
            ValueError: too many layers, or not lowest first.
            ResourceExhausted: the engine's tables are full.
        """
        ...

    def sink(
        self,
        subscription: Subscription,
        to: TrackSink,
        want: Want | None = None,
        queue: QueuePolicy = LIVE,
    ) -> SinkHandle:
        """Let the media of a subscription flow to `to`; video begins with a key frame.

        `want`: None takes the subscription's settings. `queue` counts for sinks behind a link.

        Raises:
            MediaError: the publication has no source that can be forwarded.
            ResourceExhausted: the engine's tables are full.
        """
        ...
