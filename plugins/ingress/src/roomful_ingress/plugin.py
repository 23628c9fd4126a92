"""Ingress as a plugin: the API, and inputs found by the hook that it adds."""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import TYPE_CHECKING

from roomful.api.service import RpcService
from roomful.plugin import Plugin, hookimpl
from roomful_ingress import hookspecs
from roomful_ingress.api import IngressService
from roomful_ingress.catalogue import Catalogue
from roomful_ingress.config import IngressConfig
from roomful_ingress.definition import InputType
from roomful_ingress.inputs import Inputs
from roomful_ingress.sessions import Sessions

if TYPE_CHECKING:
    from roomful.server import RoomServer


class IngressPlugin(Plugin[IngressConfig]):
    """Keeps definitions and sessions; media is the inputs' affair."""

    Config = IngressConfig

    def __init__(self, config: IngressConfig | None = None) -> None:
        super().__init__(config)
        self._inputs = Inputs(
            {
                InputType.RTMP: self.config.rtmp_base_url,
                InputType.WHIP: self.config.whip_base_url,
            }
        )
        self._catalogue: Catalogue | None = None
        self._sessions: Sessions | None = None

    @hookimpl
    def hookspecs(self) -> Iterable[ModuleType]:
        return [hookspecs]

    @hookimpl
    def rpc_services(self, server: RoomServer) -> Iterable[RpcService]:
        self._catalogue = Catalogue(server.store, server.clock)
        self._sessions = Sessions(server, self.config, self._catalogue, self._inputs)
        return [IngressService(self._catalogue, self._sessions, self._inputs).service()]

    @hookimpl
    async def startup(self, server: RoomServer) -> None:
        """End what a killed server left live, and let the inputs begin."""
        assert self._catalogue is not None and self._sessions is not None
        await self._catalogue.settle()
        self._inputs.add(server.plugins.offers("ingress_inputs", server=server))
        for one in self._inputs.all():
            await one.start(self._sessions)

    @hookimpl
    async def shutdown(self, server: RoomServer) -> None:
        """Leave no session live; the rooms are closed already."""
        if self._sessions is not None:
            await self._sessions.stop_all("the server is shutting down")
