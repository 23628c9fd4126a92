"""A whole server with agents and one transport of a test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from livekit import api
from pydantic import SecretStr

from roomful.auth.grants import Grants
from roomful.model.enums import DisconnectReason, ParticipantKind, TrackKind
from roomful.model.events import Notice, PluginEvent
from roomful.model.participant import Participant
from roomful.model.track import Publication, TrackInfo
from roomful.plugin import NoConfig, Plugin, hookimpl
from roomful.plugin.manager import PluginManager
from roomful.room.factories import JoinRequest
from roomful.room.session import RoomSession
from roomful.server import RoomServer
from roomful.settings import LimitsSettings, RoomSettings, Settings
from roomful_agents.config import AgentsConfig
from roomful_agents.plugin import AgentsPlugin

from .worker import WireWorker, worker_token

KEY, SECRET = "devkey", "secret of at least thirty-two bytes"


class Silent:
    """A connection that nobody is at the end of."""

    def deliver(self, notice: Notice) -> None:
        pass

    async def close(self, reason: DisconnectReason) -> None:
        pass


class Transport(Plugin[NoConfig]):
    """Lets participants in who are ACTIVE at once."""

    transport = "test"
    kinds = frozenset({ParticipantKind.STANDARD, ParticipantKind.AGENT})

    @hookimpl
    def participant_factories(self, server: RoomServer) -> list[Any]:
        return [self]

    async def create(
        self, session: RoomSession, participant: Participant, request: JoinRequest
    ) -> Silent:
        session.connect(participant.identity, connection := Silent())
        session.joined(participant.identity)
        session.activate(participant.identity)
        return connection


@dataclass
class House:
    """The server, its workers, and what happened in it."""

    server: RoomServer
    plugin: AgentsPlugin
    stack: AsyncExitStack
    tasks: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])

    @property
    def workers(self) -> list[str]:
        """Ids of those that are registered."""
        pool = self.plugin._made
        return list(pool.dispatcher.workers) if pool else []

    @property
    def http_url(self) -> str:
        return "http" + self.server.url[2:]

    @property
    def client(self) -> api.LiveKitAPI:
        return api.LiveKitAPI(self.http_url, KEY, SECRET)

    async def connect(self, query: str = "", **video: Any) -> WireWorker:
        """A worker that has said nothing yet."""
        http = await self.stack.enter_async_context(aiohttp.ClientSession())
        headers = {"Authorization": f"Bearer {worker_token(KEY, SECRET, **video)}"}
        websocket = await http.ws_connect(f"{self.http_url}/agent{query}", headers=headers)
        self.stack.push_async_callback(websocket.close)
        return WireWorker(websocket)

    async def worker(self, **fields: Any) -> WireWorker:
        """A worker that is registered and available."""
        worker = await self.connect()
        await worker.register(**fields)
        return worker

    def serve(self, worker: WireWorker) -> WireWorker:
        self.tasks.append(asyncio.create_task(worker.serve()))
        return worker

    async def join(self, room: str, identity: str, token: str = "", **grants: Any) -> RoomSession:
        """Somebody joins, by a token where one is given."""
        who = Grants(issuer=KEY, identity=identity, room=room, room_join=True, **grants)
        if token:
            who = await self.server.tokens.verify(token)
        await self.server.join(JoinRequest("test", room, who.identity, who))
        return self.server.rooms.of(room)

    def publish(self, room: str, identity: str, sid: str = "TR_1") -> None:
        session = self.server.rooms.of(room)
        info = TrackInfo(sid, TrackKind.AUDIO, mime_type="audio/opus")
        participant = session.participant(identity)
        session.publish(identity, Publication(identity, participant.sid, info))

    async def dispatches(self, room: str) -> list[Any]:
        async with self.client as client:
            return list(await client.agent_dispatch.list_dispatch(room))

    async def dispatch(self, room: str, agent_name: str = "", **fields: Any) -> Any:
        request = api.CreateAgentDispatchRequest(room=room, agent_name=agent_name, **fields)
        async with self.client as client:
            return await client.agent_dispatch.create_dispatch(request)

    async def events(self) -> list[PluginEvent]:
        """Events of jobs so far."""
        await self.server.events.flush()
        records = await self.server.events.read(0, 1000)
        return [r.event for r in records if isinstance(r.event, PluginEvent)]


async def until(check: Callable[[], bool], within: float = 10.0) -> None:
    async with asyncio.timeout(within):
        while not check():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def open_house(
    data_dir: Path, *, auto_create: bool = True, **config: Any
) -> AsyncIterator[House]:
    manager = PluginManager()
    plugin = AgentsPlugin(AgentsConfig(**config))
    manager.register(plugin, "agents", "roomful-agents", "0")
    manager.register(Transport(), "transport", "third-party", "1")
    manager.finish()
    settings = Settings(
        port=0, data_dir=data_dir, keys={KEY: SecretStr(SECRET)}, mode="dev",
        limits=LimitsSettings(max_cpu=64.0), room=RoomSettings(auto_create=auto_create),
    )  # fmt: skip
    async with RoomServer(settings, plugins=manager) as server, AsyncExitStack() as stack:
        house = House(server, plugin, stack)
        yield house
        for task in house.tasks:
            task.cancel()
        await asyncio.gather(*house.tasks, return_exceptions=True)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path) as opened:
        yield opened
