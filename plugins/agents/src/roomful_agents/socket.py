"""One worker's WebSocket: binary frames of one message each, in bounded amounts."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from aiohttp import WebSocketError, WSMsgType, web
from livekit.protocol import agent

from roomful.errors import RemoteProtocolError
from roomful.token_bucket import TokenBucket
from roomful_agents.wire import decode

log = logging.getLogger(__name__)

MAX_MESSAGE = 1 << 20
"""an answer holds metadata of up to 512 KiB"""
MAX_QUEUED, SLOW_S = 8 << 20, 5.0
"""more bytes than this, waiting for longer than this, end the connection"""
MAX_BURST = 64 << 20
"""bytes that may wait even for a moment: many questions with large metadata come at once"""
MESSAGES_PER_S, MESSAGES_BURST = 50, 500
BYTES_PER_S, BYTES_BURST = 1 << 20, 16 << 20
CONTROLS_PER_S, CONTROLS_BURST = 10, 50
"""pings and pongs"""
PING_EVERY_S = 30.0
FLUSH_S = 2.0
POLICY_VIOLATION = 1008
GOING_AWAY = 1001
REASON_BYTES = 120


class WorkerSocket:
    """Sends in order from a queue; `receive` gives what the worker says."""

    def __init__(
        self,
        websocket: web.WebSocketResponse,
        transport: asyncio.BaseTransport | None,
        now: Callable[[], float],
    ) -> None:
        """`websocket` leaves pings to us, `transport` is below it; `now`: monotonic seconds."""
        self._websocket, self._transport, self._now = websocket, transport, now
        self._messages = TokenBucket(MESSAGES_PER_S, MESSAGES_BURST)
        self._bytes = TokenBucket(BYTES_PER_S, BYTES_BURST)
        self._controls = TokenBucket(CONTROLS_PER_S, CONTROLS_BURST)
        self._queue: deque[tuple[bytes, float]] = deque()  # (data, since); bounded in `send`
        self._queued = 0
        self._wake = asyncio.Event()
        self._closing: tuple[int, str] | None = None
        self._writer = asyncio.get_running_loop().create_task(self._write())

    def send(self, message: agent.ServerMessage) -> None:
        """Queue a message; a worker that reads too slowly for it loses its connection."""
        if self._closing is not None:
            return
        data, now = message.SerializeToString(), self._now()
        queued = self._queued + len(data)
        if queued > MAX_BURST or (queued > MAX_QUEUED and self._is_slow(now)):
            log.warning("a worker reads too slowly", extra={"queued": self._queued})
            self.abort()
            return
        self._queued = queued
        self._queue.append((data, now))
        self._wake.set()

    def _is_slow(self, now: float) -> bool:
        return bool(self._queue) and now - self._queue[0][1] > SLOW_S

    async def receive(self) -> agent.WorkerMessage | None:
        """Return the next message, None at the end. Raises `RemoteProtocolError`."""
        while True:
            frame = await self._websocket.receive()
            match frame.type:
                case WSMsgType.BINARY:
                    self._count(len(frame.data))
                    return decode(frame.data)
                case WSMsgType.PING | WSMsgType.PONG:
                    await self._control(frame.type, frame.data)
                case WSMsgType.TEXT:
                    raise RemoteProtocolError("a frame of text: send binary WorkerMessages")
                case WSMsgType.ERROR if isinstance(frame.data, WebSocketError):
                    raise RemoteProtocolError(
                        f"a frame is malformed or larger than {MAX_MESSAGE} bytes"
                    )
                case _:
                    return None

    def _count(self, size: int) -> None:
        now = self._now()
        if not self._messages.take(now):
            raise RemoteProtocolError(f"more than {MESSAGES_PER_S} messages a second")
        if not self._bytes.take(now, size):
            raise RemoteProtocolError(f"more than {BYTES_PER_S} bytes a second")

    async def _control(self, kind: WSMsgType, data: bytes) -> None:
        if not self._controls.take(self._now()):
            raise RemoteProtocolError("too many control frames")
        if kind is WSMsgType.PING:
            try:
                await self._websocket.pong(data)
            except (ConnectionError, RuntimeError):
                return  # the worker is gone; reading on says so

    def abort(self) -> None:
        """Cut the connection; the reading loop sees the end."""
        self._queue.clear()
        self._closing = self._closing or (GOING_AWAY, "")
        self._wake.set()
        if isinstance(self._transport, asyncio.WriteTransport):
            self._transport.abort()

    def close_soon(self, code: int, reason: str) -> None:
        """Send what waits, then close with this code and reason."""
        self._closing = self._closing or (code, reason)
        self._wake.set()

    async def closed(self) -> None:
        """Wait until what was sent is out and the socket is closed."""
        done, _ = await asyncio.wait([self._writer], timeout=FLUSH_S)
        if not done:
            self._writer.cancel()

    async def _write(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._queue:
                    data, _ = self._queue.popleft()
                    await self._websocket.send_bytes(data)
                    self._queued -= len(data)
                if self._closing is not None:
                    break
        except (ConnectionError, RuntimeError):
            self._closing = self._closing or (GOING_AWAY, "")
            return  # the worker is gone; the reading loop sees the end
        code, reason = self._closing
        text = reason.encode()[:REASON_BYTES].decode(errors="ignore").encode()
        await self._websocket.close(code=code, message=text, drain=False)
