"""The tracks of a worker's participant: what it publishes, and what it is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from roomful.model.media import LocalSource
from roomful.model.track import TrackInfo
from roomful_media.link_socket import LinkSocket
from roomful_rtc.link.record import Frame
from roomful_rtc.link.sink import LinkSink


class LayerIntake:
    """Hands one stream of a link to one layer of a source. Answers to `StreamConsumer`."""

    def __init__(self, source: LocalSource, layer: int) -> None:
        self._source, self._layer = source, layer
        self.frames = 0
        """that came where packets were meant; dropped"""

    def write(self, packet: memoryview, arrival_ns: int) -> None:
        """Publish a packet."""
        self._source.write(packet, arrival_ns, self._layer)

    def clock(self, rtp_ts: int, ntp: int, arrival_ns: int) -> None:
        """Publish a sender report."""
        self._source.clock(rtp_ts, ntp, arrival_ns, self._layer)

    def gap(self, count: int, reason: int) -> None:
        """Say that packets will not come."""
        self._source.gap(count, reason, self._layer)

    def frame(self, frame: Frame) -> None:
        """Publications are packets: a frame is dropped."""
        self.frames += 1

    def end(self) -> None:
        """The link ended, or the track: its owner sees to the source."""


@dataclass(slots=True)
class PublishedTrack:
    """A publication of a worker, over the workers that write to it."""

    ref: str
    sid: str
    info: TrackInfo
    source: LocalSource
    streams: list[int] = field(default_factory=list[int])
    """of the present worker's link, one a layer"""
    muted: bool = False
    """by the worker"""

    def attach(self, link: LinkSocket, streams: Sequence[int]) -> None:
        """Let a worker write to it."""
        self.streams = list(streams)
        for layer, stream in enumerate(streams):
            link.open(stream, LayerIntake(self.source, layer))
        self.source.on_keyframe = lambda layer: link.send(
            {"t": "keyframe", "source": streams[layer]}
        )
        self.source.on_demand = lambda layer, wanted: link.send(
            {"t": "demand", "source": streams[layer], "wanted": wanted}
        )

    def detach(self) -> None:
        """Its worker is gone, or does not publish it any more."""
        self.source.on_keyframe = self.source.on_demand = None
        self.streams = []


@dataclass(frozen=True, slots=True)
class GivenTrack:
    """A subscription whose packets go to a worker."""

    track_sid: str
    sink: LinkSink

    @property
    def stream(self) -> int:
        """Stream of the link."""
        return self.sink.stream
