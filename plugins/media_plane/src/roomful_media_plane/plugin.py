"""Offers the media plane, which the server starts and stops, and participants that are jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomful.plugin import Plugin, hookimpl
from roomful_media_plane.config import MediaPlaneConfig
from roomful_media_plane.job_factory import JobFactory
from roomful_media_plane.media_plane import ServerMediaPlane

if TYPE_CHECKING:
    from roomful.server import RoomServer
    from roomful_media_plane.demo_scene import MediaWorkersScene


class MediaPlanePlugin(Plugin[MediaPlaneConfig]):
    """One UDP port, one engine, one supervisor of workers per server, for every transport."""

    Config = MediaPlaneConfig
    _server: RoomServer

    @hookimpl
    def media_plane(self, server: RoomServer) -> ServerMediaPlane:
        """Make the plane; its ports open when the server starts it."""
        return ServerMediaPlane(
            self.config.plane(server.settings), server.clock, dict(self.config.worker_environment)
        )

    @hookimpl
    def participant_factories(self, server: RoomServer) -> list[JobFactory]:
        """Offer the transport `job`."""
        self._server = server
        return [JobFactory(server)]

    @hookimpl(optionalhook=True)
    def demo_scenes(self) -> list[MediaWorkersScene]:
        """Let workers play in `roomful demo`."""
        from roomful_media_plane.demo_scene import scenes_of

        return scenes_of(self._server)
