"""Peers and their addresses."""

from __future__ import annotations

import socket

import pytest

from roomful_rtc import rtp
from roomful_rtc.engine import (
    EngineLimits,
)

from .rig import (
    EngineMaker,
    Rig,
    Stream,
)
from .suite import SSRC, EngineSuite


class Peers(EngineSuite):
    """A part of `EngineContract`."""

    def test_rtp_counts_from_allowed_addresses_only(self, rig: Rig) -> None:
        stream, listener = Stream(rig, rig.party(), SSRC, "opus"), rig.party()
        self.down(rig, stream.up, listener)
        other = rig.stranger()

        def from_other(payload: bytes) -> None:
            packet = rtp.build(stream.packet(payload))
            other.send_raw(stream.party.keys_out.protect(packet, 0))
            rig.settle()

        from_other(b"unknown")
        rig.engine.allow(stream.party.peer, other.addr)
        from_other(b"allowed")
        rig.engine.disallow(stream.party.peer, other.addr)
        from_other(b"disallowed")
        assert [packet.payload for packet in listener.received()] == [b"allowed"]

    def test_a_moved_peer_is_sent_to_its_new_address(self, rig: Rig) -> None:
        stream, listener, other = (
            Stream(rig, rig.party(), SSRC, "opus"),
            rig.party(),
            rig.stranger(),
        )
        self.down(rig, stream.up, listener)
        stream.send(stream.packet(b"old"))
        rig.engine.move_peer(listener.peer, other.addr)
        stream.send(stream.packet(b"new"))
        assert [packet.payload for packet in listener.received()] == [b"old"]
        other.keys_in, other.rocs = listener.keys_in, listener.rocs
        assert [packet.payload for packet in other.received()] == [b"new"]

    def test_an_address_of_another_peer_is_refused(self, rig: Rig) -> None:
        one, other = rig.party(), rig.party()
        with pytest.raises(ValueError, match="address"):
            rig.engine.allow(one.peer, other.addr)
        with pytest.raises(ValueError, match="address"):
            rig.engine.add_peer(other.addr)
        rig.engine.remove_peer(other.peer)
        rig.engine.allow(one.peer, other.addr)

    def test_tcp_carries_both_ways(self, rig: Rig) -> None:
        stream = Stream(rig, rig.party(), SSRC, "opus")
        listener = rig.stranger()
        listener.peer = rig.engine.add_peer(("tcp:192.0.2.7", 4000))
        rig.engine.set_keys(listener.peer, *listener.raw_keys)
        self.down(rig, stream.up, listener)
        written: list[bytes] = []
        stream.send(stream.packet(b"nowhere"))
        rig.engine.set_tcp(listener.peer, written.append)
        stream.send(stream.packet(b"by tcp"))
        assert [rtp.parse(listener.open(data)).payload for data in written] == [b"by tcp"]
        rig.engine.receive(("tcp:192.0.2.7", 4000), b"\x16" + bytes(20), 5)
        rig.settle()
        assert [(item.peer, item.arrival_us) for item in rig.handed_up] == [(listener.peer, 5)]

    def test_ipv6_peers_are_served(self, make_engine: EngineMaker) -> None:
        if not socket.has_ipv6:
            pytest.fail("this machine has no IPv6")
        four, six, far = (
            socket.socket(family, socket.SOCK_DGRAM)
            for family in (socket.AF_INET, socket.AF_INET6, socket.AF_INET6)
        )
        six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        for sock, host in ((four, "127.0.0.1"), (six, "::1"), (far, "::1")):
            sock.bind((host, 0))
        far.setblocking(False)
        engine = make_engine([four, six], EngineLimits(), now_us=lambda: 1, below=lambda _: 1)
        peer = engine.add_peer(far.getsockname()[:2])
        assert engine.send(peer, b"over six")
        assert far.recv(100) == b"over six"
        far.sendto(b"\x16" + bytes(20), six.getsockname())
        datagrams, _ = engine.take()
        assert [(item.peer, item.addr) for item in datagrams] == [(peer, far.getsockname()[:2])]
        engine.close()
        far.close()

    def test_mapped_addresses_are_ipv4(self, make_engine: EngineMaker) -> None:
        dual = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        dual.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        dual.bind(("::", 0))
        far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        far.bind(("127.0.0.1", 0))
        far.setblocking(False)
        engine = make_engine([dual], EngineLimits(), now_us=lambda: 1, below=lambda _: 1)
        peer = engine.add_peer(far.getsockname())
        far.sendto(b"\x16" + bytes(20), ("127.0.0.1", dual.getsockname()[1]))
        datagrams, _ = engine.take()
        assert [(item.peer, item.addr) for item in datagrams] == [(peer, far.getsockname())]
        assert engine.send(peer, b"back")
        assert far.recv(100) == b"back"
        engine.close()
        far.close()
