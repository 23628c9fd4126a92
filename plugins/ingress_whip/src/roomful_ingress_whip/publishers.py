"""Everybody who publishes by WHIP on this server: found by resource, looked at every second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from roomful.errors import Unavailable
from roomful_ingress_whip.config import WhipConfig
from roomful_ingress_whip.connection import WhipConnection
from roomful_ingress_whip.factory import TRANSPORT, Knock
from roomful_ingress_whip.offer import Offer, accepted
from roomful_ingress_whip.problem import Problem

if TYPE_CHECKING:
    from roomful.server import RoomServer
    from roomful_ingress.session import Session
    from roomful_ingress.sessions import Sessions

WHIP_INPUT = 1
"""number of livekit.IngressInput"""
CORES = 0.02
"""what forwarding one publisher's media is estimated to cost"""


class _Arriving:
    """A publisher whose connection is not made yet."""

    def __init__(self, now: float) -> None:
        self.connection: WhipConnection | None = None
        self._now = now

    def last_media_at(self) -> float:
        return self.connection.last_media_at() if self.connection else self._now

    async def stop(self, reason: str) -> None:
        if self.connection is not None:
            await self.connection.stop(reason)


class Publishers:
    """Answers to `IngressInput` and is the service that watches over media."""

    types: tuple[int, ...] = (WHIP_INPUT,)
    name = "whip-watch"

    def __init__(self, server: RoomServer, config: WhipConfig) -> None:
        self._server, self._config = server, config
        self._sessions: Sessions | None = None
        self._there: dict[str, tuple[Session, WhipConnection]] = {}
        """by resource id; bounded by the sessions that ingress allows"""
        self.capabilities = accepted(server.settings.room.enabled_codecs)

    # --- IngressInput ------------------------------------------------------------------------

    def url(self) -> str:
        """`/whip` on the HTTP port."""
        url = self._server.url
        return f"http{url.removeprefix('ws')}/whip" if url else ""

    async def start(self, sessions: Sessions) -> None:
        self._sessions = sessions

    # --- coming and going --------------------------------------------------------------------

    async def publish(self, stream_key: str, offer: Offer) -> tuple[str, WhipConnection, str]:
        """Let a publisher in; return its resource id, its connection and the answer.

        Raises:
            RoomfulError: whoever refuses says why.
            Problem: the definition asks for what WHIP does not do.
        """
        if self._sessions is None:
            raise Unavailable("ingress has not started")
        arriving = _Arriving(self._server.clock.monotonic())
        session = await self._sessions.open(stream_key, WHIP_INPUT, arriving, CORES)
        try:
            if session.may_transcode:
                raise Problem(406, "the ingress asks for transcoding, which WHIP does not do yet")
            knock = Knock(session, offer, self.capabilities)
            connection = await session.join(TRANSPORT, knock)
        except BaseException:
            await session.end()
            raise
        assert isinstance(connection, WhipConnection)
        arriving.connection = connection
        self._there[session.resource_id] = (session, connection)
        return session.resource_id, connection, knock.answer

    def find(self, resource_id: str) -> WhipConnection:
        """Raises `Problem` 404."""
        session, connection = self._there.get(resource_id, (None, None))
        if session is None or connection is None or session.is_over:
            self._there.pop(resource_id, None)
            raise Problem(404, "there is no such resource; its session may have ended")
        return connection

    async def end(self, resource_id: str) -> None:
        """The publisher ends its session. Raises `Problem` 404."""
        self.find(resource_id)
        session, connection = self._there.pop(resource_id)
        await session.end()
        await connection.stop("ended by the publisher")

    # --- Service -----------------------------------------------------------------------------

    async def run(self, ready: Callable[[], None]) -> None:
        """Look at every publisher once a second."""
        ready()
        while True:
            await asyncio.sleep(1.0)
            for resource_id, (session, connection) in [*self._there.items()]:
                if session.is_over:
                    self._there.pop(resource_id, None)
                else:
                    connection.each_second(self._config.media_timeout_s)
