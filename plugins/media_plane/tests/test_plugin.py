"""The plugin's hook, on a server's settings."""

from __future__ import annotations

import socket
from types import SimpleNamespace

import pytest

from roomful.clock import SystemClock
from roomful.errors import ConfigError
from roomful.settings import Settings
from roomful_media_plane.config import MediaPlaneConfig
from roomful_media_plane.plugin import MediaPlanePlugin
from roomful_rtc.plane import Plane


def plane_of(**rtc: object) -> Plane:
    config = MediaPlaneConfig.model_validate({"udp_port": 0, "tcp_port": 0, **rtc})
    server = SimpleNamespace(settings=Settings(data_dir="/nonexistent"), clock=SystemClock())
    return MediaPlanePlugin(config).media_plane(server)


async def test_hook_media_plane_offers_a_plane_that_starts_and_stops():
    plane = plane_of()

    await plane.start()
    try:
        udp, tcp = plane.udp_port, plane.tcp_port
        candidates = plane.candidates
    finally:
        await plane.stop()

    assert udp
    assert tcp
    assert [c.split()[2] for c in candidates] == ["udp", "tcp"]
    assert f"127.0.0.1 {udp} typ host" in candidates[0]
    assert f"127.0.0.1 {tcp} typ host tcptype passive" in candidates[1]
    await plane.stop()


async def test_the_node_ip_is_what_clients_are_told():
    plane = plane_of(node_ip="198.51.100.7", tcp=False)

    await plane.start()
    try:
        (candidate,) = plane.candidates
    finally:
        await plane.stop()

    assert candidate.split()[4:6] == ["198.51.100.7", str(plane.udp_port)]


@pytest.mark.parametrize(
    ("kind", "setting"), [(socket.SOCK_DGRAM, "udp_port"), (socket.SOCK_STREAM, "tcp_port")]
)
async def test_a_taken_port_is_named_in_one_line(kind: socket.SocketKind, setting: str):
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        plane = plane_of(**{setting: taken.getsockname()[1]})

        with pytest.raises(ConfigError) as refused:
            await plane.start()

    assert f"rtc.{setting}" in refused.value.message
    assert "\n" not in refused.value.message
    with pytest.raises(RuntimeError):
        _ = plane.engine


async def test_the_native_engine_is_refused_naming_the_extra():
    with pytest.raises(ConfigError, match=r"rtc\.engine.*roomful\[native\]"):
        plane_of(engine="native")


async def test_auto_takes_the_python_engine_and_says_so_once(caplog: pytest.LogCaptureFixture):
    with caplog.at_level("INFO", logger="roomful_rtc.plane"):
        plane_of()
    assert [r.message for r in caplog.records if "engine" in r.message] == [
        "the Python engine forwards media: roomful-engine is not installed"
    ]


async def test_an_engine_that_cannot_do_without_replay_protection_says_so():
    with pytest.raises(ConfigError, match=r"rtc\.replay_protection"):
        plane_of(replay_protection=False)
