"""RTMP as a plugin: an input of ingress, a participant factory, and the listener."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from roomful.plugin import Plugin, Service, hookimpl
from roomful.room.factories import ParticipantFactory
from roomful_ingress_rtmp.config import RtmpConfig
from roomful_ingress_rtmp.factory import RtmpFactory
from roomful_ingress_rtmp.listener import RtmpListener

if TYPE_CHECKING:
    from roomful.server import RoomServer
    from roomful_ingress.inputs import IngressInput


class RtmpPlugin(Plugin[RtmpConfig]):
    """Lets encoders in that push RTMP."""

    Config = RtmpConfig

    def __init__(self, config: RtmpConfig | None = None) -> None:
        super().__init__(config)
        self._made: RtmpListener | None = None

    def _listener(self, server: RoomServer) -> RtmpListener:
        if self._made is None:
            self._made = RtmpListener(server, self.config)
        return self._made

    @hookimpl
    def participant_factories(self, server: RoomServer) -> Iterable[ParticipantFactory]:
        return [RtmpFactory(server)]

    @hookimpl
    def services(self, server: RoomServer) -> Iterable[Service]:
        return [self._listener(server)]

    @hookimpl(optionalhook=True)
    def ingress_inputs(self, server: RoomServer) -> Iterable[IngressInput]:
        return [self._listener(server)]
