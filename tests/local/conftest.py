"""A server in this process that takes actors and ordinary clients."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr

from roomful.auth.grants import Grants
from roomful.errors import NotFound
from roomful.model.enums import DisconnectReason, ParticipantKind
from roomful.room.factories import JoinRequest
from roomful.server import RoomServer
from roomful.settings import PluginsSettings, Settings
from roomful_rtc.plane import Plane
from tests.interop import server as outside

from .actor import Actor, ActorFactory, Recorder

ROOM = "stage"


@dataclass(frozen=True, slots=True)
class House:
    """The server, from inside and as clients see it."""

    inside: RoomServer
    door: outside.RoomServer

    @property
    def plane(self) -> Plane:
        assert isinstance(self.inside.media, Plane)
        return self.inside.media

    @asynccontextmanager
    async def actor(
        self, identity: str, *, sink_type: type[Recorder] = Recorder, room: str = ROOM
    ) -> AsyncIterator[Actor]:
        """An actor in the room for as long as the block lasts."""
        actor = Actor(sink_type)
        kind = ParticipantKind.STANDARD
        request = JoinRequest(
            transport="test",
            room=room,
            identity=identity,
            grants=Grants.internal(issuer="test", kind=kind, room=room, identity=identity),
            context=actor,
        )
        connection = await self.inside.join(request)
        assert connection is actor.connection
        try:
            yield actor
        finally:
            actor.stop()
            try:
                await actor.here.session.remove(identity, DisconnectReason.CLIENT_INITIATED)
            except NotFound:
                pass  # the test let it leave

    @property
    def rows(self) -> tuple[int, int]:
        """Ups and downs of the engine."""
        stats = self.plane.engine.stats()
        return len(stats.ups), len(stats.downs)


@asynccontextmanager
async def open_house(data_dir: Path, **rtc: object) -> AsyncIterator[House]:
    """A server with these settings in the table `rtc`."""
    settings = Settings(
        port=0,
        data_dir=data_dir,
        keys={outside.DEV_KEY: SecretStr(outside.DEV_SECRET)},
        mode="dev",
        drain_timeout_s=5,
        plugins=PluginsSettings(enabled=("media_plane", "webrtc")),
        rtc={"udp_port": 0, "tcp_port": 0, **rtc},
    )
    async with RoomServer(settings) as server:
        server.factories.register(ActorFactory(server), "tests")
        yield House(server, outside.RoomServer(server.url))


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path) as opened:
        yield opened
