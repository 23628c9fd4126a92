"""One signalling WebSocket: binary frames of one message each (`livekit-wire.md` 1.5)."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import WebSocketError, WSCloseCode, WSMessage, WSMsgType, web
from google.protobuf.message import DecodeError
from livekit.protocol import rtc

from roomful.errors import RemoteProtocolError
from roomful.token_bucket import TokenBucket

log = logging.getLogger(__name__)

MAX_MESSAGE = 2 << 20
MAX_QUEUED, SLOW_S = 1 << 20, 2.0
"""more bytes than this, waiting for longer than this, end the socket"""
MAX_BURST = 8 << 20
"""bytes that may wait even for a moment"""
PING_EVERY_S = 10.0
CONTROLS_PER_S, CONTROLS_BURST = 10, 50
"""pings and pongs of the client: no message of its own needs them"""
_FLUSH_S = 2.0


@dataclass(slots=True)
class _Message:
    """One that waits to be sent."""

    data: bytes
    subject: str
    since: float


class SignalSocket:
    """Sends in order from a bounded queue; reading is the endpoint's loop."""

    def __init__(
        self,
        websocket: web.WebSocketResponse,
        transport: asyncio.BaseTransport | None,
        now: Callable[[], float],
    ) -> None:
        """`websocket` leaves pings to us, `transport` is below it; `now`: monotonic seconds."""
        self._websocket, self._transport, self._now = websocket, transport, now
        self._controls = TokenBucket(CONTROLS_PER_S, CONTROLS_BURST)
        self._queue: deque[_Message] = deque()  # bounded by MAX_BURST bytes, see `send_encoded`
        self._latest: dict[str, _Message] = {}
        """subject → its message in the queue"""
        self._queued = 0
        self._wake = asyncio.Event()
        self._closing = False
        self._writer = asyncio.get_running_loop().create_task(self._write())

    @property
    def closed(self) -> bool:
        return self._closing or self._websocket.closed

    def send(self, **message: object) -> None:
        """Queue `SignalResponse(**message)`; a reader too slow for it loses the socket."""
        self.send_encoded(rtc.SignalResponse(**message).SerializeToString())  # type: ignore[arg-type]

    def send_encoded(self, data: bytes, subject: str = "") -> None:
        """Queue a message that was encoded for several receivers at once.

        A message that states how its subject is now takes the place of one that still waits.
        """
        if self.closed:
            return
        now = self._now()
        waiting = self._latest.get(subject) if subject else None
        before = len(waiting.data) if waiting else 0
        queued = self._queued - before + len(data)
        if self._queue and (queued > MAX_BURST or (queued > MAX_QUEUED and self._is_slow(now))):
            log.warning("signalling reader is too slow", extra={"queued": queued})
            self.abort()
            return
        self._queued = queued
        if waiting is not None:
            waiting.data = data
            return
        message = _Message(data, subject, now)
        self._queue.append(message)
        if subject:
            self._latest[subject] = message
        self._wake.set()

    def _is_slow(self, now: float) -> bool:
        return now - self._queue[0].since > SLOW_S

    async def receive(self) -> bytes | None:
        """Return the next binary frame, None at the end. Raises `RemoteProtocolError`."""
        while True:
            message = await self._websocket.receive()
            match message.type:
                case WSMsgType.BINARY:
                    return message.data
                case WSMsgType.PING | WSMsgType.PONG:
                    await self._control(message)
                case WSMsgType.TEXT:
                    raise RemoteProtocolError(
                        "JSON signalling is not offered here: send binary frames"
                    )
                case WSMsgType.ERROR if isinstance(message.data, WebSocketError):
                    raise RemoteProtocolError("a frame is malformed or too large")
                case _:
                    return None

    async def _control(self, message: WSMessage) -> None:
        if not self._controls.take(self._now()):
            raise RemoteProtocolError("too many control frames")
        if message.type is WSMsgType.PING:
            try:
                await self._websocket.pong(message.data)
            except (ConnectionError, RuntimeError):
                return  # the far side is gone; reading on says so

    def abort(self) -> None:
        """Close without sending what waits; the reading loop sees the end."""
        self._queue.clear()
        self._latest.clear()
        self._closing = True
        self._wake.set()
        if isinstance(self._transport, asyncio.WriteTransport):
            self._transport.abort()

    async def close(self) -> None:
        """Send what waits, then close; returns when the socket is closed."""
        self._closing = True
        self._wake.set()
        if asyncio.current_task() is not self._writer:
            done, _ = await asyncio.wait([self._writer], timeout=_FLUSH_S)
            if not done:
                self._writer.cancel()

    async def _write(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._queue:
                    message = self._queue.popleft()
                    self._latest.pop(message.subject, None)
                    await self._websocket.send_bytes(message.data)
                    self._queued -= len(message.data)
                if self._closing:
                    break
        except (ConnectionError, RuntimeError):
            # the far side is gone; the reading loop sees the end and says so
            self._closing = True
            return
        await self._websocket.close(code=WSCloseCode.OK, drain=False)


def decode(frame: bytes) -> rtc.SignalRequest:
    """Return the request in a frame. Raises `RemoteProtocolError`."""
    try:
        return rtc.SignalRequest.FromString(frame)
    except DecodeError as error:
        raise RemoteProtocolError("a frame is not a SignalRequest") from error
