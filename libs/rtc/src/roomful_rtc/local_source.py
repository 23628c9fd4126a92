"""A publication whose packets are handed over by calls, by this process or a media worker.

Each layer is a row of the engine like a peer's. What a peer would be told by RTCP is told by
callbacks: a picture loss indication is `on_keyframe`, a layer that nobody wants `on_demand`. A
callback that raises ends the source.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

from roomful.errors import ResourceExhausted
from roomful.model.enums import VideoQuality
from roomful.model.media import GapReason
from roomful.model.track import TrackInfo, VideoLayer
from roomful.token_bucket import TokenBucket
from roomful_rtc.engine import EngineStats
from roomful_rtc.extensions import AUDIO_LEVEL
from roomful_rtc.layer_plan import MAX_LAYERS, PlannedLayer
from roomful_rtc.local_codecs import AUDIO_LEVEL_ID, LocalCodec, codec_of
from roomful_rtc.media_source import Source
from roomful_rtc.sdp import RtpFormat
from roomful_rtc.stream import Stream
from roomful_rtc.switchboard import Switchboard

log = logging.getLogger(__name__)

UNWANTED_AFTER_S = 5.0
"""Before its encoder is told to stop a layer, somebody may come back to it."""
CEILING_BPS = 20_000_000
"""of a stream whose bitrate was not announced"""
ABOVE_ANNOUNCED = 2
BURST_S = 2.0
LEAST_BURST_BYTES = 100_000
"""a key frame, however small the announcement"""
REFUSED_AFTER_S = 5
"""A stream that was throttled in so many seconds in a row ends its source."""


class LocalStream(Stream):
    """One layer of a local source."""

    __slots__ = ("_bucket", "_source", "_throttled", "throttled_s", "unwanted_since", "wanted")

    def __init__(self, source: LocalSource, planned: PlannedLayer, codec: LocalCodec) -> None:
        super().__init__(planned, 0, codec.codec)
        self._source = source
        announced = planned.bitrate > 0
        rate = (planned.bitrate * ABOVE_ANNOUNCED if announced else CEILING_BPS) / 8
        self._bucket = TokenBucket(rate, max(rate * BURST_S, LEAST_BURST_BYTES))
        self._throttled = False
        self.throttled_s = 0
        self.wanted = True
        """what the source's owner was told last"""
        self.unwanted_since: float | None = source.board.now()

    @property
    def source(self) -> LocalSource:
        return self._source

    def take_over(self, former: LocalStream) -> None:
        """Stand in for a stream whose writer is gone."""
        self.wanted, self.unwanted_since = former.wanted, former.unwanted_since
        self.bitrate = former.bitrate

    def on_time(self, now: float) -> None:
        """Ask for a key frame, if it is time."""
        asks = self.requests.take(now)
        self.set_timer()
        if asks:
            self._source.ask_key_frame(self.planned.spatial)

    def allow(self, size: int, now: float) -> bool:
        """Whether a packet of so many bytes is within what was announced."""
        if self._bucket.take(now, size):
            return True
        self._throttled = True
        return False

    def each_second(self) -> None:
        """Count the seconds in a row in which packets were refused."""
        self.throttled_s = self.throttled_s + 1 if self._throttled else 0
        self._throttled = False


class LocalSource(Source):
    """Made by `Plane.source`. Answers to `roomful.model.media.LocalSource`."""

    def __init__(
        self, board: Switchboard, info: TrackInfo, layers: Sequence[VideoLayer], fmtp: str
    ) -> None:
        """Enter the rows.

        Raises:
            MediaError: a codec that is not forwarded here.
            ValueError: too many layers, layers of audio, or not lowest first.
            ResourceExhausted: the engine's tables are full.
        """
        self._codec = codec_of(info.mime_type)
        super().__init__(board, self._codec.kind)
        self._formats = (self._codec.format(fmtp),)
        self._muted = info.muted
        self.phase = board.new_phase()
        self.on_keyframe: Callable[[int], None] | None = None
        self.on_demand: Callable[[int, bool], None] | None = None
        self.on_ended: Callable[[str], None] | None = None
        """The source was ended from inside, and why: not by `end`."""
        planned = _planned(self.kind, info, layers)
        self._streams = {p.spatial: LocalStream(self, p, self._codec) for p in planned}
        board.locals[self] = None
        try:
            for stream in self._streams.values():
                self._enter(stream)
        except ResourceExhausted:
            self.end()
            raise

    def _enter(self, stream: LocalStream) -> None:
        codec, spatial = stream.codec, stream.planned.spatial
        stream.up = self.board.engine.add_source(
            codec.name,
            codec.clock_rate,
            extensions={AUDIO_LEVEL: AUDIO_LEVEL_ID} if self.kind == "audio" else None,
            group=self._group,
            spatial=spatial,
        )
        self.board.streams[stream.up] = stream
        self.board.wake()

    @property
    def by_layer(self) -> Mapping[int, Stream]:
        return self._streams

    @property
    def codec(self) -> str:
        return self._codec.name

    @property
    def formats(self) -> tuple[RtpFormat, ...]:
        return self._formats

    # --- what the owner gives -------------------------------------------------------------

    def write(
        self,
        packet: bytes | memoryview,
        arrival_ns: int,
        layer: int = 0,
        *,
        level: int | None = None,
    ) -> None:
        """Publish one whole plain RTP packet; malformed ones are counted and dropped.

        `level`: dBov, 0 to -127, of sound whose packets do not say it in an element of id
        `AUDIO_LEVEL_ID`. What exceeds twice the announced bitrate for two seconds is dropped; a source that goes on
        like this for five is ended. `LookupError` for a layer that does not exist.
        """
        if self._closed:
            return
        stream = self._streams[layer]
        if not stream.allow(len(packet), self.board.now()):
            return
        if not stream.live:
            stream.set_live(live=True)
        self.board.engine.feed(stream.up, packet, arrival_ns // 1000, level=level)

    def clock(self, rtp_ts: int, ntp: int, arrival_ns: int, layer: int = 0) -> None:
        """Say what a sender report says."""
        if not self._closed:
            stream = self._streams[layer]
            stream.read_clock(ntp, rtp_ts, arrival_ns / 1e9)
            self.tell_clock(stream)

    def gap(self, count: int, reason: int = GapReason.LOST, layer: int = 0) -> None:
        """Say that packets will not come; sinks in this process and its workers are told."""
        if not self._closed:
            self.board.engine.give_up(self._streams[layer].up, count, reason)

    def restart(self) -> None:
        """Let another writer go on: its numbers have nothing to do with those before.

        Subscribers' numbers go on as at a change of layer; video begins with a key frame, which is
        asked for.

        Raises:
            ResourceExhausted: the engine's tables are full; the source stays as it was.
        """
        for spatial, stream in tuple(self._streams.items()):
            following = LocalStream(self, stream.planned, self._codec)
            following.take_over(stream)
            self._enter(following)
            self._streams[spatial] = following
            self.remove_row(stream)
        self.tell_sinks()

    def end(self) -> None:
        """Free the rows; local sinks end too. Idempotent; no callback comes after."""
        if self._closed:
            return
        self._closed = True
        self.on_keyframe = self.on_demand = self.on_ended = None
        streams = list(self._streams.values())
        self._streams.clear()
        for stream in streams:
            if stream.up:
                self.remove_row(stream)
        self.board.locals.pop(self, None)
        self.tell_end()
        self.board.wake()

    def fail(self, reason: str) -> None:
        """End it from inside and tell its owner."""
        if self._closed:
            return
        log.warning("a local source was ended", extra={"reason": reason})
        told = self.on_ended
        self.end()
        if told is not None:
            told(reason)

    # --- what the owner is told -----------------------------------------------------------

    def ask_key_frame(self, spatial: int) -> None:
        """A key frame of this layer is wanted."""
        if self.on_keyframe is not None:
            self._tell(self.on_keyframe, spatial)

    def demand_changed(self) -> None:
        """Ask the sinks which layers they want; a wish is told at once, the end of one later."""
        now = self.board.now()
        for spatial, stream in tuple(self._streams.items()):
            if not any(listener.asks_for(spatial) for listener in self._listeners):
                if stream.unwanted_since is None:
                    stream.unwanted_since = now
                continue
            stream.unwanted_since = None
            if not stream.wanted:
                self._demand(spatial, stream, wanted=True)

    def each_second(self, stats: EngineStats, now: float) -> None:
        """Take the counters; tell what nobody wants any more."""
        for spatial, stream in tuple(self._streams.items()):
            counters = stats.ups.get(stream.up)
            if counters is not None and counters.packets:
                stream.measure(counters, now)
            stream.each_second()
            if stream.throttled_s >= REFUSED_AFTER_S:
                self.fail("sends more than was announced")
                return
            since = stream.unwanted_since
            if stream.wanted and since is not None and now - since >= UNWANTED_AFTER_S:
                self._demand(spatial, stream, wanted=False)

    def _demand(self, spatial: int, stream: LocalStream, *, wanted: bool) -> None:
        stream.wanted = wanted
        if self.on_demand is not None:
            self._tell(self.on_demand, spatial, wanted)

    def _tell(self, callback: Callable[..., None], *what: object) -> None:
        """Call the owner; its failure ends this source, not whoever asked."""
        try:
            callback(*what)
        except Exception:
            log.exception("the owner of a local source failed")
            self.fail("internal: its owner failed")


def _planned(kind: str, info: TrackInfo, layers: Sequence[VideoLayer]) -> tuple[PlannedLayer, ...]:
    if not layers:
        return (PlannedLayer(0, VideoQuality.HIGH, width=info.width, height=info.height),)
    if kind != "video" or len(layers) > MAX_LAYERS:
        raise ValueError(
            f"{len(layers)} layers of {kind}: only video has some, {MAX_LAYERS} at most"
        )
    qualities = [layer.quality for layer in layers]
    if qualities != sorted(set(qualities)):
        raise ValueError(f"layers come lowest first, each of another quality: {qualities!r}")
    return tuple(
        PlannedLayer(
            spatial,
            layer.quality,
            layer.rid,
            width=layer.width,
            height=layer.height,
            bitrate=layer.bitrate,
        )
        for spatial, layer in enumerate(layers)
    )
