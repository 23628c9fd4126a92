"""A participant whose media is local: what it asks of the plane, the room and its guest."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from roomful.auth.grants import Grants
from roomful.clock import SystemClock
from roomful.errors import MediaError, NotFound, PermissionDenied, ResourceExhausted
from roomful.model.enums import (
    DisconnectReason,
    ParticipantKind,
    TrackKind,
    TrackSource,
    VideoQuality,
)
from roomful.model.events import (
    LifeCycleEvent,
    MuteRequested,
    Notice,
    ParticipantChanged,
    RoomOptions,
    TrackRemoved,
)
from roomful.model.media import LIVE, RECORDING, QueuePolicy, Want
from roomful.model.participant import Participant
from roomful.model.subscription import Subscription, TrackSettings
from roomful.model.track import Publication, TrackInfo, VideoLayer
from roomful.room.door import Door
from roomful.room.factories import Factories, JoinRequest
from roomful.room.local_connection import LocalConnection
from roomful.room.manager import RoomManager
from roomful.room.session import RoomSession

VOICE = TrackInfo("", TrackKind.AUDIO, TrackSource.MICROPHONE, mime_type="audio/opus")
CAMERA = TrackInfo("", TrackKind.VIDEO, TrackSource.CAMERA, mime_type="video/VP8")
LAYERS = (VideoLayer(VideoQuality.LOW, 320, 180), VideoLayer(VideoQuality.HIGH, 1280, 720))


class KeptSource:
    """A source of the plane that keeps what is done with it."""

    on_keyframe = on_demand = on_level = on_ended = None

    def __init__(self) -> None:
        self.muted: list[bool] = []
        self.ends = 0

    def set_muted(self, muted: bool) -> None:
        self.muted.append(muted)

    def end(self) -> None:
        self.ends += 1


@dataclass
class KeptHandle:
    """A sink of the plane that keeps what is done with it."""

    to: object
    queue: QueuePolicy
    wants: list[Want] = field(default_factory=list)
    keyframes: int = 0
    closes: int = 0

    def set(self, want: Want) -> None:
        self.wants.append(want)

    def keyframe(self) -> None:
        self.keyframes += 1

    def close(self) -> None:
        self.closes += 1


class KeptPlane:
    """Makes both."""

    def __init__(self) -> None:
        self.sources: list[tuple[KeptSource, Publication, tuple[VideoLayer, ...], str]] = []
        self.handles: list[KeptHandle] = []
        self.refuse: Exception | None = None

    def source(
        self, publication: Publication, layers: Sequence[VideoLayer] = (), *, fmtp: str = ""
    ) -> KeptSource:
        if self.refuse:
            raise self.refuse
        source = KeptSource()
        self.sources.append((source, publication, tuple(layers), fmtp))
        return source

    def sink(
        self,
        subscription: Subscription,
        to: object,
        want: Want | None = None,
        queue: QueuePolicy = LIVE,
    ) -> KeptHandle:
        if self.refuse:
            raise self.refuse
        handle = KeptHandle(to, queue)
        self.handles.append(handle)
        return handle


class KeptSink(str):
    """A sink by name that counts its ends."""

    ends = 0

    def end(self) -> None:
        self.ends += 1


class Guest:
    """Wants every track, keeps what it is told."""

    queue = RECORDING

    def __init__(self) -> None:
        self.refuses = False
        self.notices: list[Notice] = []
        self.closed: list[DisconnectReason] = []
        self.sinks: list[KeptSink] = []

    def sink_for(self, subscription: Subscription) -> KeptSink | None:
        if self.refuses:
            return None
        self.sinks.append(KeptSink(f"sink of {subscription.track_sid}"))
        return self.sinks[-1]

    def on_notice(self, notice: Notice) -> None:
        self.notices.append(notice)

    def on_close(self, reason: DisconnectReason) -> None:
        self.closed.append(reason)

    def told(self, kind: type[Notice]) -> list[Notice]:
        return [notice for notice in self.notices if isinstance(notice, kind)]


class House:
    """A door, and a plane behind the transport `test`; it is that transport's factory too."""

    transport = "test"
    kinds = frozenset(ParticipantKind)

    def __init__(self) -> None:
        self.log: list[LifeCycleEvent] = []
        self.plane = KeptPlane()
        self.rooms = RoomManager(SystemClock(), RoomOptions(), self.log.append, self._prepare)
        factories = Factories()
        factories.register(self, "testing")
        self.door = Door(self.rooms, factories, SystemClock(), self._check, auto_create=True)

    async def _prepare(self, name: str, options: RoomOptions, grants: Grants | None) -> RoomOptions:
        return options

    async def _check(self, request: JoinRequest) -> None: ...

    async def create(
        self, session: RoomSession, participant: Participant, request: JoinRequest
    ) -> LocalConnection:
        connection = LocalConnection(
            self.plane, session, participant, request.context, max_tracks=2
        )
        connection.begin()
        return connection

    async def join(self, identity: str) -> tuple[LocalConnection, Guest]:
        guest, kind = Guest(), ParticipantKind.STANDARD
        grants = Grants.internal(issuer="t", kind=kind, room="studio", identity=identity)
        request = JoinRequest("test", "studio", identity, grants, context=guest)
        connection = await self.door.join(request)
        assert isinstance(connection, LocalConnection)
        return connection, guest

    @property
    def session(self) -> RoomSession:
        return self.rooms.of("studio")


@pytest.fixture
async def house():
    made = House()
    yield made
    await made.rooms.close(DisconnectReason.SERVER_SHUTDOWN)


async def test_it_is_active_at_once(house: House):
    connection, guest = await house.join("ada")
    assert house.session.participant("ada").info.state.name == "ACTIVE"
    assert connection.participant.identity == "ada"
    assert guest.told(ParticipantChanged)


async def test_a_track_is_published_with_its_codec_and_layers(house: House):
    ada, _ = await house.join("ada")
    sid, source = ada.publish(CAMERA, LAYERS, fmtp="a=1")

    [(made, publication, layers, fmtp)] = house.plane.sources
    info = house.session.participant("ada").publications[sid].info
    assert source is made
    assert (publication.info, layers, fmtp) == (info, LAYERS, "a=1")
    assert sid.startswith("TR_")
    assert (info.simulcast, info.layers) == (True, LAYERS)
    assert [codec.mime_type for codec in info.codecs] == ["video/VP8"]


async def test_loudness_of_a_voice_makes_a_speaker(house: House):
    ada, _ = await house.join("ada")
    _, source = ada.publish(VOICE)
    for _ in range(10):
        source.on_level(-10, 1.0)
    changed = house.session.speakers.changes()
    assert [speaker.participant_sid for speaker in changed] == [ada.participant.sid]


async def test_others_subscribe_and_the_queue_is_the_guests(house: House):
    ada, _ = await house.join("ada")
    bea, _ = await house.join("bea")
    sid, _ = ada.publish(CAMERA)

    [handle] = house.plane.handles
    assert (handle.to, handle.queue) == (f"sink of {sid}", RECORDING)
    bea.want(sid, Want(width=320, height=180))
    bea.keyframe(sid)
    house.session.set_track_settings("bea", sid, TrackSettings(disabled=True))
    assert handle.wants == [Want(width=320, height=180), Want(enabled=False)]
    assert handle.keyframes == 1

    bea.subscribe([sid], False)
    assert handle.closes == 1
    with pytest.raises(NotFound):
        bea.keyframe(sid)
    bea.subscribe([sid], True)
    assert len(house.plane.handles) == 2


async def test_a_guest_may_do_without_a_track(house: House):
    ada, _ = await house.join("ada")
    bea, guest = await house.join("bea")
    guest.refuses = True
    sid, _ = ada.publish(CAMERA)
    assert not house.plane.handles
    with pytest.raises(NotFound):
        bea.want(sid, Want())


async def test_a_track_that_cannot_be_received_ends_its_sink_only(house: House):
    ada, _ = await house.join("ada")
    _, guest = await house.join("bea")
    made = house.plane.source(Publication("ada", "PA_x", CAMERA))
    house.plane.source = lambda *_, **__: made
    house.plane.refuse = MediaError("no source")
    ada.publish(CAMERA)
    assert [sink.ends for sink in guest.sinks] == [1]
    await asyncio.sleep(0)
    assert set(house.session.room.participants) == {"ada", "bea"}


async def test_unpublishing_ends_the_source(house: House):
    ada, guest = await house.join("ada")
    sid, source = ada.publish(CAMERA)
    ada.unpublish(sid)
    assert source.ends == 1
    assert not house.session.participant("ada").publications
    assert not guest.told(TrackRemoved)
    with pytest.raises(NotFound):
        ada.mute(sid, True)


async def test_the_room_may_mute_and_end_a_track(house: House):
    ada, guest = await house.join("ada")
    sid, source = ada.publish(VOICE)
    house.session.mute("ada", sid, True)
    assert source.muted == [True]
    assert guest.told(MuteRequested) == [MuteRequested(sid, True, to="ada")]

    none = replace(ada.participant.permission, can_publish=False)
    house.session.update_participant("ada", permission=none)
    assert source.ends == 1
    assert [notice.track_sid for notice in guest.told(TrackRemoved)] == [sid]


async def test_muting_oneself_is_told_to_all(house: House):
    ada, _ = await house.join("ada")
    sid, source = ada.publish(VOICE)
    ada.mute(sid, True)
    assert source.muted == [True]
    assert house.session.participant("ada").publications[sid].info.muted


async def test_a_source_that_the_plane_ended_is_unpublished(house: House):
    ada, guest = await house.join("ada")
    sid, source = ada.publish(CAMERA)
    source.on_ended("sends too much")
    assert not house.session.participant("ada").publications
    assert [notice.track_sid for notice in guest.told(TrackRemoved)] == [sid]


async def test_refusals_leave_nothing_behind(house: House):
    ada, _ = await house.join("ada")
    house.plane.refuse = MediaError("no such codec")
    with pytest.raises(MediaError):
        ada.publish(CAMERA)
    house.plane.refuse = None
    ada.publish(CAMERA)
    ada.publish(VOICE)
    with pytest.raises(ResourceExhausted):
        ada.publish(CAMERA)
    none = replace(ada.participant.permission, can_publish=False)
    house.session.update_participant("ada", permission=none)
    with pytest.raises(PermissionDenied):
        ada.publish(CAMERA)
    assert len(house.plane.sources) == 2


async def test_leaving_frees_everything_once(house: House):
    ada, guest = await house.join("ada")
    bea, _ = await house.join("bea")
    sid, source = ada.publish(CAMERA)
    bea.publish(VOICE)
    await house.session.remove("ada", DisconnectReason.CLIENT_INITIATED)
    await ada.close(DisconnectReason.CLIENT_INITIATED)
    assert source.ends == 1
    assert [handle.closes for handle in house.plane.handles] == [1, 1]
    assert guest.closed == [DisconnectReason.CLIENT_INITIATED]
    with pytest.raises(NotFound):
        ada.publish(CAMERA)
    with pytest.raises(NotFound):
        ada.subscribe([sid], True)
