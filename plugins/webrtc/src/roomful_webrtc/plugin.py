"""The WebRTC transport as a plugin: a participant factory and the signalling routes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from aiohttp import web

from roomful.plugin import NoConfig, Plugin, hookimpl
from roomful.room.factories import ParticipantFactory
from roomful_webrtc.endpoint import Endpoint
from roomful_webrtc.factory import WebRtcFactory
from roomful_webrtc.services import Services

if TYPE_CHECKING:
    from roomful.server import RoomServer


class WebRtcPlugin(Plugin[NoConfig]):
    """Has no settings of its own: ports and ICE servers are the media plane's (`[rtc]`)."""

    @hookimpl
    def participant_factories(self, server: RoomServer) -> Iterable[ParticipantFactory]:
        return [WebRtcFactory(Services(server))]

    @hookimpl
    def routes(self, server: RoomServer) -> Iterable[web.RouteDef]:
        return list(Endpoint(Services(server)).routes())
