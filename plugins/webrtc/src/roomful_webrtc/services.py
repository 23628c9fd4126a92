"""What of the server every connection of this transport needs."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from livekit.protocol import rtc

from roomful.clock import Clock
from roomful.room.session import RoomSession
from roomful.token_bucket import TokenBucket
from roomful_rtc.plane import Plane
from roomful_webrtc.description import DescriptionReader
from roomful_webrtc.fan_out import FanOut

if TYPE_CHECKING:
    from roomful.server import RoomServer


BROADCAST_BYTES_PER_S, BROADCAST_BURST = 10_000_000, 20_000_000
"""of metadata that a room's members change, each byte counted once for every reader"""


class Services:
    """The server as this plugin uses it; made once the media plane stands."""

    def __init__(self, server: RoomServer) -> None:
        self.server = server
        self.codecs: tuple[str, ...] = tuple(server.settings.room.enabled_codecs)
        self.fan_out = FanOut()
        self.descriptions = DescriptionReader()
        self._trailers: WeakKeyDictionary[RoomSession, bytes] = WeakKeyDictionary()
        self._broadcasts: WeakKeyDictionary[RoomSession, TokenBucket] = WeakKeyDictionary()

    @property
    def plane(self) -> Plane:
        media = self.server.media
        if not isinstance(media, Plane):
            raise TypeError("the WebRTC transport needs the media plane of roomful-media-plane")
        return media

    @property
    def clock(self) -> Clock:
        return self.server.clock

    @property
    def node_id(self) -> str:
        return self.server.node_id

    def ice_servers(self, identity: str) -> list[rtc.ICEServer]:
        """TURN and STUN servers of the settings, with credentials for this identity."""
        return [
            rtc.ICEServer(urls=s.urls, username=s.username, credential=s.credential)
            for s in self.plane.ice_servers(identity)
        ]

    def sif_trailer(self, session: RoomSession) -> bytes:
        """A room's marker of frames that the server injects: it injects none, clients want one."""
        trailer = self._trailers.get(session)
        if trailer is None:
            trailer = self._trailers[session] = secrets.token_bytes(16)
        return trailer

    def may_broadcast(self, session: RoomSession, size: int, now: float) -> bool:
        """Whether a room may be told so many bytes, of all its readers together, already."""
        bucket = self._broadcasts.get(session)
        if bucket is None:
            bucket = TokenBucket(BROADCAST_BYTES_PER_S, BROADCAST_BURST)
            self._broadcasts[session] = bucket
        # in a room too large for it, one change at a time still passes
        return bucket.take(now, min(size, BROADCAST_BURST))
