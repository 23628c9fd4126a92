"""The plane's life: ports, peers, timers, and several planes in one process."""

from __future__ import annotations

import asyncio
import socket

import pytest

from roomful.clock import SystemClock
from roomful.errors import ConfigError
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
