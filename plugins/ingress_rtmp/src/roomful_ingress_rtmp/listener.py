"""The TCP port: one protocol object for each client, with its time limits.

accepted ─5 s─▶ publish asked ─▶ key decided ─▶ media … ─ silence 5 s, no media 10 s ─▶ closed
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, cast

from roomful.errors import ConfigError, RemoteProtocolError, RoomfulError, Unavailable
from roomful_ingress_rtmp.config import RtmpConfig
from roomful_ingress_rtmp.factory import TRANSPORT
from roomful_ingress_rtmp.publisher import RtmpPublisher
from roomful_ingress_rtmp.tracks import Jobs
from roomful_rtmp.server import (
    Connected,
    Event,
    Media,
    MetaData,
    PublishRequested,
    ServerConnection,
    Unpublished,
)

if TYPE_CHECKING:
    from roomful.server import RoomServer
    from roomful_ingress.session import Session
    from roomful_ingress.sessions import Sessions

log = logging.getLogger(__name__)

RTMP_INPUT = 0
"""number of livekit.IngressInput"""
CORES = 0.04
"""what passing one publisher's media on is estimated to cost"""
NO_MEDIA_S = 10.0
LINGER_S = 2.0
"""a client that is told to go is cut off after this"""
MAX_OUTPUT = 1 << 20
"""bytes that a client may leave unread"""


class RtmpListener:
    """Answers to `IngressInput`, and is the service that listens."""

    types: tuple[int, ...] = (RTMP_INPUT,)
    name = "rtmp"

    def __init__(self, server: RoomServer, config: RtmpConfig) -> None:
        self.server, self.config = server, config
        self.sessions: Sessions | None = None
        self.clients: set[RtmpClient] = set()
        """bounded by `max_connections`"""
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = config.port

    def url(self) -> str:
        """Where encoders are pointed to; the app is not looked at."""
        host = self.config.bind[0]
        try:
            address = ip_address(host)
            if address.is_unspecified:
                host = "127.0.0.1" if address.version == 4 else "::1"
        except ValueError:
            pass
        return f"rtmp://{f'[{host}]' if ':' in host else host}:{self.port}/live"

    async def start(self, sessions: Sessions) -> None:
        self.sessions = sessions

    async def run(self, ready: Callable[[], None]) -> None:
        """Listen until cancelled. Raises `ConfigError` where the port is taken."""
        loop = asyncio.get_running_loop()
        servers: list[asyncio.Server] = []
        try:
            for host in self.config.bind:
                servers.append(await loop.create_server(lambda: RtmpClient(self), host, self.port))
                self.port = servers[0].sockets[0].getsockname()[1]
            ready()
            while True:
                await asyncio.sleep(1.0)
                for client in tuple(self.clients):
                    client.each_second()
        except OSError as error:
            raise ConfigError(
                f"setting 'plugins.config.ingress_rtmp.port': {self.port} cannot be opened: "
                f"{error.strerror}; stop the program that has it, or choose another"
            ) from error
        finally:
            for one in servers:
                one.close()
            for client in tuple(self.clients):
                client.hang_up("the server is shutting down")

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run what a client waits for."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class RtmpClient(asyncio.Protocol):
    """One TCP connection."""

    def __init__(self, listener: RtmpListener) -> None:
        self._listener = listener
        self._clock = listener.server.clock
        self._connection = ServerConnection()
        self._transport: asyncio.Transport | None = None
        self._publisher: RtmpPublisher | None = None
        self._accepted = self._closing = self._lost = False
        self._deadline: asyncio.TimerHandle | None = None
        self._heard_at = self._clock.monotonic()

    # --- asyncio.Protocol --------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        listener = self._listener
        if len(listener.clients) >= listener.config.max_connections:
            self._transport.abort()
            return
        listener.clients.add(self)
        _detect_loss(self._transport, listener.config.idle_timeout_s)
        self._deadline = asyncio.get_running_loop().call_later(
            listener.config.handshake_timeout_s, self._cut, "nothing was published in time"
        )

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        self._heard_at = self._clock.monotonic()
        try:
            for event in self._connection.receive(data):
                self._on_event(event)
                if self._closing:
                    break
        except RemoteProtocolError as error:
            self._cut(error.message)
        except Exception:  # one client's failure is contained here
            log.exception("an RTMP client failed")
            self._cut("internal error")
        else:
            self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = self._closing = True
        self._listener.clients.discard(self)
        if self._deadline is not None:
            self._deadline.cancel()
        if self._publisher is not None and self._accepted:
            self._publisher.lost()

    # --- what happens ------------------------------------------------------------------------

    def _on_event(self, event: Event) -> None:
        match event:
            case PublishRequested():
                self._listener.spawn(self._publish(event.stream_key))
            case Media() if self._publisher is not None and self._accepted:
                self._publisher.take(event)
            case MetaData(values) if self._publisher is not None and self._accepted:
                self._publisher.describe(values)
            case Unpublished():
                self.hang_up("")
            case Connected() | _:
                pass

    async def _publish(self, stream_key: str) -> None:
        listener = self._listener
        publisher = RtmpPublisher(
            listener.config, cast("Jobs", listener.server.media), self._clock, self.hang_up
        )
        session: Session | None = None
        try:
            if listener.sessions is None:
                raise Unavailable("ingress has not started")
            session = await listener.sessions.open(stream_key, RTMP_INPUT, publisher, CORES)
            publisher.session = session
            await session.join(TRANSPORT, publisher)
        except RoomfulError as error:
            if session is not None:
                await session.end()
            self._refuse(error.message)
            return
        if self._closing or session.is_over:
            await session.end()
            self.hang_up("the session is over")
            return
        self._publisher = publisher
        self._accepted = True
        if self._deadline is not None:
            self._deadline.cancel()
        self._heard_at = self._clock.monotonic()
        self._connection.accept_publish()
        self._flush()

    def _refuse(self, reason: str) -> None:
        log.info("an RTMP publisher was refused", extra={"reason": reason})
        if not self._closing:
            self._connection.reject_publish(reason)
            self._close()

    def each_second(self) -> None:
        """Look whether it still says something."""
        now = self._clock.monotonic()
        if not self._accepted or self._publisher is None or self._closing:
            return
        if now - self._heard_at > self._listener.config.idle_timeout_s:
            self._cut("silent")
        elif now - self._publisher.last_media_at() > NO_MEDIA_S:
            self._publisher.fail("no media received")
        else:
            self._publisher.each_second()

    # --- the end -----------------------------------------------------------------------------

    def hang_up(self, reason: str) -> None:
        """Tell the client why, and close."""
        if self._closing:
            return
        if reason and self._accepted:
            self._connection.end_publish(reason)
        self._close()

    def _close(self) -> None:
        self._flush()
        self._closing = True
        if self._transport is not None:
            self._transport.close()
            asyncio.get_running_loop().call_later(LINGER_S, self._transport.abort)

    def _cut(self, reason: str) -> None:
        if self._closing:
            return
        log.info("an RTMP client was cut off", extra={"reason": reason})
        self._closing = True
        if self._transport is not None:
            self._transport.abort()

    def _flush(self) -> None:
        output = self._connection.take_output()
        if output and self._transport is not None and not self._lost:
            self._transport.write(output)
            if self._transport.get_write_buffer_size() > MAX_OUTPUT:
                self._cut("it does not read")


def _detect_loss(transport: asyncio.Transport, within_s: float) -> None:
    """Let the kernel notice a peer that vanished."""
    sock: socket.socket | None = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, max(1, int(within_s)))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(within_s * 1000))
