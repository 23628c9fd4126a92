"""How one track of a publisher gets into the room: as it is, or through a media worker."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from roomful.errors import NotFound, RoomfulError
from roomful.limits import Lease
from roomful.model.media import LocalSource
from roomful.model.track import TrackInfo, VideoLayer
from roomful.room.local_connection import LocalConnection
from roomful_ingress_rtmp.clockwork import Clockwork
from roomful_ingress_rtmp.messages import FIRST_OUT, FRAMES_IN, JOB, Work
from roomful_media.job import Job, JobExit, JobSpec
from roomful_media.link_socket import LinkSocket
from roomful_media.send import TrackSender
from roomful_media.worker_exit import EndReason
from roomful_rtc.link import vocabulary
from roomful_rtc.link.control import Message
from roomful_rtc.link.record import Frame
from roomful_rtc.link.sink import LinkSink

log = logging.getLogger(__name__)

PENDING_BYTES, PENDING_US = 4 << 20, 4_000_000
"""frames that wait for a worker to come up, from a key frame on"""
STOP_S = 2.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One encoded frame with its times on CLOCK_MONOTONIC."""

    data: bytes
    pts_us: int
    dts_us: int
    is_key: bool


@dataclass(frozen=True, slots=True)
class Offered:
    """What is published for a track."""

    info: TrackInfo
    layers: tuple[VideoLayer, ...] = ()
    """of simulcast, lowest first; none: one stream"""
    fmtp: str = ""


class Owner(Protocol):
    """Whose track it is."""

    def on_published(self) -> None:
        """The track is in the room."""
        ...

    def on_track_failed(self, error: str) -> None:
        """It cannot go on."""
        ...


class Track(Protocol):
    """What a publisher does with either kind."""

    sid: str

    def configure(self, codec: str, data: bytes) -> None: ...

    def send(self, sample: Sample) -> None: ...

    def stop(self) -> None:
        """Free everything but the publication."""
        ...


class PlainTrack:
    """Frames as they are, packetised here. Raises `RoomfulError` where it cannot be published."""

    def __init__(
        self, connection: LocalConnection, offered: Offered, codec: str, rate: int, times: Clockwork
    ) -> None:
        self._times = times
        self.sid, source = connection.publish(offered.info, offered.layers, fmtp=offered.fmtp)
        self._sender = TrackSender(codec, rate, source, times.ntp_offset_us)

    def configure(self, codec: str, data: bytes) -> None:
        """Nothing: parameter sets go with the key frames."""

    def send(self, sample: Sample) -> None:
        """Publish one frame; H.264 with start codes. Raises `MediaError`."""
        self._sender.send(sample.data, sample.pts_us, self._times.now_ns)

    def stop(self) -> None:
        """Nothing is held."""


class Jobs(Protocol):
    """The part of the media plane that runs media workers."""

    async def start_job(
        self,
        spec: JobSpec,
        user: Any = None,
        lease: Lease | None = None,
        on_end: Callable[[JobExit], None] | None = None,
    ) -> Job: ...


class WorkerTrack:
    """A track that a media worker encodes anew. Answers to `LinkUser`."""

    def __init__(
        self, connection: LocalConnection, offered: Offered, work: Work, owner: Owner,
        times: Clockwork,
    ) -> None:  # fmt: skip
        self._connection, self._offered, self._work = connection, offered, work
        self._owner, self._times = owner, times
        self.sid = ""
        self._source: LocalSource | None = None
        self._link: LinkSocket | None = None
        self._frames: LinkSink | None = None
        self._job: Job | None = None
        self._stopped = False
        self._config: tuple[int, str, bytes] | None = None
        self._pending: deque[Frame] = deque()
        """bounded by `PENDING_BYTES` and `PENDING_US`"""
        self._pending_bytes = 0

    async def start(self, jobs: Jobs, job_id: str, lease: Lease) -> None:
        """Start the job; the track is published when its worker listens."""
        spec = JobSpec(
            JOB, job_id, self._work.spec(), room=self._connection.session.name,
            participant=self._connection.participant.identity,
        )  # fmt: skip
        try:
            self._job = await jobs.start_job(spec, self, lease, self._on_end)
        except RoomfulError as error:
            if not self._stopped:
                self._owner.on_track_failed(f"transcoder failed: {error.message}")
            return
        if self._stopped:
            self._job.ask_to_stop(STOP_S, "the publisher is gone")

    # --- the publisher -----------------------------------------------------------------------

    def configure(self, codec: str, data: bytes) -> None:
        """Say how the frames that follow are decoded."""
        number = self._config[0] + 1 if self._config else 1
        self._config = (number, codec, data)
        self._send_config()

    def send(self, sample: Sample) -> None:
        """Give a frame to the worker, or keep it for one that is coming up."""
        number = self._config[0] if self._config else 0
        frame = Frame(
            sample.data, self._times.now_ns, sample.pts_us, sample.dts_us, number, sample.is_key
        )
        if self._frames is not None:
            self._frames.frame(frame)
        elif not self._stopped:
            self._keep(frame)

    def stop(self) -> None:
        """End the job."""
        self._stopped = True
        self._pending.clear()
        if self._job is not None:
            self._job.ask_to_stop(STOP_S, "the publisher is gone")

    def _keep(self, frame: Frame) -> None:
        if frame.key and self._work.kind == "video":
            self._pending.clear()
            self._pending_bytes = 0
        self._pending.append(frame)
        self._pending_bytes += len(frame.payload)
        while self._pending and (
            self._pending_bytes > PENDING_BYTES
            or frame.dts_us - self._pending[0].dts_us > PENDING_US
        ):
            self._pending_bytes -= len(self._pending.popleft().payload)

    # --- LinkUser ----------------------------------------------------------------------------

    def on_ready(self, link: LinkSocket) -> None:
        """A worker listens: publish, or let another worker go on."""
        if self._stopped:
            return
        try:
            source = self._opened()
        except RoomfulError as error:
            self._owner.on_track_failed(f"the track cannot be published: {error.message}")
            return
        self._link = link
        for layer in range(len(self._work.layers) or 1):
            link.open(FIRST_OUT + layer, _Intake(source, layer))
        self._frames = link.sink(FRAMES_IN, video=self._work.kind == "video")
        self._send_config()
        while self._pending:
            self._frames.frame(self._pending.popleft()._replace(arrival_ns=self._times.now_ns))
        self._pending_bytes = 0

    def on_control(self, message: Message, stream: int) -> bool:
        """Nothing that a transcoder says needs an answer."""
        return True

    def on_lost(self) -> None:
        """The worker is gone; another may come."""
        self._link = self._frames = None
        if not self._stopped and self.sid:
            try:
                self._connection.mute(self.sid, True)
            except NotFound:
                self.sid = ""

    def _opened(self) -> LocalSource:
        if self._source is not None:
            self._source.restart()
            self._connection.mute(self.sid, False)
            return self._source
        offered = self._offered
        self.sid, source = self._connection.publish(offered.info, offered.layers, fmtp=offered.fmtp)
        source.on_keyframe, source.on_demand = self._ask_key_frame, self._demand
        self._source = source
        self._owner.on_published()
        return source

    def _send_config(self) -> None:
        if self._link is not None and self._config is not None:
            self._link.send(vocabulary.config(FRAMES_IN, *self._config))

    def _ask_key_frame(self, layer: int) -> None:
        if self._link is not None:
            self._link.send({"t": "keyframe", "source": layer})

    def _demand(self, layer: int, wanted: bool) -> None:
        if self._link is not None:
            self._link.send({"t": "demand", "source": layer, "wanted": wanted})

    def _on_end(self, exit_: JobExit) -> None:
        if not self._stopped and exit_.reason is not EndReason.STOPPED:
            self._owner.on_track_failed(f"transcoder failed: {exit_.detail}")


class _Intake:
    """Hands what a worker made to one layer of a publication. Answers to `StreamConsumer`."""

    def __init__(self, source: LocalSource, layer: int) -> None:
        self._source, self._layer = source, layer

    def write(self, packet: memoryview, arrival_ns: int) -> None:
        self._source.write(packet, arrival_ns, self._layer)

    def clock(self, rtp_ts: int, ntp: int, arrival_ns: int) -> None:
        self._source.clock(rtp_ts, ntp, arrival_ns, self._layer)

    def gap(self, count: int, reason: int) -> None:
        self._source.gap(count, reason, self._layer)

    def frame(self, frame: Frame) -> None:
        """Nothing: publications are packets."""

    def end(self) -> None:
        """Its owner sees to the source."""
