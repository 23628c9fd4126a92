"""A front before a server's signalling: passes everything on, and lets a test change or break it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
from aiohttp import WSMsgType, web
from livekit.protocol import rtc as rtc_proto

from .server import RoomServer

_HOP_HEADERS = {"host", "connection", "upgrade", "transfer-encoding", "content-length"}


class SignalFront:
    """Passes HTTP and signalling on to a server."""

    def __init__(self, server: RoomServer) -> None:
        self._server = server
        self._session = aiohttp.ClientSession(auto_decompress=False)
        application = web.Application(client_max_size=16 << 20)
        application.router.add_route("*", "/{path:.*}", self._answer)
        self.runner = web.AppRunner(application, shutdown_timeout=1)

    async def close(self) -> None:
        """Close what is open."""
        await self.runner.cleanup()
        await self._session.close()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        url = self._server.http_url + request.raw_path
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP_HEADERS}
        if request.headers.get("Upgrade", "").lower() == "websocket":
            headers = {k: v for k, v in headers.items() if not k.lower().startswith("sec-")}
            return await self._socket(request, url, headers)
        data = await request.read()
        async with self._session.request(request.method, url, headers=headers, data=data) as answer:
            body = await answer.read()
            kept = {k: v for k, v in answer.headers.items() if k.lower() not in _HOP_HEADERS}
            return web.Response(status=answer.status, body=body, headers=kept)

    async def _socket(
        self, request: web.Request, url: str, headers: dict[str, str]
    ) -> web.StreamResponse:
        try:
            upstream = await self._session.ws_connect(url, headers=headers, max_msg_size=0)
        except aiohttp.WSServerHandshakeError as refusal:
            return web.Response(status=refusal.status, text=refusal.message)
        downstream = web.WebSocketResponse(max_msg_size=0)
        await downstream.prepare(request)
        await asyncio.gather(
            self._pump(upstream, downstream, self.of_server),
            self._pump(downstream, upstream, self.of_client),
        )
        return downstream

    @staticmethod
    async def _pump(source: Any, sink: Any, change: Any) -> None:
        with contextlib.suppress(ConnectionError):
            async for message in source:
                if message.type == WSMsgType.BINARY and (data := change(message.data)):
                    await sink.send_bytes(data)
        await sink.close(code=source.close_code or 1000)

    def of_server(self, data: bytes) -> bytes:
        """What a client gets of the server's message; b"" is nothing, ConnectionError the end."""
        return data

    def of_client(self, data: bytes) -> bytes:
        """What the server gets of a client's message, likewise."""
        return data


class BrittleFront(SignalFront):
    """A front whose sockets go down on a message that a test names, and take it along."""

    def __init__(self, server: RoomServer) -> None:
        super().__init__(server)
        self.breaks = 0
        self._on_request: Callable[[rtc_proto.SignalRequest], bool] | None = None
        self._on_response: Callable[[rtc_proto.SignalResponse], bool] | None = None

    def break_on_request(self, check: Callable[[rtc_proto.SignalRequest], bool]) -> None:
        """Go down once, on the next request that passes."""
        self._on_request = check

    def break_on_response(self, check: Callable[[rtc_proto.SignalResponse], bool]) -> None:
        """Go down once, on the next response that passes."""
        self._on_response = check

    def of_client(self, data: bytes) -> bytes:
        if self._on_request and self._on_request(rtc_proto.SignalRequest.FromString(data)):
            self._on_request = None
            self._break()
        return data

    def of_server(self, data: bytes) -> bytes:
        if self._on_response and self._on_response(rtc_proto.SignalResponse.FromString(data)):
            self._on_response = None
            self._break()
        return data

    def _break(self) -> None:
        self.breaks += 1
        raise ConnectionResetError("as the test wished")


@contextlib.asynccontextmanager
async def brittle_front(server: RoomServer) -> AsyncIterator[tuple[RoomServer, BrittleFront]]:
    """The server as seen through the front, and the front."""
    front = BrittleFront(server)
    try:
        await front.runner.setup()
        await web.TCPSite(front.runner, "127.0.0.1", 0).start()
        yield server.at(f"ws://127.0.0.1:{front.runner.addresses[0][1]}"), front
    finally:
        await front.close()
