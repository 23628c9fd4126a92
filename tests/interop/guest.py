"""One Python SDK participant with the log of what its room told it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, get_args

from livekit import rtc
from livekit.rtc.room import EventTypes

from .media import Ear, Eye, Film, Tone, until
from .server import RoomServer


@dataclass(frozen=True, slots=True)
class Notice:
    """One event of the SDK: its name and what came with it."""

    name: str
    about: tuple[Any, ...]


@dataclass(slots=True)
class Guest:
    """A participant of the SDK; everything it starts ends with `leave`."""

    server: RoomServer
    identity: str
    options: rtc.RoomOptions = field(default_factory=rtc.RoomOptions)
    room: rtc.Room = field(default_factory=rtc.Room)
    notices: list[Notice] = field(default_factory=list[Notice])
    data: list[rtc.DataPacket] = field(default_factory=list[rtc.DataPacket])
    _tasks: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])
    _sinks: list[Ear | Eye] = field(default_factory=list[Ear | Eye])

    def __post_init__(self) -> None:
        for name in get_args(EventTypes):
            self.room.on(name, self._logger(name))
        self.room.on("data_received", self.data.append)

    def _logger(self, name: str) -> Callable[..., None]:
        return lambda *about: self.notices.append(Notice(name, about))

    @property
    def local(self) -> rtc.LocalParticipant:
        """The participant itself."""
        return self.room.local_participant

    async def join(self, token: str) -> "Guest":
        """Connect; raises the SDK's ConnectError where the server refuses."""
        await self.room.connect(self.server.url, token, self.options)
        return self

    async def leave(self) -> None:
        """Stop media and disconnect."""
        for sink in self._sinks:
            await sink.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.wait_for(self.room.disconnect(), 10)

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Keep a source playing until the guest leaves."""
        self._tasks.append(asyncio.create_task(work))

    async def speak(self, hertz: float = 440.0) -> rtc.LocalTrackPublication:
        """Publish a tone as microphone."""
        tone = Tone(hertz)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        publication = await self.local.publish_track(tone.track, options)
        self.run(tone.play())
        return publication

    async def show(
        self,
        film: Film | None = None,
        *,
        codec: int = rtc.VideoCodec.VP8,
        simulcast: bool = False,
    ) -> rtc.LocalTrackPublication:
        """Publish a film (coloured bars unless told) as camera."""
        film = film or Film()
        options = rtc.TrackPublishOptions(
            source=rtc.TrackSource.SOURCE_CAMERA,
            video_codec=codec,  # pyright: ignore[reportArgumentType]
            simulcast=simulcast,
        )
        publication = await self.local.publish_track(film.track, options)
        self.run(film.play())
        return publication

    def told(self, name: str, check: Callable[..., bool] = lambda *_: True) -> Notice | None:
        """The first notice of that name that passes, or None so far."""
        for notice in self.notices:
            if notice.name == name and check(*notice.about):
                return notice
        return None

    async def hears_of(
        self, name: str, check: Callable[..., bool] = lambda *_: True, *, within: float = 10.0
    ) -> Notice:
        """Wait for a notice (one that came earlier counts; `forget` starts anew)."""
        what = f"{self.identity} hears of {name}"
        await until(lambda: self.told(name, check) is not None, within=within, what=what)
        notice = self.told(name, check)
        assert notice is not None
        return notice

    def forget(self) -> None:
        """Drop the notices so far."""
        self.notices.clear()

    async def track(self, identity: str, kind: int, *, within: float = 10.0) -> rtc.Track:
        """The subscribed track of that kind of another participant."""

        def wanted(_: rtc.Track, publication: Any, participant: Any) -> bool:
            return participant.identity == identity and publication.kind == kind

        notice = await self.hears_of("track_subscribed", wanted, within=within)
        return notice.about[0]

    async def ear(self, identity: str) -> Ear:
        """Listen to another participant's microphone."""
        ear = Ear(await self.track(identity, rtc.TrackKind.KIND_AUDIO))
        self._sinks.append(ear)
        return ear

    async def eye(self, identity: str, watch: Callable[..., None] | None = None) -> Eye:
        """Look at another participant's camera."""
        eye = Eye(await self.track(identity, rtc.TrackKind.KIND_VIDEO), watch)
        self._sinks.append(eye)
        return eye

    def remote(self, identity: str) -> rtc.RemoteParticipant:
        """Another participant as this one knows it."""
        return self.room.remote_participants[identity]

    async def meets(self, identity: str) -> rtc.RemoteParticipant:
        """Wait for another participant to be known."""
        what = f"{self.identity} meets {identity}"
        await until(lambda: identity in self.room.remote_participants, what=what)
        return self.remote(identity)


@asynccontextmanager
async def guest(
    server: RoomServer,
    identity: str,
    room: str,
    *,
    options: rtc.RoomOptions | None = None,
    token: str | None = None,
    **video: object,
) -> AsyncIterator[Guest]:
    """A guest in the room for as long as the block lasts; `video` are grants of its token."""
    someone = Guest(server, identity, options or rtc.RoomOptions())
    await someone.join(token or server.token(identity, room, **video))
    try:
        yield someone
    finally:
        await someone.leave()
