"""A real application over fakes: rooms are real, transports only remember."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import jwt
import pytest
from aiohttp import web
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from roomful.api.app import create_app, create_runner
from roomful.auth.grants import Grants
from roomful.auth.token import Tokens
from roomful.clock import SystemClock
from roomful.ids import PARTICIPANT, new_sid
from roomful.limits import Limits
from roomful.model.enums import DisconnectReason, ParticipantKind, TrackKind, TrackSource
from roomful.model.events import LifeCycleEvent, Notice, RoomOptions
from roomful.model.participant import Participant
from roomful.model.permission import Permission
from roomful.model.track import Publication, TrackInfo
from roomful.plugin.manager import Offers, PluginManager
from roomful.room.manager import RoomManager
from roomful.room.session import RoomSession
from roomful.settings import Settings

KEY, SECRET = "key", "a secret of at least thirty-two bytes"


@dataclass
class Remembering:
    """A connection that keeps what it is told; `answer` sees every notice."""

    told: list[Notice] = field(default_factory=list)
    closed: list[DisconnectReason] = field(default_factory=list)
    answer: Any = None

    def deliver(self, notice: Notice) -> None:
        self.told.append(notice)
        if self.answer:
            self.answer(notice)

    async def close(self, reason: DisconnectReason) -> None:
        self.closed.append(reason)


class FakeServer:
    """What the API uses of a server."""

    def __init__(self, tmp_path, **settings: Any) -> None:
        self.settings = Settings(data_dir=tmp_path, keys={KEY: SECRET}, **settings)
        self.clock = SystemClock()
        self.events: list[LifeCycleEvent] = []
        self.plugins = PluginManager()
        self.limits = Limits(1.0, self.clock)
        self.tokens = Tokens({KEY: SECRET})
        self.rooms = RoomManager(
            self.clock, RoomOptions(empty_timeout_s=77), self.events.append, self._prepare
        )

    async def _prepare(self, name: str, options: RoomOptions, grants: Grants | None) -> RoomOptions:
        return options

    async def enter(
        self, room: str, identity: str, permission: Permission | None = None,
        kind: ParticipantKind = ParticipantKind.STANDARD,
    ) -> tuple[RoomSession, Remembering]:  # fmt: skip
        """Put an ACTIVE participant into a room."""
        session = await self.rooms.get_or_create(room)
        participant = Participant(
            new_sid(PARTICIPANT), identity, kind, permission or Permission(), self.clock.wall_ms()
        )
        session.enter(participant)
        connection = Remembering()
        session.connect(identity, connection)
        session.joined(identity)
        session.activate(identity)
        return session, connection


def publish(session: RoomSession, identity: str, sid: str = "TR_AM1") -> None:
    """Publish a microphone."""
    participant = session.participant(identity)
    info = TrackInfo(sid, TrackKind.AUDIO, TrackSource.MICROPHONE, mime_type="audio/opus")
    session.publish(identity, Publication(identity, participant.sid, info))


def signed(video: dict[str, Any] | None = None, **claims: Any) -> str:
    """A token with these video grants."""
    full = {"iss": KEY, "sub": "me", "exp": int(time.time()) + 600, "video": video or {}, **claims}
    return jwt.encode({k: v for k, v in full.items() if v is not None}, SECRET)


ADMIN = {"roomCreate": True, "roomList": True, "roomAdmin": True, "room": "main"}


@dataclass
class Api:
    """A running application and a way to call it."""

    server: FakeServer
    app: web.Application
    port: int
    session: aiohttp.ClientSession

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def call(
        self, method: str, body: Message | dict[str, Any] | bytes = b"{}",
        token: str | None = "", path: str = "/twirp/livekit.RoomService/", **headers: str,
    ) -> tuple[int, Any]:  # fmt: skip
        """Call a method in JSON; return status and body."""
        if token == "":
            token = signed(ADMIN)
        if token:
            headers = {"Authorization": f"Bearer {token}", **headers}
        if isinstance(body, Message):
            body = MessageToDict(body)
        headers.setdefault("Content-Type", "application/json")
        sent = {"data": body} if isinstance(body, bytes) else {"json": body}
        async with self.session.post(self.url + path + method, headers=headers, **sent) as response:
            assert response.content_type == "application/json"
            return response.status, await response.json()


NO_OFFERS = Offers((), (), (), (), ())


@pytest.fixture
async def make_api(tmp_path):
    """Start an application with plugins' offers and settings; several may run."""
    runners, sessions = [], []

    async def make(offers: Offers = NO_OFFERS, **settings: Any) -> Api:
        server = FakeServer(tmp_path, **settings)
        app = create_app(server, offers)
        runner = create_runner(app)
        runners.append((runner, server))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        session = aiohttp.ClientSession()
        sessions.append(session)
        return Api(server, app, runner.addresses[0][1], session)

    yield make
    for session in sessions:
        await session.close()
    for runner, server in runners:
        await server.rooms.close(DisconnectReason.SERVER_SHUTDOWN)
        await runner.cleanup()


@pytest.fixture
async def api(make_api) -> AsyncIterator[Api]:
    return await make_api()
