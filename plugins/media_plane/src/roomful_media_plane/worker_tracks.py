"""The tracks of a worker's participant: what it publishes, and what it is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from roomful.model.media import LocalSource
from roomful_media.link_socket import LinkSocket
from roomful_media_plane.worker_messages import Publish
from roomful_rtc.link.record import Frame
from roomful_rtc.link.sink import LinkSink

LATE_NS = 10_000_000_000
"""A packet that came longer ago, or comes later than now, was not: the worker's clock is ours."""


class LayerIntake:
    """Hands one stream of a link to one layer of a source. Answers to `StreamConsumer`."""

    def __init__(self, link: LinkSocket, source: LocalSource, layer: int) -> None:
        self._link, self._source, self._layer = link, source, layer
        self.frames = 0
        """that came where packets were meant; dropped"""

    def write(self, packet: memoryview, arrival_ns: int) -> None:
        """Publish a packet."""
        self._source.write(packet, self._believed(arrival_ns), self._layer)

    def clock(self, rtp_ts: int, ntp: int, arrival_ns: int) -> None:
        """Publish a sender report."""
        self._source.clock(rtp_ts, ntp, self._believed(arrival_ns), self._layer)

    def gap(self, count: int, reason: int) -> None:
        """Say that packets will not come."""
        self._source.gap(count, reason, self._layer)

    def frame(self, frame: Frame) -> None:
        """Publications are packets: a frame is dropped."""
        self.frames += 1

    def end(self) -> None:
        """The link ended, or the track: its owner sees to the source."""

    def _believed(self, arrival_ns: int) -> int:
        """What a worker says of the time goes into reports to others: only what can be is passed on."""
        heard_ns = int(self._link.heard_at * 1e9)
        return arrival_ns if heard_ns - LATE_NS <= arrival_ns <= heard_ns else heard_ns


@dataclass(slots=True)
class PublishedTrack:
    """A publication of a worker, over the workers that write to it."""

    wish: Publish
    sid: str
    source: LocalSource
    muted: bool = False
    """by the worker or from outside, not for want of a worker"""
    streams: list[int] = field(default_factory=list[int])
    """of the present worker's link, one a layer; none while nobody writes"""
    _link: LinkSocket | None = field(default=None, init=False)
    _unwanted: set[int] = field(default_factory=set[int], init=False)
    """layers that nobody wants; a worker that comes later has to be told"""

    def __post_init__(self) -> None:
        self.source.on_keyframe, self.source.on_demand = self._keyframe, self._demand

    def attach(self, link: LinkSocket, streams: Sequence[int]) -> None:
        """Let a worker write to it, and tell the worker."""
        self._link, self.streams = link, list(streams)
        for layer, stream in enumerate(streams):
            link.open(stream, LayerIntake(link, self.source, layer))
        link.send(
            {
                "t": "published",
                "ref": self.wish.ref,
                "track_sid": self.sid,
                "sources": self.streams,
                "muted": self.muted,
            }
        )
        for layer in sorted(self._unwanted):
            self._demand(layer, False)

    def detach(self) -> None:
        """Its worker is gone, or does not publish it any more."""
        if self._link is not None:
            for stream in self.streams:
                self._link.close_stream(stream)
        self._link, self.streams = None, []

    def _keyframe(self, layer: int) -> None:
        if self._link is not None:
            self._link.send({"t": "keyframe", "source": self.streams[layer]})

    def _demand(self, layer: int, wanted: bool) -> None:
        (self._unwanted.discard if wanted else self._unwanted.add)(layer)
        if self._link is not None:
            self._link.send({"t": "demand", "source": self.streams[layer], "wanted": wanted})


@dataclass(frozen=True, slots=True)
class GivenTrack:
    """A subscription whose packets go to a worker."""

    track_sid: str
    sink: LinkSink

    @property
    def stream(self) -> int:
        """Stream of the link."""
        return self.sink.stream
