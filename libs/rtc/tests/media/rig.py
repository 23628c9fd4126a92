"""A switchboard with a table engine, peers with a transport that keeps what it is given."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import replace
from itertools import count
from typing import Any

from roomful.model.enums import VideoQuality
from roomful.model.track import VideoLayer
from roomful_rtc import rtcp
from roomful_rtc.engine import Codec, DownStats, EngineStats, KeyFrame, UnknownSsrc, UpStats
from roomful_rtc.layer_plan import ReceiveParameters
from roomful_rtc.peer import WirePeer
from roomful_rtc.sink import SendParameters, WireSink
from roomful_rtc.source import WireSource
from roomful_rtc.switchboard import Switchboard

CODECS = {
    96: Codec("vp8", 90_000),
    97: Codec("rtx", 90_000, apt=96),
    98: Codec("vp9", 90_000),
    111: Codec("opus", 48_000),
}
LAYERS = (
    VideoLayer(VideoQuality.LOW, 320, 180, 150_000),
    VideoLayer(VideoQuality.MEDIUM, 640, 360, 500_000),
    VideoLayer(VideoQuality.HIGH, 1280, 720, 1_700_000),
)
AUDIO = ReceiveParameters("audio", CODECS, {"mid": 1, "audio_level": 2})
CAMERA = ReceiveParameters("video", CODECS, {"mid": 1})
SIMULCAST = ReceiveParameters(
    "video", CODECS, {"mid": 1, "rid": 3}, rids=("f", "h", "q"), layers=LAYERS
)
UP = UpStats(0, 0, 0, 0, 0.0, 0, 0, 0)
DOWN = DownStats(0, 0, 0, 0, 0, 0, 0, 0)


class ManualClock:
    """Time moves when the test says so."""

    def __init__(self) -> None:
        self.time = 1000.0

    def monotonic(self) -> float:
        return self.time

    def wall_ms(self) -> int:
        return int(self.time * 1000)


class TableEngine:
    """Keeps rows and calls; forwards nothing."""

    def __init__(self) -> None:
        self.features = frozenset({"simulcast", "vp8", "rtx", "twcc"})
        self.handles = count(1)
        self.calls: list[tuple[Any, ...]] = []
        self.ups: dict[int, UpStats] = {}
        self.downs: dict[int, DownStats] = {}
        self.refuse: Exception | None = None
        self.stats_read = 0

    def _row(self, table: dict[int, Any], handle: int) -> Any:
        if handle not in table:
            raise KeyError(handle)
        return table[handle]

    def set_codecs(self, peer: int, recv: object) -> None:
        self.calls.append(("codecs", peer, recv))

    def set_extensions(self, peer: int, recv: object, send: object) -> None:
        self.calls.append(("extensions", peer, recv, send))

    def add_up(self, peer: int, ssrc: int, codec: str, clock_rate: int, **more: int) -> int:
        if self.refuse:
            raise self.refuse
        handle = next(self.handles)
        self.ups[handle] = UP
        self.calls.append(("add_up", handle, ssrc, codec, more["rtx_ssrc"], more["spatial"]))
        return handle

    def set_rtx(self, up: int, rtx_ssrc: int) -> None:
        self._row(self.ups, up)
        if self.refuse:
            raise self.refuse
        self.calls.append(("rtx", up, rtx_ssrc))

    def remove_up(self, up: int) -> None:
        self._row(self.ups, up)
        del self.ups[up]

    def add_down(self, up: int, peer: int, ssrc: int, pts: object, **more: object) -> int:
        if self.refuse:
            raise self.refuse
        handle = next(self.handles)
        self.downs[handle] = replace(DOWN, up=up)
        self.calls.append(("add_down", handle, up, ssrc))
        return handle

    def set_down(self, down: int, enabled: bool, spatial: int = 255, temporal: int = 255) -> None:
        self._row(self.downs, down)
        self.calls.append(("set_down", down, enabled, spatial, temporal))

    def switch(self, down: int, up: int, *, ts_offset: int | None = None) -> None:
        self._row(self.ups, up)
        self.calls.append(("switch", down, up, ts_offset))

    def resend(self, down: int, seq16s: object) -> int:
        self.calls.append(("resend", down, tuple(seq16s)))
        return 0

    def remove_down(self, down: int) -> None:
        self._row(self.downs, down)
        del self.downs[down]

    def add_source(self, codec: str, clock_rate: int, **more: int) -> int:
        if self.refuse:
            raise self.refuse
        handle = next(self.handles)
        self.ups[handle] = UP
        self.calls.append(("add_source", handle, codec, clock_rate, more["spatial"]))
        return handle

    def feed(self, up: int, packet: bytes, arrival_us: int, *, level: int | None = None) -> bool:
        self._row(self.ups, up)
        self.calls.append(("feed", up, bytes(packet), arrival_us, level))
        return True

    def give_up(self, up: int, count: int, reason: int = 3) -> None:
        self._row(self.ups, up)
        self.calls.append(("give_up", up, count, reason))

    def add_sink(self, up: int, to: object, pts: object) -> int:
        if self.refuse:
            raise self.refuse
        handle = next(self.handles)
        self.downs[handle] = replace(DOWN, up=up)
        self.calls.append(("add_sink", handle, up, pts))
        return handle

    def stats(self) -> EngineStats:
        self.stats_read += 1
        return EngineStats(dict(self.ups), dict(self.downs), {})

    def made(self, call: str) -> list[tuple[Any, ...]]:
        """Calls of one kind, without its name."""
        return [entry[1:] for entry in self.calls if entry[0] == call]


class KeptTransport:
    """Keeps RTCP; connected when the test says so."""

    def __init__(self) -> None:
        self.engine_peer = 0
        self.state = "new"
        self.sent: list[rtcp.RtcpPacket] = []
        self.closed: list[str] = []
        self.messages: list[tuple[str, bytes]] = []

    def send_rtcp(self, packet: bytes) -> bool:
        self.sent += rtcp.parse(packet)
        return True

    def send_message(self, label: str, data: bytes) -> bool:
        self.messages.append((label, data))
        return True

    async def close(self, reason: str = "") -> None:
        self.closed.append(reason)
        self.state = "closed"


class Observer:
    """Keeps what a peer tells; `fail_on` names an event whose handler raises."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.fail_on = ""

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("on_"):
            raise AttributeError(name)

        def note(*args: object) -> None:
            self.events.append((name.removeprefix("on_"), *args))
            if name == self.fail_on:
                raise RuntimeError("an observer's mistake")

        return note

    def of(self, kind: str) -> list[tuple[Any, ...]]:
        return [event[1:] for event in self.events if event[0] == kind]


class Rig:
    """Everything one test needs."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.engine = TableEngine()
        self.wakes = 0
        self.spawned: list[Coroutine[Any, Any, None]] = []
        self.board = Switchboard(
            self.engine, self.clock, wake=self._wake, spawn=self.spawned.append
        )
        self._peers = count(1)

    def _wake(self) -> None:
        self.wakes += 1

    def peer(self, *, connected: bool = True) -> WirePeer:
        peer = WirePeer(self.board, Observer())
        peer.transport = KeptTransport()
        if connected:
            self.connect(peer)
        return peer

    def connect(self, peer: WirePeer) -> None:
        peer.transport.engine_peer = 500 + next(self._peers)
        peer.transport.state = "connected"
        peer.on_connected()

    def packet(
        self, source: WireSource, ssrc: int, *, pt: int = 96, rid: str = "", repaired: str = ""
    ) -> None:
        """The engine met an SSRC in the source's section."""
        self.board.on_event(
            UnknownSsrc(source.peer.engine_peer, ssrc, pt, source.mid, rid, repaired)
        )

    def camera(self, rids: str = "qhf", peer: WirePeer | None = None) -> WireSource:
        """A video source whose layers are known; SSRC 7000 and up."""
        source = (peer or self.peer()).receive("1", SIMULCAST if rids else CAMERA)
        for place, rid in enumerate(rids or [""]):
            self.packet(source, 7000 + place, rid=rid)
        return source

    def voice(self, peer: WirePeer | None = None) -> WireSource:
        source = (peer or self.peer()).receive("0", AUDIO)
        self.packet(source, 5000, pt=111)
        return source

    def subscribe(self, source: WireSource, peer: WirePeer | None = None, **more: Any) -> WireSink:
        peer = peer or self.peer()
        video = source.kind == "video"
        pts = {"vp8": 120, "vp9": 122} if video else {"opus": 109}
        return peer.send(source, SendParameters("7", peer.new_ssrc(), pts, **more))

    def up(self, source: WireSource, spatial: int = 0) -> int:
        return next(layer.up for layer in source.layers if layer.spatial == spatial)

    def key_frame(self, source: WireSource, spatial: int = 0, **size: int) -> None:
        self.board.on_event(KeyFrame(self.up(source, spatial), 1, 0, **size))

    def pass_time(self, seconds: float, *, alive: bool = True) -> None:
        """Run every timer on the way; `alive`: all ups go on receiving packets."""
        end = self.clock.time + seconds
        while (due := self.board.next_due()) is not None and due <= end:
            self.clock.time = max(due, self.clock.time)
            if alive:
                now_us = int(self.clock.time * 1e6)
                for up, stats in self.engine.ups.items():
                    self.engine.ups[up] = replace(stats, last_arrival_us=now_us)
            self.board.run(self.clock.time)
        self.clock.time = end


def plis(source: WireSource) -> list[int]:
    """SSRCs for which the publisher was asked for key frames."""
    return [p.media for p in source.peer.transport.sent if isinstance(p, rtcp.Pli)]
