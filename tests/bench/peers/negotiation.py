"""Signalling of one raw participant in one peer connection: websocket, offers, tracks.

Offers are made one at a time; what is wanted meanwhile goes into the next one.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable

import aiohttp
from livekit.protocol import models, rtc

from .description import Answer, Description, Section

PING_S = 5.0
PROTOCOL = 16
ANSWER_WITHIN_S = 20.0


class Signalling:
    """One websocket. `on_answer` gets every answer that names a transport."""

    def __init__(self, description: Description, on_answer: Callable[[Answer], None]) -> None:
        self.description = description
        self.left = ""
        """why the server ended this participant, empty while it did not"""
        self.tracks: dict[str, str] = {}
        """mid → SID of subscribed tracks, by the newest answer"""
        self.negotiations = 0
        self._on_answer = on_answer
        self._remote = Answer()
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._joined = asyncio.Event()
        self._published: dict[str, asyncio.Future[str]] = {}
        self._offering: asyncio.Future[None] | None = None
        self._again = False

    # --- life ---------------------------------------------------------------------------------

    async def join(self, session: aiohttp.ClientSession, url: str, token: str) -> None:
        """Connect with an offer; returns when the server says that we are in."""
        loop = asyncio.get_running_loop()
        request = rtc.JoinRequest(
            client_info=models.ClientInfo(
                sdk=models.ClientInfo.PYTHON, version="1.0.0", protocol=PROTOCOL
            ),
            connection_settings=rtc.ConnectionSettings(auto_subscribe=True),
            publisher_offer=self._offer(),
        )
        wrapped = rtc.WrappedJoinRequest(join_request=request.SerializeToString())
        encoded = base64.urlsafe_b64encode(wrapped.SerializeToString()).decode()
        self._socket = await session.ws_connect(
            f"{url}/rtc/v1",
            params={"join_request": encoded},
            headers={"Authorization": f"Bearer {token}"},
            max_msg_size=0,
        )
        self._tasks += [loop.create_task(self._read()), loop.create_task(self._ping())]
        await asyncio.wait_for(self._joined.wait(), ANSWER_WITHIN_S)

    async def close(self) -> None:
        """Say goodbye and close."""
        if self._socket is not None and not self._socket.closed:
            await self._send(leave=rtc.LeaveRequest(reason=models.CLIENT_INITIATED))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._socket is not None:
            await self._socket.close()

    async def _send(self, **message: object) -> None:
        assert self._socket is not None
        request = rtc.SignalRequest(**message)  # pyright: ignore[reportArgumentType]
        await self._socket.send_bytes(request.SerializeToString())

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(PING_S)
            await self._send(ping_req=rtc.Ping(timestamp=int(time.time() * 1000), rtt=1))

    # --- wishes -------------------------------------------------------------------------------

    async def publish(self, section: Section, request: rtc.AddTrackRequest) -> tuple[str, str]:
        """Publish in a new section; return (mid, track SID) once the answer is there."""
        published = asyncio.get_running_loop().create_future()
        self._published[request.cid] = published
        await self._send(add_track=request)
        sid = await asyncio.wait_for(published, ANSWER_WITHIN_S)
        mid = self.description.add(section)
        await self._negotiate()
        return mid, sid

    async def _negotiate(self) -> None:
        """Offer, after the present offer is answered; return when answered."""
        while self._offering is not None:
            await asyncio.wait_for(asyncio.shield(self._offering), ANSWER_WITHIN_S)
        offer = self._offer()
        answered = self._offering
        await self._send(offer=offer)
        if answered is not None:
            await asyncio.wait_for(asyncio.shield(answered), ANSWER_WITHIN_S)

    def _offer(self) -> rtc.SessionDescription:
        self._offering = asyncio.get_running_loop().create_future()
        return rtc.SessionDescription(type="offer", sdp=self.description.offer())

    def _later(self) -> None:
        self._tasks = [task for task in self._tasks if not task.done()]
        self._tasks.append(asyncio.get_running_loop().create_task(self._negotiate()))

    # --- what comes ---------------------------------------------------------------------------

    async def _read(self) -> None:
        assert self._socket is not None
        async for frame in self._socket:
            if frame.type is aiohttp.WSMsgType.BINARY:
                self._handle(rtc.SignalResponse.FromString(frame.data))
        self.left = self.left or "the websocket ended"

    def _handle(self, message: rtc.SignalResponse) -> None:
        kind = message.WhichOneof("message")
        if kind == "join":
            self._joined.set()
        elif kind == "answer":
            self._take_answer(message.answer)
        elif kind == "trickle":
            self._remote.take(str(json.loads(message.trickle.candidateInit).get("candidate", "")))
            self._on_answer(self._remote)
        elif kind == "track_published":
            waiting = self._published.pop(message.track_published.cid, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(message.track_published.track.sid)
        elif kind == "media_sections_requirement":
            wanted = message.media_sections_requirement
            for media, count in (("audio", wanted.num_audios), ("video", wanted.num_videos)):
                for _ in range(count):
                    self.description.add(Section(media))
            self._later()
        elif kind == "leave":
            self.left = models.DisconnectReason.Name(message.leave.reason)

    def _take_answer(self, answer: rtc.SessionDescription) -> None:
        addresses = self._remote.addresses
        self._remote = Answer.parse(answer.sdp)
        self._remote.addresses += [a for a in addresses if a not in self._remote.addresses]
        self.tracks = dict(answer.mid_to_track_id)
        self.negotiations += 1
        offering, self._offering = self._offering, None
        if offering is not None and not offering.done():
            offering.set_result(None)
        self._on_answer(self._remote)
