"""A participant in this process: publishes clips, records what it subscribes to."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field

from roomful.model.enums import (
    DisconnectReason,
    ParticipantKind,
    TrackKind,
    TrackSource,
    VideoQuality,
)
from roomful.model.events import Notice
from roomful.model.media import LIVE, LocalSource
from roomful.model.participant import Participant
from roomful.model.subscription import Subscription
from roomful.model.track import TrackInfo, VideoLayer
from roomful.room.factories import JoinRequest
from roomful.room.local_connection import LocalConnection
from roomful.room.session import RoomSession
from roomful.server import RoomServer
from roomful_rtc import rtp

from .clips import OPUS_SAMPLES, PICTURES_PER_SECOND, colours, descriptor, tone

NTP_EPOCH_S = 2_208_988_800


class Recorder:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []
        self.arrivals_ns: list[int] = []
        self.clocks: list[tuple[int, int, int]] = []
        self.gaps: list[tuple[int, int]] = []
        self.ends = 0

    def write(self, packet: memoryview, arrival_ns: int) -> None:
        self.packets.append(bytes(packet))
        self.arrivals_ns.append(arrival_ns)

    def clock(self, rtp_ts: int, ntp: int, arrival_ns: int) -> None:
        self.clocks.append((rtp_ts, ntp, arrival_ns))

    def gap(self, count: int, reason: int) -> None:
        self.gaps.append((count, reason))

    def end(self) -> None:
        self.ends += 1


class Raising(Recorder):
    """Fails at its tenth packet."""

    def write(self, packet: memoryview, arrival_ns: int) -> None:
        super().write(packet, arrival_ns)
        if len(self.packets) == 10:
            raise RuntimeError("broken on purpose")


class Slow(Recorder):
    """Sits on the loop for longer than sound lasts."""

    def write(self, packet: memoryview, arrival_ns: int) -> None:
        super().write(packet, arrival_ns)
        time.sleep(0.015)  # a blocked loop is what is to be survived


@dataclass
class Actor:
    """Answers to `LocalGuest`; everything it plays ends with `stop`."""

    sink_type: type[Recorder] = Recorder
    connection: LocalConnection | None = None
    queue = LIVE
    heard: dict[str, Recorder] = field(default_factory=dict)
    """publisher's identity and kind → what came of it: `talker audio`"""
    sids: dict[str, str] = field(default_factory=dict)
    """the same → track SID"""
    notices: list[Notice] = field(default_factory=list)
    closed: list[DisconnectReason] = field(default_factory=list)
    keyframes: list[int] = field(default_factory=list)
    demands: list[tuple[int, bool]] = field(default_factory=list)
    _players: list[asyncio.Task[None]] = field(default_factory=list)

    # --- LocalGuest ---

    def sink_for(self, subscription: Subscription) -> Recorder:
        publication = subscription.publication
        name = f"{publication.publisher_identity} {publication.info.kind.name.lower()}"
        self.sids[name] = publication.sid
        recorder = self.heard[name] = self.sink_type()
        return recorder

    def on_notice(self, notice: Notice) -> None:
        self.notices.append(notice)

    def on_close(self, reason: DisconnectReason) -> None:
        self.closed.append(reason)
        self.stop()

    # --- what tests do ---

    @property
    def here(self) -> LocalConnection:
        assert self.connection is not None
        return self.connection

    def got(self, name: str) -> Recorder:
        """What came of `talker video`; an empty one before."""
        return self.heard.get(name) or Recorder()

    def speak(self, hertz: int = 440) -> str:
        """Publish a tone as microphone."""
        info = TrackInfo("", TrackKind.AUDIO, TrackSource.MICROPHONE, "tone", "audio/opus")
        sid, source = self.here.publish(info)
        self._play(self._speak(source, hertz))
        return sid

    def show(self, sizes: Sequence[tuple[int, int]] = ((320, 240),)) -> tuple[str, LocalSource]:
        """Publish bars as camera, one layer a size."""
        layers = [
            VideoLayer(VideoQuality(place), width, height, 1_000_000, rid="qhf"[place])
            for place, (width, height) in enumerate(sizes)
        ]
        width, height = sizes[-1]
        info = TrackInfo(
            "",
            TrackKind.VIDEO,
            TrackSource.CAMERA,
            "bars",
            "video/VP8",
            width=width,
            height=height,
        )
        sid, source = self.here.publish(info, layers if len(sizes) > 1 else ())
        self.show_on(source, sizes)
        return sid, source

    def show_on(
        self, source: LocalSource, sizes: Sequence[tuple[int, int]] = ((320, 240),)
    ) -> None:
        """Begin to write bars, with numbers of their own, to a source that is there."""
        show = _Show(source, sizes, self.demands)

        def begin_anew(layer: int) -> None:
            self.keyframes.append(layer)
            show.begin_anew(layer)

        source.on_keyframe = begin_anew
        source.on_demand = lambda layer, wanted: self.demands.append((layer, wanted))
        self._play(show.play())

    def stop(self) -> None:
        for player in self._players:
            player.cancel()

    def _play(self, work: Coroutine[None, None, None]) -> None:
        self._players.append(asyncio.get_running_loop().create_task(work))

    async def _speak(self, source: LocalSource, hertz: int) -> None:
        clip, seq, ts = tone(hertz), secrets.randbelow(1 << 16), secrets.randbelow(1 << 32)
        due = asyncio.get_running_loop().time()
        while True:
            if not seq % 50:
                source.clock(ts & rtp.TS_MASK, ntp_now(), time.monotonic_ns())
            packet = rtp.RtpPacket(False, 1, seq & 0xFFFF, ts & rtp.TS_MASK, 9, clip[seq % 50])
            source.write(rtp.build(packet), time.monotonic_ns(), level=-12)
            seq, ts, due = seq + 1, ts + OPUS_SAMPLES, due + 0.02
            await _until(due)


class _Show:
    """Plays a clip a layer in step; a layer that is asked for a key frame begins anew."""

    def __init__(
        self,
        source: LocalSource,
        sizes: Sequence[tuple[int, int]],
        demands: Sequence[tuple[int, bool]],
    ) -> None:
        """`demands`: what the source was told; a layer that nobody wants is left out."""
        self._source, self._demands = source, demands
        self._clips = [colours(width, height) for width, height in sizes]
        self._at = [0] * len(sizes)
        self._seq = [secrets.randbelow(1 << 16) for _ in sizes]
        self._base = [secrets.randbelow(1 << 32) for _ in sizes]

    def begin_anew(self, layer: int) -> None:
        self._at[layer] = 0

    async def play(self) -> None:
        due, number = asyncio.get_running_loop().time(), 0
        while True:
            wanted = dict(self._demands)
            for layer in range(len(self._clips)):
                if wanted.get(layer, True):
                    self._picture(layer, number)
            number, due = number + 1, due + 1 / PICTURES_PER_SECOND
            await _until(due)

    def _picture(self, layer: int, number: int) -> None:
        clip, now_ns = self._clips[layer], time.monotonic_ns()
        ts = self._base[layer] + number * 90_000 // PICTURES_PER_SECOND & rtp.TS_MASK
        if not number % PICTURES_PER_SECOND:
            self._source.clock(ts, ntp_now(), now_ns, layer)
        chunks = clip[self._at[layer]]
        self._at[layer] = (self._at[layer] + 1) % len(clip)
        for place, chunk in enumerate(chunks):
            payload = descriptor(number, begins=not place) + chunk
            last = place == len(chunks) - 1
            packet = rtp.RtpPacket(last, 1, self._seq[layer] & 0xFFFF, ts, 9, payload)
            self._seq[layer] += 1
            self._source.write(rtp.build(packet), now_ns, layer)


async def _until(due: float) -> None:
    await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))


def ntp_now() -> int:
    """The wall clock as sender reports write it."""
    return ((time.time_ns() + NTP_EPOCH_S * 10**9) << 32) // 10**9


class ActorFactory:
    """Makes the connections of actors; `JoinRequest.context` is the actor."""

    transport = "test"
    kinds = frozenset({ParticipantKind.STANDARD})

    def __init__(self, server: RoomServer) -> None:
        self._server = server

    async def create(
        self, session: RoomSession, participant: Participant, request: JoinRequest
    ) -> LocalConnection:
        actor = request.context
        assert isinstance(actor, Actor)
        assert self._server.media is not None
        limit = self._server.settings.limits.tracks_per_participant
        actor.connection = LocalConnection(
            self._server.media, session, participant, actor, max_tracks=limit
        )
        actor.connection.begin()
        return actor.connection
