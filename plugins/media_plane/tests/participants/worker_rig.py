"""A real room with a participant whose worker is a fake link, on a plane that keeps what it does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from roomful.clock import SystemClock
from roomful.errors import LocalProtocolError
from roomful.ids import PARTICIPANT, TRACK, new_sid
from roomful.model.enums import (
    DisconnectReason,
    ParticipantKind,
    ParticipantState,
    TrackKind,
    TrackSource,
)
from roomful.model.events import LifeCycleEvent, Notice, RoomOptions
from roomful.model.media import LIVE, QueuePolicy, Want
from roomful.model.participant import Participant
from roomful.model.permission import Permission
from roomful.model.room import Room
from roomful.model.subscription import Subscription
from roomful.model.track import Publication, TrackInfo, VideoLayer
from roomful.room.local_connection import LocalConnection
from roomful.room.session import RoomSession
from roomful_media_plane.worker_participant import WorkerParticipant
from roomful_rtc.link.control import control_record

MAX_TRACKS = 3
VOICE = {
    "t": "publish", "ref": "voice", "kind": "audio", "mime": "audio/opus",
    "source": "microphone", "name": "tone",
}  # fmt: skip
FILM = {
    "t": "publish", "ref": "film", "kind": "video", "mime": "video/VP8",
    "source": "camera", "name": "bars",
    "layers": [
        {"rid": "q", "width": 160, "height": 90, "bitrate_bps": 100_000},
        {"rid": "h", "width": 320, "height": 180, "bitrate_bps": 300_000},
    ],
}  # fmt: skip


class KeptSource:
    """A source of the plane that keeps what is done with it."""

    on_level = on_ended = None

    def __init__(self) -> None:
        self.on_keyframe: Callable[[int], None] | None = None
        self.on_demand: Callable[[int, bool], None] | None = None
        self.calls: list[tuple[Any, ...]] = []
        self.refuse: Exception | None = None

    def write(self, packet: memoryview, arrival_ns: int, layer: int = 0) -> None:
        self.calls.append(("write", bytes(packet), arrival_ns, layer))

    def clock(self, rtp_ts: int, ntp: int, arrival_ns: int, layer: int = 0) -> None:
        self.calls.append(("clock", rtp_ts, ntp, arrival_ns, layer))

    def gap(self, count: int, reason: int, layer: int = 0) -> None:
        self.calls.append(("gap", count, reason, layer))

    def set_muted(self, muted: bool) -> None:
        self.calls.append(("muted", muted))

    def restart(self) -> None:
        if self.refuse:
            raise self.refuse
        self.calls.append(("restart",))

    def end(self) -> None:
        self.calls.append(("end",))


@dataclass
class KeptHandle:
    """A sink of the plane that keeps what is done with it."""

    to: KeptLinkSink
    wants: list[Want] = field(default_factory=list)
    keyframes: int = 0

    def set(self, want: Want) -> None:
        self.wants.append(want)

    def keyframe(self) -> None:
        self.keyframes += 1

    def close(self) -> None:
        self.to.end()


class KeptPlane:
    """Makes both."""

    def __init__(self) -> None:
        self.sources: list[KeptSource] = []
        self.layers: list[Sequence[VideoLayer]] = []
        self.handles: dict[str, KeptHandle] = {}
        self.refuse: Exception | None = None

    def source(
        self, publication: Publication, layers: Sequence[VideoLayer] = (), *, fmtp: str = ""
    ) -> KeptSource:
        if self.refuse:
            raise self.refuse
        self.sources.append(KeptSource())
        self.layers.append(layers)
        return self.sources[-1]

    def sink(
        self,
        subscription: Subscription,
        to: KeptLinkSink,
        want: Want | None = None,
        queue: QueuePolicy = LIVE,
    ) -> KeptHandle:
        if self.refuse:
            raise self.refuse
        handle = self.handles[subscription.track_sid] = KeptHandle(to)
        return handle


class KeptLinkSink:
    """The stream of a track on its way to a worker."""

    def __init__(self, link: KeptLink, stream: int, ask_key_frame: Callable[[], None]) -> None:
        self.link, self.stream, self.ask_key_frame = link, stream, ask_key_frame

    def end(self) -> None:
        self.link.send({"t": "track_ended", "sink": self.stream})


class KeptLink:
    """A link whose worker is the test."""

    def __init__(self) -> None:
        self.heard_at = 1000.0
        self.told: list[dict[str, Any]] = []
        self.streams: dict[int, Any] = {}
        self.closed_streams: list[int] = []

    def send(self, message: dict[str, Any], stream: int = 0) -> None:
        control_record(message, stream)  # refuses what is no message, or too long
        self.told.append(message)

    def sink(self, stream: int, *, codec: str, ask_key_frame: Callable[[], None]) -> KeptLinkSink:
        return KeptLinkSink(self, stream, ask_key_frame)

    def open(self, stream: int, consumer: object) -> None:
        if stream in self.streams:
            raise LocalProtocolError(f"stream {stream} is open")
        self.streams[stream] = consumer

    def close_stream(self, stream: int) -> None:
        self.streams.pop(stream, None)
        self.closed_streams.append(stream)

    def of(self, kind: str) -> list[dict[str, Any]]:
        """What was told of this kind."""
        return [message for message in self.told if message["t"] == kind]


class KeptJob:
    """A job that keeps why it was asked to stop."""

    def __init__(self) -> None:
        self.stops: list[str] = []

    def ask_to_stop(self, deadline_s: float, reason: str) -> None:
        self.stops.append(reason)


class Ears:
    """The connection of somebody else: keeps what it is told."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []

    def deliver(self, notice: Notice) -> None:
        self.notices.append(notice)

    async def close(self, reason: DisconnectReason) -> None: ...


class Stage:
    """A room; `worker` is the participant under test, `job` its job."""

    def __init__(self, *, auto_subscribe: bool = False) -> None:
        self.log: list[LifeCycleEvent] = []
        room = Room("RM_1", "stage", RoomOptions(), 0)
        self.session = RoomSession(room, SystemClock(), self.log.append, lambda _: None)
        self.plane, self.job = KeptPlane(), KeptJob()
        self.worker = WorkerParticipant(LIVE)
        self.me = _participant("worker", Permission(), auto_subscribe=auto_subscribe)
        self.session.enter(self.me)
        self.connection = self.worker.connection = LocalConnection(
            cast(Any, self.plane), self.session, self.me, self.worker, max_tracks=MAX_TRACKS
        )

    def start(self) -> KeptLink:
        """A worker is ready."""
        link = KeptLink()
        self.worker.on_ready(cast(Any, link))
        return link

    def running(self) -> KeptLink:
        """A worker is ready, and the factory knows its job."""
        link = self.start()
        self.worker.embody(cast(Any, self.job))
        return link

    def lose(self) -> None:
        """The worker dies."""
        self.worker.on_lost()

    def say(self, kind: str, **fields: Any) -> bool:
        """The worker says something."""
        return self.worker.on_control({"t": kind, **fields}, 0)

    def publish(self, link: KeptLink, message: dict[str, Any], **changed: Any) -> dict[str, Any]:
        """The worker publishes; return the answer."""
        self.worker.on_control({**message, **changed}, 0)
        return [m for m in link.told if m["t"] in ("published", "refused")][-1]

    def enter(self, identity: str, **permission: Any) -> Participant:
        """Somebody else comes."""
        somebody = _participant(identity, Permission(**permission))
        self.session.enter(somebody)
        self.session.connect(identity, cast(Any, Ears()))
        self.session.joined(identity)
        self.session.activate(identity)
        return somebody

    def offer(self, identity: str, info: TrackInfo | None = None, **changed: Any) -> str:
        """Somebody else publishes a voice, or something else; return the SID."""
        voice = TrackInfo("", TrackKind.AUDIO, TrackSource.MICROPHONE, "v", "audio/opus")
        info = replace(info or voice, sid=new_sid(TRACK), **changed)
        who = self.session.participant(identity)
        self.session.publish(identity, Publication(identity, who.sid, info))
        return info.sid

    def offer_film(self, identity: str, **changed: Any) -> str:
        """Somebody else publishes a film."""
        film = TrackInfo("", TrackKind.VIDEO, TrackSource.CAMERA, "f", "video/VP8")
        return self.offer(identity, film, **changed)

    @property
    def is_here(self) -> bool:
        return self.session.is_live(self.me) and self.me.state is ParticipantState.ACTIVE

    def info(self, sid: str) -> TrackInfo:
        """A track of the worker as the room knows it."""
        return self.me.publications[sid].info


def _participant(
    identity: str, permission: Permission, *, auto_subscribe: bool = True
) -> Participant:
    kind = ParticipantKind.STANDARD
    sid = new_sid(PARTICIPANT)
    return Participant(sid, identity, kind, permission, 0, auto_subscribe=auto_subscribe)
