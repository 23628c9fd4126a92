"""A room's worth of events, and a clock that stands still."""

from dataclasses import dataclass, field, replace

import pytest

from roomful.model.enums import (
    DisconnectReason,
    ParticipantKind,
    ParticipantState,
    TrackKind,
    TrackSource,
    VideoQuality,
)
from roomful.model.events import (
    LifeCycleEvent,
    ParticipantConnectionAborted,
    ParticipantJoined,
    ParticipantLeft,
    PluginEvent,
    RoomFinished,
    RoomInfo,
    RoomOptions,
    RoomStarted,
    TrackPublished,
    TrackUnpublished,
)
from roomful.model.participant import ParticipantInfo
from roomful.model.permission import Permission
from roomful.model.track import TrackCodec, TrackInfo, VideoLayer


@dataclass
class StoppedClock:
    now_ms: int = 1_800_000_000_000

    def monotonic(self) -> float:
        return 0.0

    def wall_ms(self) -> int:
        return self.now_ms


@dataclass
class Scene:
    """Makes events of one room; `alice` publishes `camera`."""

    name: str = "main"
    room: RoomInfo = field(init=False)
    track: TrackInfo = field(init=False)

    def __post_init__(self) -> None:
        options = RoomOptions(tags={"a": "b"}, agents=({"agentName": "x"},), egress={"room": {}})
        self.room = RoomInfo(f"RM_{self.name}", self.name, options, "m\N{SNOWMAN}", 5)
        layers = (VideoLayer(VideoQuality.LOW, 320, 180, rid="q"),)
        self.track = TrackInfo(
            f"TR_{self.name}",
            TrackKind.VIDEO,
            TrackSource.CAMERA,
            layers=layers,
            codecs=(TrackCodec("video/VP8", layers=layers),),
            audio_features=(1, 2),
        )

    def person(self, identity: str = "alice", *, publishes: bool = False) -> ParticipantInfo:
        return ParticipantInfo(
            sid=f"PA_{self.name}_{identity}",
            identity=identity,
            name="A",
            kind=ParticipantKind.SIP,
            state=ParticipantState.ACTIVE,
            metadata="",
            attributes={"k": "v"},
            permission=Permission(can_publish_sources=(TrackSource.CAMERA,)),
            joined_at_ms=7,
            version=3,
            tracks=(self.track,) if publishes else (),
            capabilities=(1,),
        )

    def started(self) -> RoomStarted:
        return RoomStarted(self.room)

    def finished(self) -> RoomFinished:
        return RoomFinished(self.room, DisconnectReason.ROOM_CLOSED)

    def joined(self, identity: str = "alice") -> ParticipantJoined:
        return ParticipantJoined(replace(self.room, num_participants=1), self.person(identity))

    def left(self, identity: str = "alice") -> ParticipantLeft:
        return ParticipantLeft(self.room, self.person(identity))

    def aborted(self, identity: str = "alice") -> ParticipantConnectionAborted:
        return ParticipantConnectionAborted(self.room, self.person(identity))

    def published(self, identity: str = "alice") -> TrackPublished:
        return TrackPublished(self.room, self.person(identity, publishes=True), self.track)

    def unpublished(self, identity: str = "alice") -> TrackUnpublished:
        return TrackUnpublished(self.room, self.person(identity), self.track)

    def plugin(self) -> PluginEvent:
        return PluginEvent("egress_started", self.room, {"egressInfo": {"egressId": "EG_1"}})

    def every(self) -> list[LifeCycleEvent]:
        return [
            self.started(),
            self.joined(),
            self.published(),
            self.unpublished(),
            self.left(),
            self.aborted(),
            self.plugin(),
            PluginEvent("node_event", None, {}),
            self.finished(),
        ]


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def other_scene() -> Scene:
    return Scene("other")


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()
