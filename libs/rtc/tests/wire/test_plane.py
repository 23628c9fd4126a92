"""The plane's life: ports, peers, timers, and several planes in one process."""

from __future__ import annotations

import asyncio
import socket

import pytest

from roomful.clock import SystemClock
from roomful.errors import ConfigError, MediaError
from roomful.model.enums import TrackKind
from roomful.model.media import Want
from roomful.model.subscription import Subscription, TrackSettings
from roomful.model.track import Publication, TrackInfo
from roomful_rtc.ice_servers import IceServerSpec
from roomful_rtc.plane import Plane, PlaneConfig

from .client import until
from .conftest import PlaneBench

LOCAL = PlaneConfig(udp_port=0, tcp_port=None, loopback_only=True)


def plane_of(**more: object) -> Plane:
    return Plane(PlaneConfig(**{"udp_port": 0, "tcp_port": None, **more}), SystemClock())


async def test_two_planes_live_in_one_process():
    benches = [PlaneBench(Plane(LOCAL, SystemClock())) for _ in range(2)]
    for bench in benches:
        await bench.plane.start()
    try:
        sources = []
        for bench in benches:
            source, voice, _, _ = await bench.voice()
            voice.say()
            sources.append(source)
        await until(lambda: all(source.codec == "opus" for source in sources))
    finally:
        for bench in benches:
            await bench.stop()

    assert benches[0].plane.udp_port != benches[1].plane.udp_port
    assert benches[0].plane.fingerprint != benches[1].plane.fingerprint


class Sink:
    """A `TrackSink` that counts."""

    def __init__(self) -> None:
        self.packets = self.ends = 0

    def write(self, packet: memoryview, arrival_ns: int) -> None:
        self.packets += 1

    def clock(self, rtp_ts: int, ntp: int, arrival_ns: int) -> None: ...

    def gap(self, count: int, reason: int) -> None: ...

    def end(self) -> None:
        self.ends += 1


def voice_of(sid: str) -> Publication:
    info = TrackInfo(sid, TrackKind.AUDIO, mime_type="audio/opus")
    return Publication("ada", "PA_ada", info)


async def test_stopping_ends_local_media():
    plane = plane_of()
    publication, sink = voice_of("TR_a"), Sink()
    with pytest.raises(RuntimeError):
        plane.source(publication)
    await plane.start()
    source = plane.source(publication)
    assert publication.source is source
    told: list[str] = []
    source.on_ended = told.append
    plane.sink(Subscription("bea", publication), sink)
    source.write(b"\x80\x6f" + bytes(10) + b"sound", 0)
    assert sink.packets == 1

    await plane.stop()

    source.write(b"\x80\x6f" + bytes(10) + b"sound", 0)
    assert (sink.packets, sink.ends, told) == (1, 1, ["the server stops"])
    with pytest.raises(RuntimeError):
        plane.sink(Subscription("bea", publication), sink)


async def test_a_track_without_a_source_is_refused():
    plane = plane_of()
    await plane.start()
    with pytest.raises(MediaError, match="TR_a"):
        plane.sink(Subscription("bea", voice_of("TR_a")), Sink())
    await plane.stop()


async def test_a_want_of_the_settings_is_the_first_one():
    plane = plane_of()
    await plane.start()
    publication, sink = voice_of("TR_a"), Sink()
    source = plane.source(publication)
    handle = plane.sink(Subscription("bea", publication, TrackSettings(disabled=True)), sink)
    source.write(b"\x80\x6f" + bytes(10) + b"sound", 0)
    assert sink.packets == 0
    handle.set(Want())
    source.write(b"\x80\x6f" + bytes(9) + b"\x01sound", 0)
    handle.close()
    assert sink.ends == 1
    await plane.stop()


async def test_stopping_ends_connected_peers_and_leaves_no_task():
    bench = PlaneBench(Plane(LOCAL, SystemClock()))
    await bench.plane.start()
    source, voice, _, observer = await bench.voice()
    peer, _, _ = await bench.join()
    bench.subscribe(peer, source)
    voice.say()
    await until(lambda: source.layers)

    await bench.plane.stop()
    await bench.plane.stop()

    assert bench.plane.peers == ()
    assert not observer.of("failed")
    for client in bench.clients:
        await client.stop()
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_peers_need_a_running_plane(bench):
    idle = plane_of()
    with pytest.raises(RuntimeError):
        idle.peer(None)
    with pytest.raises(RuntimeError):
        _ = idle.candidates
    await idle.stop()


async def test_it_can_be_started_again():
    plane = plane_of()
    for _ in range(2):
        await plane.start()
        assert plane.candidates
        await plane.stop()


async def test_a_failed_start_leaves_the_ports_free():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            udp_port = probe.getsockname()[1]
        plane = plane_of(udp_port=udp_port, tcp_port=taken.getsockname()[1])
        with pytest.raises(ConfigError):
            await plane.start()

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", udp_port))


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"bind": ("nowhere",)}, "rtc.bind"),
        ({"node_ips": ("0.0.0.0",)}, "rtc.node_ip"),
        ({"node_ips": ("example.org",)}, "rtc.node_ip"),
        ({"engine": "rust"}, "rtc.engine"),
        ({"engine": "native"}, "rtc.engine"),
    ],
)
def test_settings_that_cannot_work_are_refused_before_anything_opens(
    settings: dict[str, object], name: str
):
    with pytest.raises(ConfigError, match=name.replace(".", r"\.")) as refused:
        plane_of(**settings)
    assert "\n" not in refused.value.message


async def test_both_families_share_one_port():
    plane = plane_of(bind=("127.0.0.1", "::1"), node_ips=("198.51.100.7",))
    await plane.start()
    try:
        hosts = [candidate.split()[4] for candidate in plane.candidates]
        ports = {candidate.split()[5] for candidate in plane.candidates}
    finally:
        await plane.stop()

    assert hosts == ["198.51.100.7", "::1"]
    assert ports == {str(plane.udp_port)}


def test_clients_are_told_of_ice_servers_with_fresh_credentials():
    plane = plane_of(ice_servers=(IceServerSpec(("turn:t.example.org",), secret="s", ttl_s=60),))
    (server,) = plane.ice_servers("ann")
    expiry, _, identity = server.username.partition(":")
    assert identity == "ann"
    assert int(expiry) > SystemClock().wall_ms() // 1000
