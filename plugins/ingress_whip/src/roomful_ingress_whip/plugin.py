"""WHIP as a plugin: an input of ingress, a participant factory, and HTTP routes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from aiohttp import web

from roomful.plugin import Plugin, Service, hookimpl
from roomful.room.factories import ParticipantFactory
from roomful_ingress_whip.config import WhipConfig
from roomful_ingress_whip.factory import WhipFactory
from roomful_ingress_whip.publishers import Publishers
from roomful_ingress_whip.routes import Routes

if TYPE_CHECKING:
    from roomful.server import RoomServer
    from roomful_ingress.inputs import IngressInput


class WhipPlugin(Plugin[WhipConfig]):
    """Lets WebRTC sources in that negotiate over HTTP."""

    Config = WhipConfig

    def __init__(self, config: WhipConfig | None = None) -> None:
        super().__init__(config)
        self._made: Publishers | None = None

    def _publishers(self, server: RoomServer) -> Publishers:
        if self._made is None:
            self._made = Publishers(server, self.config)
        return self._made

    @hookimpl
    def participant_factories(self, server: RoomServer) -> Iterable[ParticipantFactory]:
        return [WhipFactory(server)]

    @hookimpl
    def services(self, server: RoomServer) -> Iterable[Service]:
        return [self._publishers(server)]

    @hookimpl
    def routes(self, server: RoomServer) -> Iterable[web.RouteDef]:
        return list(Routes(server, self._publishers(server), self.config).routes())

    @hookimpl(optionalhook=True)
    def ingress_inputs(self, server: RoomServer) -> Iterable[IngressInput]:
        return [self._publishers(server)]
