"""A running plane, its peers, and clients connected to them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import count

import pytest

from roomful.clock import SystemClock
from roomful.model.enums import VideoQuality
from roomful.model.track import VideoLayer
from roomful_rtc.engine import Codec
from roomful_rtc.layer_plan import ReceiveParameters
from roomful_rtc.peer import WirePeer
from roomful_rtc.plane import Plane, PlaneConfig
from roomful_rtc.sink import SendParameters, WireSink
from roomful_rtc.source import WireSource

from . import publishing as pub
from .client import WireClient, until

CODECS = {
    pub.OPUS: Codec("opus", 48_000),
    pub.VP8: Codec("vp8", 90_000),
    pub.RTX: Codec("rtx", 90_000, apt=pub.VP8),
    pub.VP9: Codec("vp9", 90_000),
}
EXTENSIONS = {
    "mid": pub.MID_ID,
    "rid": pub.RID_ID,
    "repaired_rid": pub.REPAIRED_ID,
    "audio_level": pub.LEVEL_ID,
}
LAYERS = (
    VideoLayer(VideoQuality.LOW, 320, 180),
    VideoLayer(VideoQuality.MEDIUM, 640, 360),
    VideoLayer(VideoQuality.HIGH, 1280, 720),
)
AUDIO = ReceiveParameters("audio", CODECS, EXTENSIONS)
SIMULCAST = ReceiveParameters("video", CODECS, EXTENSIONS, rids=("f", "q", "h"), layers=LAYERS)
CAMERA = ReceiveParameters("video", CODECS, EXTENSIONS)


class Recorder:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[object, ...]] = []
        self.connected = asyncio.Event()

    def on_connected(self) -> None:
        self.connected.set()
        self.events.append(("connected",))

    def on_disconnected(self) -> None:
        self.events.append(("disconnected",))

    def on_reconnected(self) -> None:
        self.events.append(("reconnected",))

    def on_failed(self, reason: str) -> None:
        self.events.append(("failed", reason))

    def on_channel_open(self, label: str) -> None:
        self.events.append(("open", label))

    def on_message(self, label: str, data: bytes) -> None:
        self.events.append(("message", label, data))

    def on_source_bound(self, source: WireSource) -> None:
        self.events.append(("bound", source.mid, source.mime_type))

    def on_source_changed(self, source: WireSource) -> None:
        self.events.append(("changed", source.mid))

    def on_stream_state(self, sink: WireSink, paused: bool) -> None:
        self.events.append(("stream_state", paused))

    def on_quality(self, quality: object) -> None:
        self.events.append(("quality", quality))

    def of(self, kind: str) -> list[tuple[object, ...]]:
        return [event for event in self.events if event[0] == kind]


class PlaneBench:
    """One plane and the participants of one test."""

    def __init__(self, plane: Plane) -> None:
        self.plane = plane
        self.clients: list[WireClient] = []
        self._pts = count(100)

    async def join(self) -> tuple[WirePeer, Recorder, WireClient]:
        """A connected peer, its observer and its client."""
        observer = Recorder()
        peer = self.plane.peer(observer)
        client = WireClient()
        self.clients.append(client)
        await client.connect(peer, self.plane.udp_port)
        await asyncio.wait_for(observer.connected.wait(), 5)
        return peer, observer, client

    def subscribe(
        self, peer: WirePeer, source: WireSource, *, rtx: bool = True, **more: object
    ) -> WireSink:
        """Send a source to a peer under payload types that differ from the publisher's."""
        video = source.kind == "video"
        return peer.send(
            source,
            SendParameters(
                mid="7",
                ssrc=peer.new_ssrc(),
                pts={"vp8": 120, "vp9": 122} if video else {"opus": 109},
                rtx_ssrc=peer.new_ssrc() if video and rtx else 0,
                rtx_pts={120: 121} if video and rtx else {},
                **more,
            ),
        )

    async def camera(
        self, *, layers: str = ""
    ) -> tuple[WireSource, dict[str, pub.Layer], WireClient, Recorder]:
        """A publisher of video; `layers`: rids in simulcast, from low to high, or none."""
        peer, observer, client = await self.join()
        source = peer.receive("1", SIMULCAST if layers else CAMERA)
        streams = {
            rid: pub.Layer(
                client,
                "1",
                7000 + place,
                pub.VP8,
                rid=rid,
                ts=place * 1_000_000,
                seq=100 * place,
                size=(320 << place, 180 << place),
                picture=100 + 1000 * place,
            )
            for place, rid in enumerate(layers or [""])
        }
        return source, streams, client, observer

    async def voice(self) -> tuple[WireSource, pub.Voice, WireClient, Recorder]:
        """A publisher of audio."""
        peer, observer, client = await self.join()
        source = peer.receive("0", AUDIO)
        return source, pub.Voice(client, "0", 5000, pub.OPUS, clock_rate=48_000), client, observer

    async def stop(self) -> None:
        await self.plane.stop()
        for client in self.clients:
            await client.stop()


@pytest.fixture
async def bench() -> AsyncIterator[PlaneBench]:
    plane = Plane(PlaneConfig(udp_port=0, tcp_port=None, loopback_only=True), SystemClock())
    await plane.start()
    made = PlaneBench(plane)
    yield made
    await made.stop()


@pytest.fixture
def wait() -> object:
    """`await wait(condition)`."""
    return until
