"""Agents as a plugin: the workers' socket, the API, and what rooms do by themselves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from aiohttp import web

from roomful.api.service import RpcService
from roomful.model.events import LifeCycleEvent, RoomOptions
from roomful.plugin import Plugin, Service, hookimpl
from roomful_agents.api import DispatchService
from roomful_agents.config import AgentsConfig
from roomful_agents.endpoint import Endpoint
from roomful_agents.pool import Pool
from roomful_agents.validation import specs_of

if TYPE_CHECKING:
    from roomful.server import RoomServer


class AgentsPlugin(Plugin[AgentsConfig]):
    """Sends agents to rooms; agents themselves come in as every participant does."""

    Config = AgentsConfig

    def __init__(self, config: AgentsConfig | None = None) -> None:
        super().__init__(config)
        self._made: Pool | None = None

    @hookimpl
    def services(self, server: RoomServer) -> Iterable[Service]:
        return [self._pool(server)]

    @hookimpl
    def routes(self, server: RoomServer) -> Iterable[web.RouteDef]:
        return Endpoint(server, self._pool(server)).routes()

    @hookimpl
    def rpc_services(self, server: RoomServer) -> Iterable[RpcService]:
        return [DispatchService(server, self._pool(server)).service()]

    @hookimpl
    def prepare_room(self, options: RoomOptions) -> None:
        """Refuse a room whose dispatches cannot be made."""
        specs_of(options)

    @hookimpl
    def on_event(self, event: LifeCycleEvent) -> None:
        if self._made is not None:
            self._made.note(event)

    def _pool(self, server: RoomServer) -> Pool:
        if self._made is None:
            self._made = Pool(server, self.config.join_timeout_s)
        return self._made
