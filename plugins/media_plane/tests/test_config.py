"""The table `[rtc]`."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from roomful.settings import Settings
from roomful_media_plane.config import IceServerConfig, MediaPlaneConfig

TURN = "turn:turn.example.org:3478?transport=udp"


def settings(**more: object) -> Settings:
    return Settings(data_dir="/nonexistent", **more)


def test_defaults_follow_the_server():
    plane = MediaPlaneConfig().plane(settings(bind=("127.0.0.1", "::1")))
    assert (plane.bind, plane.udp_port, plane.tcp_port) == (("127.0.0.1", "::1"), 7882, 7881)
    assert plane.engine == "auto"
    assert not plane.loopback_only


def test_own_addresses_win_over_the_servers():
    plane = MediaPlaneConfig(bind=("192.0.2.1",)).plane(settings())
    assert plane.bind == ("192.0.2.1",)


@pytest.mark.parametrize(
    ("mode", "bind", "only"),
    [
        ("dev", ("127.0.0.1",), True),
        ("dev", ("127.0.0.1", "192.0.2.1"), False),
        ("serve", ("127.0.0.1",), False),
    ],
)
def test_a_development_server_on_loopback_stays_there(mode: str, bind: tuple[str, ...], only: bool):
    assert MediaPlaneConfig().plane(settings(mode=mode, bind=bind)).loopback_only is only


def test_tcp_can_be_switched_off():
    assert MediaPlaneConfig(tcp=False).plane(settings()).tcp_port is None


@pytest.mark.parametrize(
    "address", ["0.0.0.0", "::", "224.0.0.1", "example.org", "1.2.3", "10.0.0.1/8"]
)
def test_an_address_that_no_client_reaches_is_refused(address: str):
    with pytest.raises(ValidationError, match="node_ip"):
        MediaPlaneConfig.model_validate({"node_ip": address})


@pytest.mark.parametrize(
    ("given", "addresses"),
    [
        ("", ()),
        ("198.51.100.7", ("198.51.100.7",)),
        ("198.51.100.7, 2001:DB8:0::7", ("198.51.100.7", "2001:db8::7")),
        (["198.51.100.7", "2001:db8::7"], ("198.51.100.7", "2001:db8::7")),
    ],
)
def test_one_or_several_addresses_are_advertised(given: object, addresses: tuple[str, ...]):
    assert MediaPlaneConfig.model_validate({"node_ip": given}).node_ip == addresses


@pytest.mark.parametrize("values", [{"udp_port": 65536}, {"engine": "rust"}, {"port": 1}])
def test_wrong_settings_are_refused(values: dict[str, object]):
    with pytest.raises(ValidationError):
        MediaPlaneConfig.model_validate(values)


@pytest.mark.parametrize(
    "server",
    [
        {"urls": []},
        {"urls": ["http://turn.example.org"], "secret": "s"},
        {"urls": ["turn:"], "secret": "s"},
        {"urls": [TURN]},
        {"urls": [TURN], "username": "u"},
        {"urls": [TURN], "username": "u", "credential": "c", "secret": "s"},
        {"urls": [TURN], "secret": "s", "ttl_s": 1},
    ],
)
def test_an_ice_server_that_cannot_work_is_refused(server: dict[str, object]):
    with pytest.raises(ValidationError):
        IceServerConfig.model_validate(server)


def test_stun_needs_no_credentials():
    spec = IceServerConfig(urls=("stun:stun.example.org:3478",)).spec()
    assert (spec.username, spec.credential, spec.secret) == ("", "", "")


def test_secrets_show_nowhere():
    config = MediaPlaneConfig.model_validate(
        {"ice_servers": [{"urls": [TURN], "secret": "marked-secret"}]}
    )
    assert "marked-secret" not in repr(config)
    assert "marked-secret" not in repr(config.plane(settings()))
