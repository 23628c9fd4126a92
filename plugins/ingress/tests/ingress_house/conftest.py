"""A whole server with ingress and one input of a test, as a third party would write it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from livekit import api
from pydantic import SecretStr

from roomful.model.enums import DisconnectReason, ParticipantKind, TrackKind
from roomful.model.events import Notice, PluginEvent
from roomful.model.participant import Participant
from roomful.model.track import Publication, TrackInfo
from roomful.plugin import NoConfig, Plugin, hookimpl
from roomful.plugin.manager import PluginManager
from roomful.room.factories import JoinRequest
from roomful.room.session import RoomSession
from roomful.server import RoomServer
from roomful.settings import LimitsSettings, Settings
from roomful_ingress.config import IngressConfig
from roomful_ingress.plugin import IngressPlugin

KEY, SECRET = "devkey", "secret of at least thirty-two bytes"


@dataclass
class Encoder:
    """A publisher, and the connection of its participant."""

    server: RoomServer
    media_at: float = 0.0
    stopped: list[str] = field(default_factory=list)
    closed: list[DisconnectReason] = field(default_factory=list)
    session: Any = None
    room: RoomSession | None = None
    participant: Participant | None = None

    def last_media_at(self) -> float:
        return self.media_at

    async def stop(self, reason: str) -> None:
        self.stopped.append(reason)

    def deliver(self, notice: Notice) -> None:
        pass

    async def close(self, reason: DisconnectReason) -> None:
        self.closed.append(reason)
        await self.session.end()

    async def publish(self) -> None:
        """Bring a track into the room."""
        assert self.room is not None and self.participant is not None
        info = TrackInfo(f"TR_{self.session.resource_id}", TrackKind.VIDEO, mime_type="video/H264")
        identity = self.participant.identity
        self.room.publish(identity, Publication(identity, self.participant.sid, info))
        await self.session.publishing()


class ThirdParty(Plugin[NoConfig]):
    """Brings an input for RTMP without importing ingress."""

    def __init__(self) -> None:
        super().__init__(NoConfig())
        self.types, self.transport = (0,), "fake"
        self.kinds = frozenset({ParticipantKind.INGRESS})
        self.sessions: Any = None

    @hookimpl
    def ingress_inputs(self, server: RoomServer) -> list[Any]:
        return [self]

    @hookimpl
    def participant_factories(self, server: RoomServer) -> list[Any]:
        return [self]

    def url(self) -> str:
        return "rtmp://127.0.0.1:1935/live"

    async def start(self, sessions: Any) -> None:
        self.sessions = sessions

    async def create(
        self, session: RoomSession, participant: Participant, request: JoinRequest
    ) -> Encoder:
        encoder = request.context
        assert isinstance(encoder, Encoder)
        encoder.room, encoder.participant = session, participant
        session.connect(participant.identity, encoder)
        session.joined(participant.identity)
        session.activate(participant.identity)
        return encoder


@dataclass
class House:
    """The server and what happened in it."""

    server: RoomServer
    third: ThirdParty

    @property
    def client(self) -> api.LiveKitAPI:
        return api.LiveKitAPI("http" + self.server.url[2:], KEY, SECRET)

    async def define(self, **fields: Any) -> api.IngressInfo:
        """Create an RTMP ingress."""
        fields = {"room_name": "studio", "participant_identity": "camera"} | fields
        async with self.client as client:
            return await client.ingress.create_ingress(api.CreateIngressRequest(**fields))

    async def look(self, ingress_id: str) -> api.IngressInfo:
        """The ingress as the API shows it."""
        async with self.client as client:
            found = await client.ingress.list_ingress(api.ListIngressRequest(ingress_id=ingress_id))
        return found.items[0]

    async def encoder(self, stream_key: str, *, publish: bool = True) -> Encoder:
        """A publisher that is in the room."""
        encoder = Encoder(self.server, self.server.clock.monotonic() + 3600)
        encoder.session = await self.third.sessions.open(stream_key, 0, encoder, 0.01)
        await encoder.session.join("fake", encoder)
        if publish:
            await encoder.publish()
        return encoder

    async def webhooks(self) -> list[PluginEvent]:
        """Events that plugins added so far."""
        await self.server.events.flush()
        records = await self.server.events.read(0, 1000)
        return [r.event for r in records if isinstance(r.event, PluginEvent)]


@asynccontextmanager
async def open_house(data_dir: Path, **config: Any) -> AsyncIterator[House]:
    manager, third = PluginManager(), ThirdParty()
    manager.register(IngressPlugin(IngressConfig(**config)), "ingress", "roomful-ingress", "0")
    manager.register(third, "third", "third-party", "1")
    manager.finish()
    settings = Settings(
        port=0, data_dir=data_dir, keys={KEY: SecretStr(SECRET)}, mode="dev",
        limits=LimitsSettings(max_cpu=64.0),
    )  # fmt: skip
    async with RoomServer(settings, plugins=manager) as server:
        yield House(server, third)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path) as opened:
        yield opened
