"""One websocket of signalling: what is sent is what one asks for, what comes is kept.

Of messages the newest `MESSAGES_KEPT` are kept.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
from collections import deque
from collections.abc import Callable
from typing import Any, Self

import aiohttp
from livekit.protocol import rtc

from roomful.errors import RoomfulError

MESSAGES_KEPT = 5000
PATIENCE_S = 8.0
_CLOSE_S = 0.2
_PATH = "/rtc/v1"

Where = Callable[[rtc.SignalResponse], bool]


class Refused(RoomfulError):
    """The server did not open the socket. `status` and `text` as answered; 0: nobody answered."""

    code = "failed_precondition"

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status, self.text = status, text


class SignalSocket:
    """`open` it once; `close` it."""

    def __init__(
        self, url: str, *, session: aiohttp.ClientSession | None = None, source: str = ""
    ) -> None:
        """Prepare; nothing is connected yet.

        Args:
            url: `ws://host:port` of the server; `http` means the same.
            session: to connect by; its own where none is given.
            source: address to come from, for a session of its own.
        """
        self._url = url.rstrip("/")
        if self._url.startswith("http"):
            self._url = "ws" + self._url.removeprefix("http")
        self.messages: deque[rtc.SignalResponse] = deque(maxlen=MESSAGES_KEPT)
        self.on_message: Callable[[rtc.SignalResponse], None] | None = None
        self.closed = asyncio.Event()
        self._came = asyncio.Event()
        self._session, self._owned, self._source = session, session is None, source
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._reader: asyncio.Task[None] | None = None

    # --- life -----------------------------------------------------------------------------------

    async def open(
        self,
        token: str,
        request: rtc.JoinRequest | None = None,
        *,
        path: str = _PATH,
        **query: str,
    ) -> None:
        """Open the socket, with a join request in the query where one is given. Raises `Refused`."""
        if request is not None:
            query["join_request"] = packed(request)
        if self._session is None:
            local = (self._source, 0) if self._source else None
            connector = aiohttp.TCPConnector(local_addr=local, force_close=True)
            self._session = aiohttp.ClientSession(connector=connector)
        try:
            self._socket = await self._session.ws_connect(
                self._url + path,
                params=query,
                headers={"Authorization": f"Bearer {token}"},
                max_msg_size=0,
                timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_S),
            )
        except aiohttp.WSServerHandshakeError as error:
            text = await self._why(path, query, token)
            raise Refused(error.status, text or error.message) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Refused(0, f"{self._url!r}: {error}") from error
        self._reader = asyncio.get_running_loop().create_task(self._read())

    async def _why(self, path: str, query: dict[str, str], token: str) -> str:
        assert self._session is not None
        headers = {"Authorization": f"Bearer {token}"}
        url = f"http{self._url.removeprefix('ws')}{path}/validate"
        try:
            async with self._session.get(url, params=query, headers=headers) as answer:
                return await answer.text()
        except aiohttp.ClientError:
            return ""

    async def close(self, *, politely: bool = True) -> None:
        """Leave and free everything; impolitely: vanish, whatever waits to be sent."""
        socket = self._socket
        if socket is not None and not socket.closed:
            if politely:
                await self.send(leave=rtc.LeaveRequest())
                await socket.close()
            else:
                _abort(socket)
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait([self._reader])
        if self._owned and self._session is not None:
            await self._session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # --- talking --------------------------------------------------------------------------------

    @property
    def socket(self) -> aiohttp.ClientWebSocketResponse:
        """The websocket itself, for what is no message."""
        assert self._socket is not None, "not open"
        return self._socket

    async def send(self, **message: Any) -> None:
        """Send a `SignalRequest` of these fields."""
        await self.send_bytes(rtc.SignalRequest(**message).SerializeToString())

    async def send_bytes(self, frame: bytes) -> None:
        """Send a binary frame; nothing happens when the server has closed the socket."""
        try:
            await self.socket.send_bytes(frame)
        except (ConnectionError, aiohttp.ClientError):
            self.closed.set()

    def of(self, field: str) -> list[Any]:
        """Return the messages of one kind that are kept."""
        return [getattr(m, field) for m in self.messages if m.WhichOneof("message") == field]

    async def next(
        self, field: str, count: int = 1, where: Where | None = None
    ) -> rtc.SignalResponse:
        """Wait until `count` messages of a kind are there; return the last of them.

        Raises TimeoutError, and ConnectionError when the socket closed before.
        """
        async with asyncio.timeout(PATIENCE_S):
            while True:
                found = [
                    message
                    for message in self.messages
                    if message.WhichOneof("message") == field and (not where or where(message))
                ]
                if len(found) >= count:
                    return found[count - 1]
                if self.closed.is_set():
                    raise ConnectionError(f"the socket closed before {field!r} came")
                self._came.clear()
                await self._came.wait()

    async def end(self, patience_s: float = PATIENCE_S) -> rtc.LeaveRequest | None:
        """Wait for the server to end us; return its word, None when it said none."""
        async with asyncio.timeout(patience_s):
            await self.closed.wait()
        leaves = self.of("leave")
        return leaves[-1] if leaves else None

    async def _read(self) -> None:
        try:
            async for message in self.socket:
                if message.type is aiohttp.WSMsgType.BINARY:
                    self._take(rtc.SignalResponse.FromString(message.data))
        finally:
            self.closed.set()
            self._came.set()

    def _take(self, message: rtc.SignalResponse) -> None:
        self.messages.append(message)
        self._came.set()
        if self.on_message is not None:
            self.on_message(message)


def packed(request: rtc.JoinRequest, *, gzipped: bool = True) -> str:
    """Return a join request as it stands in the query."""
    body = request.SerializeToString()
    wrapped = rtc.WrappedJoinRequest(join_request=body)
    if gzipped:
        wrapped = rtc.WrappedJoinRequest(
            compression=rtc.WrappedJoinRequest.GZIP, join_request=gzip.compress(body)
        )
    return base64.urlsafe_b64encode(wrapped.SerializeToString()).decode()


def _abort(socket: aiohttp.ClientWebSocketResponse) -> None:
    """Close the connection beneath a websocket."""
    connection: Any = socket._conn  # pyright: ignore[reportPrivateUsage]
    if connection is not None and connection.transport is not None:
        connection.transport.abort()
        socket._response.close()  # pyright: ignore[reportPrivateUsage]
