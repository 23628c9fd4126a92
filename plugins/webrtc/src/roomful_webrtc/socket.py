"""One signalling WebSocket: binary frames of one message each (`livekit-wire.md` 1.5)."""

from __future__ import annotations

import asyncio
import logging
from collections import deque

from aiohttp import WSCloseCode, WSMsgType, web
from google.protobuf.message import DecodeError
from livekit.protocol import rtc

from roomful.errors import RemoteProtocolError

log = logging.getLogger(__name__)

MAX_MESSAGE = 2 << 20
MAX_QUEUED = 1 << 20
"""bytes waiting for a slow reader; more ends the socket"""
PING_EVERY_S = 10.0
_FLUSH_S = 2.0


class SignalSocket:
    """Sends in order from a bounded queue; reading is the endpoint's loop."""

    def __init__(self, websocket: web.WebSocketResponse) -> None:
        self._websocket = websocket
        self._queue: deque[bytes] = deque()  # bounded by MAX_QUEUED bytes, see `send`
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

    def send_encoded(self, data: bytes) -> None:
        """Queue a message that was encoded for several receivers at once."""
        if self.closed:
            return
        if self._queued + len(data) > MAX_QUEUED and self._queued:
            log.warning("signalling reader is too slow", extra={"queued": self._queued})
            self.abort()
            return
        self._queue.append(data)
        self._queued += len(data)
        self._wake.set()

    async def receive(self) -> rtc.SignalRequest | None:
        """Return the next request, None at the end. Raises `RemoteProtocolError`."""
        message = await self._websocket.receive()
        if message.type is WSMsgType.BINARY:
            try:
                return rtc.SignalRequest.FromString(message.data)
            except DecodeError as error:
                raise RemoteProtocolError("a frame is not a SignalRequest") from error
        if message.type is WSMsgType.TEXT:
            raise RemoteProtocolError("JSON signalling is not offered here: send binary frames")
        return None

    def abort(self) -> None:
        """Close without sending what waits."""
        self._queue.clear()
        self._closing = True
        self._wake.set()

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
                    data = self._queue.popleft()
                    await self._websocket.send_bytes(data)
                    self._queued -= len(data)
                if self._closing:
                    break
        except (ConnectionError, RuntimeError):
            # the far side is gone; the reading loop sees the end and says so
            self._closing = True
            return
        await self._websocket.close(code=WSCloseCode.OK, drain=False)
