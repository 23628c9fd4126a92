"""Offers the media plane; the server starts and stops it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomful.plugin import Plugin, hookimpl
from roomful_media_plane.config import MediaPlaneConfig
from roomful_rtc.plane import Plane

if TYPE_CHECKING:
    from roomful.server import RoomServer


class MediaPlanePlugin(Plugin[MediaPlaneConfig]):
    """One UDP port, one engine and one certificate per server, for every transport."""

    Config = MediaPlaneConfig

    @hookimpl
    def media_plane(self, server: RoomServer) -> Plane:
        """Make the plane; its ports open when the server starts it."""
        return Plane(self.config.plane(server.settings), server.clock)
