"""The listener: subscribes to the presenter, measures what it decodes, answers data and chat."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from livekit import rtc

from roomful_demo import presenter
from roomful_demo.hearing import Ear
from roomful_demo.melody import SAMPLE_RATE
from roomful_demo.member import Member, member, on, running
from roomful_demo.scene import Stage
from roomful_demo.seeing import Eye

IDENTITY, NAME = "listener", "Listener"
ECHO_TOPIC = "demo.echo"
"""a data packet of this topic is sent back to whoever sent it"""
CHAT_TOPIC = "lk.chat"
"""where the published clients write and read chat, by text streams"""

_FRAMES_KEPT = 5
_WAITING = 16
"""answers not yet sent; what comes beyond is not answered"""


@dataclass(slots=True)
class Listener:
    """What the listener has found out so far."""

    ear: Ear = field(default_factory=Ear)
    eye: Eye = field(default_factory=Eye)
    tracks: dict[int, rtc.Track] = field(default_factory=dict[int, rtc.Track])
    """subscribed tracks by kind"""
    me: Member | None = None
    _answers: asyncio.Queue[Coroutine[Any, Any, object]] = field(
        default_factory=lambda: asyncio.Queue(_WAITING)
    )
    _streams: dict[int, AsyncExitStack] = field(default_factory=dict[int, AsyncExitStack])

    @property
    def began_at_s(self) -> float:
        """When it began to join, on the loop's clock."""
        assert self.me is not None
        return self.me.began_at_s

    async def codec(self, kind: int) -> str:
        """Return the MIME type of what is being decoded, as the SDK reports it; empty if nothing."""
        track = self.tracks.get(kind)
        stats = await track.get_stats() if track is not None else []
        used = {s.inbound_rtp.stream.codec_id for s in stats if s.HasField("inbound_rtp")}
        named = {s.codec.rtc.id: s.codec.codec.mime_type for s in stats if s.HasField("codec")}
        return next((named[codec] for codec in used if codec in named), "")

    def describe(self) -> str:
        """Say in a sentence what it hears and sees now."""
        heard, seen = list(self.ear.notes)[-1:], self.eye.newest
        note = f"I just heard {heard[0].name}" if heard else "I hear no melody"
        ball = f"see the ball {seen.x:.0%} from the left" if seen else "see no ball"
        return f"{note} and {ball}."

    # --- what the room tells -----------------------------------------------------------------

    def attach(self, room: rtc.Room) -> None:
        """Listen to a room's events from before it is joined."""
        on(room, "track_published", self._on_published)
        on(room, "track_subscribed", self._on_subscribed)
        on(room, "data_received", self._on_data)
        on(room, "participant_active", self._on_active)
        room.register_text_stream_handler(CHAT_TOPIC, self._on_chat)

    def joined(self, me: Member) -> None:
        """Take what was there already."""
        self.me = me
        for participant in me.room.remote_participants.values():
            for publication in participant.track_publications.values():
                self._on_published(publication, participant)

    def _on_published(
        self, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> None:
        if participant.identity == presenter.IDENTITY:
            publication.set_subscribed(True)

    def _on_subscribed(self, track: rtc.Track, *_: object) -> None:
        self.tracks[track.kind] = track
        self._answer(self._follow(track))

    def _on_data(self, packet: rtc.DataPacket) -> None:
        if packet.topic == ECHO_TOPIC and packet.participant is not None:
            self._answer(self._echo(packet.data, packet.participant.identity))

    def _on_active(self, participant: rtc.RemoteParticipant) -> None:
        if participant.identity != presenter.IDENTITY:
            name = participant.name or participant.identity
            self._answer(self._say(f"Hello {name}! {self.describe()}"))

    def _on_chat(self, reader: rtc.TextStreamReader, identity: str) -> None:
        self._answer(self._reply(reader, identity))

    def _answer(self, answer: Coroutine[Any, Any, object]) -> None:
        try:
            self._answers.put_nowait(answer)
        except asyncio.QueueFull:
            answer.close()

    # --- what it does ------------------------------------------------------------------------

    async def work(self) -> None:
        """Answer, one after another."""
        try:
            while True:
                await (await self._answers.get())
        finally:
            for stream in self._streams.values():
                await stream.aclose()
            while not self._answers.empty():
                self._answers.get_nowait().close()

    async def _follow(self, track: rtc.Track) -> None:
        """Measure this track from now on, instead of an earlier one of its kind."""
        if (before := self._streams.pop(track.kind, None)) is not None:
            await before.aclose()
        work = self._hear if track.kind == rtc.TrackKind.KIND_AUDIO else self._see
        self._streams[track.kind] = stack = AsyncExitStack()
        await stack.enter_async_context(running(work(track)))

    async def _hear(self, track: rtc.Track) -> None:
        loop = asyncio.get_running_loop()
        stream = rtc.AudioStream(track, sample_rate=SAMPLE_RATE, num_channels=1)
        try:
            async for event in stream:
                self.ear.take(np.frombuffer(event.frame.data, np.int16), loop.time())
        finally:
            await stream.aclose()

    async def _see(self, track: rtc.Track) -> None:
        loop = asyncio.get_running_loop()
        stream = rtc.VideoStream(track, capacity=_FRAMES_KEPT, format=rtc.VideoBufferType.RGB24)
        try:
            async for event in stream:
                frame = event.frame
                flat = np.frombuffer(frame.data, np.uint8)
                self.eye.take(flat.reshape(frame.height, frame.width, 3), loop.time())
        finally:
            await stream.aclose()

    async def _echo(self, data: bytes, identity: str) -> None:
        if self.me is not None:
            await self.me.local.publish_data(
                data, topic=ECHO_TOPIC, destination_identities=[identity]
            )

    async def _say(self, text: str) -> None:
        if self.me is not None:
            await self.me.local.send_text(text, topic=CHAT_TOPIC)

    async def _reply(self, reader: rtc.TextStreamReader, identity: str) -> None:
        length = len(await reader.read_all())
        await self._say(f"{length} characters from {self._name(identity)}. {self.describe()}")

    def _name(self, identity: str) -> str:
        sender = self.me.room.remote_participants.get(identity) if self.me else None
        return sender.name if sender and sender.name else identity


@asynccontextmanager
async def listener(stage: Stage) -> AsyncGenerator[Listener, None]:
    """Join, subscribe to the presenter and measure until the context ends."""
    found, room = Listener(), rtc.Room()
    found.attach(room)
    async with member(stage, room, IDENTITY, NAME, auto_subscribe=False) as me:
        found.joined(me)
        async with running(found.work()):
            yield found
