"""Signalling of a raw participant in one peer connection, as clients do it: joining, offers, tracks.

Offers are made one at a time; what is wanted meanwhile goes into the next one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TypeVar

from livekit.protocol import models, rtc

from roomful.errors import InvalidArgument, TransportTimeout
from roomful_testing.peer.description import Answer, Credentials, Section, offer
from roomful_testing.peer.signalling import SignalSocket
from roomful_testing.peer.wall import wall_ns

PING_S = 5.0
PROTOCOL = 16
ANSWER_WITHIN_S = 20.0
_T = TypeVar("_T")


class Negotiation:
    """Of one participant. `on_answer` gets every answer, and once more with each candidate."""

    def __init__(
        self,
        socket: SignalSocket,
        credentials: Credentials,
        sections: Sequence[Section],
        on_answer: Callable[[Answer], None],
    ) -> None:
        self.socket = socket
        self.sections = list(sections)
        """of ours, by place; bounded by what the server asks for and we publish"""
        self.answer = Answer()
        """the newest"""
        self.left = ""
        """why the server ended this participant, empty while it did not"""
        self.tracks: dict[str, str] = {}
        """mid → SID of subscribed tracks, by the newest answer"""
        self.negotiations = 0
        self.on_quality: Callable[[rtc.SubscribedQualityUpdate], None] | None = None
        """told which layers of a track are wanted"""
        self._credentials, self._on_answer = credentials, on_answer
        self._version = 1
        self._tasks: set[asyncio.Task[None]] = set()
        self._joined = asyncio.Event()
        self._published: dict[str, asyncio.Future[str]] = {}
        self._offering: asyncio.Future[None] | None = None
        socket.on_message = self._handle

    # --- life -----------------------------------------------------------------------------------

    async def join(self, token: str) -> None:
        """Connect with an offer; returns when the server says that we are in.

        Raises:
            Refused: the server does not let us in.
            TransportTimeout: it says nothing.
        """
        request = rtc.JoinRequest(
            client_info=models.ClientInfo(
                sdk=models.ClientInfo.PYTHON, version="1.0.0", protocol=PROTOCOL
            ),
            connection_settings=rtc.ConnectionSettings(auto_subscribe=True),
            publisher_offer=self._offer(),
        )
        await self.socket.open(token, request)
        self._run(self._ping())
        await _answered(self._joined.wait(), "joining")

    async def close(self) -> None:
        """Stop; the socket stays."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(PING_S)
            await self.socket.send(ping_req=rtc.Ping(timestamp=wall_ns() // 1_000_000, rtt=1))

    def _run(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- wishes ---------------------------------------------------------------------------------

    async def publish(self, section: Section, request: rtc.AddTrackRequest) -> tuple[str, str]:
        """Publish in a new section; return (mid, track SID) once the answer is there.

        Raises:
            InvalidArgument: the server does not take the track.
            TransportTimeout: it does not answer.
        """
        published: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._published[request.cid] = published
        await self.socket.send(add_track=request)
        sid = await _answered(published, f"publishing {request.name!r}")
        self.sections.append(section)
        mid = str(len(self.sections) - 1)
        await self._negotiate()
        return mid, sid

    async def _negotiate(self) -> None:
        """Offer, after the present offer is answered; return when answered."""
        while self._offering is not None:
            await _answered(asyncio.shield(self._offering), "an offer")
        description = self._offer()
        answered = self._offering
        await self.socket.send(offer=description)
        if answered is not None:
            await _answered(asyncio.shield(answered), "an offer")

    def _offer(self) -> rtc.SessionDescription:
        self._offering = asyncio.get_running_loop().create_future()
        self._version += 1
        sdp = offer(self._credentials, self.sections, self._version)
        return rtc.SessionDescription(type="offer", sdp=sdp)

    # --- what comes -----------------------------------------------------------------------------

    def _handle(self, message: rtc.SignalResponse) -> None:
        kind = message.WhichOneof("message")
        match kind:
            case "join":
                self._joined.set()
            case "answer":
                self._take_answer(message.answer)
            case "trickle":
                init = json.loads(message.trickle.candidateInit)
                self.answer.take(str(init.get("candidate", "")))
                self._on_answer(self.answer)
            case "track_published":
                self._take_track(message.track_published)
            case "media_sections_requirement":
                self._add_sections(message.media_sections_requirement)
            case "subscribed_quality_update" if self.on_quality is not None:
                self.on_quality(message.subscribed_quality_update)
            case "request_response":
                self._take_refusal(message.request_response)
            case "leave":
                self.left = models.DisconnectReason.Name(message.leave.reason)
            case _:
                pass

    def _take_track(self, published: rtc.TrackPublishedResponse) -> None:
        waiting = self._published.pop(published.cid, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(published.track.sid)

    def _take_refusal(self, answer: rtc.RequestResponse) -> None:
        waiting = self._published.pop(answer.add_track.cid, None)
        if waiting is None or waiting.done():
            return
        if answer.reason in (rtc.RequestResponse.OK, rtc.RequestResponse.QUEUED):
            self._published[answer.add_track.cid] = waiting
            return
        reason = rtc.RequestResponse.Reason.Name(answer.reason)
        waiting.set_exception(
            InvalidArgument(f"the server does not take it: {answer.message or reason}")
        )

    def _add_sections(self, wanted: rtc.MediaSectionsRequirement) -> None:
        for kind, count in (("audio", wanted.num_audios), ("video", wanted.num_videos)):
            self.sections += [Section(kind)] * count
        self._run(self._negotiate())

    def _take_answer(self, description: rtc.SessionDescription) -> None:
        addresses = self.answer.addresses
        self.answer = Answer.parse(description.sdp)
        self.answer.addresses += [a for a in addresses if a not in self.answer.addresses]
        self.tracks = dict(description.mid_to_track_id)
        self.negotiations += 1
        offering, self._offering = self._offering, None
        if offering is not None and not offering.done():
            offering.set_result(None)
        self._on_answer(self.answer)


async def _answered(wait: Awaitable[_T], what: str) -> _T:
    try:
        return await asyncio.wait_for(wait, ANSWER_WITHIN_S)
    except TimeoutError:
        raise TransportTimeout(f"{what} was not answered within {ANSWER_WITHIN_S:g} s") from None
