"""What comes out of `take`, and what never does."""

from __future__ import annotations

import pytest

from roomful_rtc.engine import (
    EngineLimits,
    KeyFrameWanted,
)

from .rig import (
    EngineMaker,
    Rig,
    Stream,
)
from .suite import SSRC, EngineSuite


class HandingUp(EngineSuite):
    """A part of `EngineContract`."""

    def test_only_stun_comes_from_strangers(self, rig: Rig) -> None:
        stranger = rig.stranger()
        stun = b"\x00\x01\x00\x04\x21\x12\xa4\x42" + bytes(12) + b"\x80\x22\x00\x00"
        for data in (stun, b"\x16\xfe\xfd" + bytes(30), b"\x80\xc8\x00\x06" + bytes(24), b"\xff"):
            stranger.send_raw(data)
        rig.settle()
        assert [(item.peer, item.addr, item.data) for item in rig.handed_up] == [
            (0, stranger.addr, stun)
        ]

    @pytest.mark.parametrize(
        "data",
        [
            b"\x00\x01\x00\x00\x21\x12\xa4\x43" + bytes(12),
            b"\x00\x01\x00\x08\x21\x12\xa4\x42" + bytes(12),
            b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(11),
            b"\x00",
            b"",
        ],
    )
    def test_what_is_not_stun_is_dropped(self, rig: Rig, data: bytes) -> None:
        rig.stranger().send_raw(data)
        rig.settle()
        assert not rig.handed_up
        assert sum(rig.engine.stats().drops.values()) == 1

    def test_dtls_and_rtcp_of_a_peer_are_handed_up(self, rig: Rig) -> None:
        party = rig.party()
        for data in (b"\x16\xfe\xfd" + bytes(30), b"\x80\xc8\x00\x06" + bytes(40)):
            party.send_raw(data)
        rig.settle()
        assert [(item.peer, item.data[0], item.arrival_us) for item in rig.handed_up] == [
            (party.peer, 0x16, rig.now_us),
            (party.peer, 0x80, rig.now_us),
        ]

    def test_a_datagram_above_the_cap_is_dropped(self, rig: Rig) -> None:
        party = rig.party()
        party.send_raw(b"\x16" + bytes(1499))
        party.send_raw(b"\x16" + bytes(1500))
        party.send_raw(b"\x16" + bytes(8000))
        rig.settle()
        assert [len(item.data) for item in rig.handed_up] == [1500]
        assert rig.engine.stats().drops["size"] == 2

    def test_the_descriptor_is_readable_when_something_waits(self, rig: Rig) -> None:
        stream = Stream(rig, rig.party(), SSRC)
        rig.settle()
        assert not rig.waits()
        stream.party.send(stream.frame())
        assert rig.waits()
        rig.settle()
        assert not rig.waits()
        self.down(rig, stream.up, rig.party())
        assert rig.waits()
        assert rig.settle() == [KeyFrameWanted(stream.up)]
        assert not rig.waits()

    def test_handed_up_datagrams_are_bounded(self, make_engine: EngineMaker) -> None:
        rig = Rig(make_engine, EngineLimits(handed_up=8))
        party = rig.party()
        for _ in range(20):
            rig.engine.receive(party.addr, b"\x16" + bytes(20), rig.now_us)
        rig.settle()
        assert len(rig.handed_up) == 8
        assert rig.engine.stats().drops["handed_up_full"] == 12
        rig.close()

    def test_one_peer_is_handed_up_a_bounded_number_in_a_turn(self, rig: Rig) -> None:
        loud, quiet = rig.party(), rig.party()
        for _ in range(100):
            loud.send_raw(b"\x16" + bytes(20))
        quiet.send_raw(b"\x16" + bytes(20))
        rig.turn()
        assert [item.peer for item in rig.handed_up] == [loud.peer] * 64 + [quiet.peer]
        assert rig.engine.stats().drops["handed_up_peer"] == 36
        loud.send_raw(b"\x16" + bytes(20))
        rig.turn()
        assert len(rig.handed_up) == 66

    def test_send_goes_to_an_address_or_a_peer(self, rig: Rig) -> None:
        party = rig.party()
        assert rig.engine.send(party.addr, b"to the address")
        assert rig.engine.send(party.peer, b"to the peer")
        assert party.datagrams() == [b"to the address", b"to the peer"]
        assert not rig.engine.send(("127.0.0.1", 0), b"nowhere")
