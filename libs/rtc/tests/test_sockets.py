"""Binding the media port and what to advertise for it."""

from __future__ import annotations

import contextlib
import logging
import socket

import pytest

from roomful.errors import ConfigError
from roomful_rtc.sockets import advertised, bind_udp


@contextlib.contextmanager
def bound(*addresses):
    sockets = bind_udp(addresses)
    try:
        yield sockets
    finally:
        for sock in sockets:
            sock.close()


def test_addresses_share_the_free_port_that_was_taken():
    with bound(("127.0.0.1", 0), ("127.0.0.2", 0)) as sockets:
        ports = {sock.getsockname()[1] for sock in sockets}

        assert len(ports) == 1
        assert not any(sock.getblocking() for sock in sockets)


def test_granted_buffers_are_logged_once(caplog):
    with caplog.at_level(logging.INFO), bound(("127.0.0.1", 0), ("127.0.0.2", 0)):
        records = [r for r in caplog.records if r.message == "media sockets are bound"]

    assert len(records) == 1
    assert records[0].receive_bytes > 0


def test_taken_port_is_a_config_error_that_names_the_setting():
    with bound(("127.0.0.1", 0)) as sockets:
        taken = sockets[0].getsockname()[1]

        with pytest.raises(ConfigError, match=rf"rtc.udp_port: cannot bind 127.0.0.1:{taken}"):
            bind_udp([("127.0.0.1", taken)])


def test_bound_address_is_advertised_unless_the_node_has_another():
    with bound(("127.0.0.1", 0)) as sockets:
        port = sockets[0].getsockname()[1]

        assert advertised(sockets) == [("127.0.0.1", port)]
        assert advertised(sockets, ["203.0.113.9"]) == [("203.0.113.9", port)]
        assert advertised(sockets, ["2001:db8::1"]) == [("127.0.0.1", port)]


def test_socket_on_every_address_is_advertised_with_a_real_one():
    with bound(("0.0.0.0", 0)) as sockets:
        port = sockets[0].getsockname()[1]

        assert advertised(sockets, loopback_only=True) == [("127.0.0.1", port)]
        ((host, _),) = advertised(sockets)
        assert socket.inet_aton(host) != bytes(4)
