"""A client on the wire, signalling included, that does exactly what it is told."""

from __future__ import annotations

import asyncio
import base64
import gzip
from collections.abc import Callable, Sequence
from typing import Any

import aiohttp
from livekit.protocol import models, rtc

from ..interop.server import RoomServer
from .descriptions import CHANNELS, Section, offer, remote_of
from .raw_peer import PATIENCE_S, RawPeer

MESSAGES_KEPT = 5000
TRACK_OF = {"audio": models.AUDIO, "video": models.VIDEO}


class Refused(Exception):
    """The server did not open the socket. `status` and `text` as answered."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status, self.text = status, text


class RawClient:
    """One participant. `source` is the loopback address it comes from."""

    def __init__(self, server: RoomServer, source: str = "127.0.0.1") -> None:
        self.server, self.source = server, source
        self.peer = RawPeer(source)
        self.messages: list[rtc.SignalResponse] = []
        self.closed = asyncio.Event()
        self.answer = ""
        self._came = asyncio.Event()
        self._http: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._reader: asyncio.Task[None] | None = None

    # --- coming in -------------------------------------------------------------------------------

    async def join(
        self,
        room: str,
        identity: str,
        *sections: Section,
        grants: dict[str, Any] | None = None,
        transport: bool = True,
        **request: Any,
    ) -> RawClient:
        """Join with an offer of `sections`; with `transport` until SRTP keys are there."""
        sections = sections or (CHANNELS,)
        token = self.server.token(identity, room, **(grants or {}))
        await self.open(token, self.request(sections, **request))
        self.answer = (await self.next("answer")).answer.sdp
        if transport:
            await self.peer.connect(remote_of(self.answer))
        return self

    async def subscribe(self, *sections: Section) -> str:
        """Offer again once the server asks for sections, as clients do; return the answer."""
        await self.next(
            "media_sections_requirement", len(self.of("media_sections_requirement")) or 1
        )
        return await self.negotiate(*sections)

    async def negotiate(self, *sections: Section) -> str:
        """Offer again; return the answer."""
        answers = len(self.of("answer"))
        await self.send(offer={"type": "offer", "sdp": offer(self.peer, *sections)})
        self.answer = (await self.next("answer", answers + 1)).answer.sdp
        return self.answer

    def request(self, sections: Sequence[Section], **fields: Any) -> rtc.JoinRequest:
        """What a client sends when it knocks; tracks of sending sections are announced."""
        announced = [
            rtc.AddTrackRequest(cid=section.cid, type=TRACK_OF[section.kind], name=section.cid)
            for section in sections
            if section.cid
        ]
        values: dict[str, Any] = {
            "client_info": {"protocol": 16, "version": "1.2.0"},
            "connection_settings": {"auto_subscribe": True},
            "add_track_requests": announced,
            "publisher_offer": {"type": "offer", "sdp": offer(self.peer, *sections)},
        }
        return rtc.JoinRequest(**{**values, **fields})

    async def open(
        self,
        token: str,
        request: rtc.JoinRequest | None = None,
        *,
        path: str = "/rtc/v1",
        **query: str,
    ) -> None:
        """Open the socket. Raises `Refused`."""
        if request is not None:
            query["join_request"] = packed(request)
        connector = aiohttp.TCPConnector(local_addr=(self.source, 0), force_close=True)
        self._http = aiohttp.ClientSession(connector=connector)
        try:
            self._socket = await self._http.ws_connect(
                self.server.url + path,
                params=query,
                headers={"Authorization": f"Bearer {token}"},
                max_msg_size=0,
                timeout=aiohttp.ClientWSTimeout(ws_close=0.2),
            )
        except aiohttp.WSServerHandshakeError as error:
            text = await self._why(path, query, token)
            raise Refused(error.status, text) from error
        self._reader = asyncio.create_task(self._read())

    async def _why(self, path: str, query: dict[str, str], token: str) -> str:
        assert self._http is not None
        headers = {"Authorization": f"Bearer {token}"}
        url = self.server.http_url + path + "/validate"
        async with self._http.get(url, params=query, headers=headers) as answer:
            return await answer.text()

    # --- talking ---------------------------------------------------------------------------------

    async def send(self, **message: Any) -> None:
        """Send a `SignalRequest`."""
        await self.send_bytes(rtc.SignalRequest(**message).SerializeToString())

    async def send_bytes(self, frame: bytes) -> None:
        """Send a binary frame; nothing happens when the server has closed the socket."""
        try:
            await self.socket.send_bytes(frame)
        except (ConnectionError, aiohttp.ClientError):
            self.closed.set()

    @property
    def socket(self) -> aiohttp.ClientWebSocketResponse:
        assert self._socket is not None
        return self._socket

    @property
    def participant(self) -> models.ParticipantInfo:
        """Who the server says we are."""
        return next(m.join.participant for m in self.messages if m.HasField("join"))

    def of(self, field: str) -> list[Any]:
        """The messages of one kind that came so far."""
        return [getattr(m, field) for m in self.messages if m.HasField(field)]  # type: ignore[arg-type]

    async def next(
        self,
        field: str,
        count: int = 1,
        where: Callable[[rtc.SignalResponse], bool] = lambda message: True,
    ) -> rtc.SignalResponse:
        """Wait until `count` messages of a kind are there; return the last of them."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                found = [m for m in self.messages if m.HasField(field) and where(m)]  # type: ignore[arg-type]
                if len(found) >= count:
                    return found[count - 1]
                if self.closed.is_set():
                    raise ConnectionError(f"the socket closed before {field!r} came")
                self._came.clear()
                await self._came.wait()

    async def end(self, patience: float = PATIENCE_S) -> rtc.LeaveRequest | None:
        """Wait for the server to end us; return its word, None when it said none."""
        async with asyncio.timeout(patience):
            await self.closed.wait()
        leaves = self.of("leave")
        return leaves[-1] if leaves else None

    async def stop(self, *, politely: bool = True) -> None:
        """Leave and free everything; impolitely: vanish, whatever waits to be sent."""
        if self._socket is not None and not self._socket.closed:
            if politely:
                await self.send(leave=rtc.LeaveRequest())
                await self._socket.close()
            elif self._socket._conn is not None and self._socket._conn.transport is not None:
                self._socket._conn.transport.abort()
                self._socket._response.close()
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait([self._reader])
        self.peer.close()
        if self._http is not None:
            await self._http.close()

    async def __aenter__(self) -> RawClient:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop()

    async def _read(self) -> None:
        try:
            async for message in self.socket:
                if message.type is aiohttp.WSMsgType.BINARY and len(self.messages) < MESSAGES_KEPT:
                    self.messages.append(rtc.SignalResponse.FromString(message.data))
                    self._came.set()
        finally:
            self.closed.set()
            self._came.set()


def packed(request: rtc.JoinRequest, *, gzipped: bool = True) -> str:
    """A join request as it stands in the query."""
    body = request.SerializeToString()
    wrapped = rtc.WrappedJoinRequest(join_request=body)
    if gzipped:
        wrapped = rtc.WrappedJoinRequest(
            compression=rtc.WrappedJoinRequest.GZIP, join_request=gzip.compress(body)
        )
    return base64.urlsafe_b64encode(wrapped.SerializeToString()).decode()
