"""SRTP both ways."""

from __future__ import annotations

import pytest

from roomful_rtc import rtp
from roomful_rtc.rtp import RtpPacket

from .rig import (
    FIRST_SEQ,
    EngineMaker,
    Rig,
    Stream,
)
from .suite import OUT_SSRC, PROFILES, SSRC, EngineSuite, libsrtp


class Srtp(EngineSuite):
    """A part of `EngineContract`."""

    @pytest.mark.parametrize("profile", PROFILES)
    def test_packets_are_those_of_the_rfc(self, rig: Rig, profile: str) -> None:
        stream = Stream(rig, rig.party(profile), SSRC, "opus")
        listener = rig.party(profile)
        self.down(rig, stream.up, listener)
        stream.send(*(stream.packet(bytes((number,)) * 40) for number in range(5)))
        got = listener.received()
        assert [packet.payload for packet in got] == [bytes((n,)) * 40 for n in range(5)]
        assert {packet.ssrc for packet in got} == {OUT_SSRC}

    @pytest.mark.parametrize("profile", PROFILES)
    def test_libsrtp_understands_both_ways(self, rig: Rig, profile: str) -> None:
        publisher, listener = rig.party(profile), rig.party(profile)
        stream = Stream(rig, publisher, SSRC, "opus")
        self.down(rig, stream.up, listener)
        sender = libsrtp(profile, publisher.raw_keys[1], inbound=False)
        reader = libsrtp(profile, listener.raw_keys[2], inbound=True)
        for number in range(300):
            publisher.send_raw(
                sender.protect(rtp.build(stream.packet(bytes((number & 255,)) * 60)))
            )
            rig.turn()
        rig.settle()
        plain = [rtp.parse(reader.unprotect(datagram)) for datagram in listener.datagrams()]
        assert [packet.payload[0] for packet in plain] == [n & 255 for n in range(300)]

    @pytest.mark.parametrize("profile", PROFILES)
    def test_numbers_roll_over(self, rig: Rig, profile: str) -> None:
        stream = Stream(rig, rig.party(profile), SSRC, "opus")
        listener = rig.party(profile)
        down = self.down(rig, stream.up, listener)
        stream.seq = 65_400
        for number in range(300):
            packet = stream.packet(number.to_bytes(2, "big"))
            stream.party.send(packet, (stream.seq - 1) >> 16)
            rig.turn()
        rig.settle()
        got = listener.received()
        assert [int.from_bytes(packet.payload, "big") for packet in got] == list(range(300))
        assert [packet.seq16 for packet in got] == list(range(FIRST_SEQ, FIRST_SEQ + 300))
        assert rig.engine.stats().ups[stream.up].highest_seq == 65_699
        assert rig.engine.stats().downs[down].last_seq == FIRST_SEQ + 299

    @pytest.mark.parametrize("profile", PROFILES)
    def test_outgoing_numbers_roll_over(self, make_engine: EngineMaker, profile: str) -> None:
        rig = Rig(make_engine, below=lambda _: 65_500)
        stream, listener = Stream(rig, rig.party(profile), SSRC, "opus"), rig.party(profile)
        self.down(rig, stream.up, listener)
        for _ in range(100):
            stream.send(stream.packet())
        assert [packet.seq16 for packet in listener.received()] == [
            number & 0xFFFF for number in range(65_500, 65_600)
        ]
        assert listener.rocs[OUT_SSRC] == (1, 63)
        rig.close()

    def test_a_forged_packet_is_counted_and_dropped(self, rig: Rig) -> None:
        stream, listener = Stream(rig, rig.party(), SSRC, "opus"), rig.party()
        self.down(rig, stream.up, listener)
        stream.send(stream.packet(b"genuine"))
        datagram = bytearray(stream.party.keys_out.protect(rtp.build(stream.packet(b"forged")), 0))
        datagram[-1] ^= 1
        stream.party.send_raw(bytes(datagram))
        rig.settle()
        assert [packet.payload for packet in listener.received()] == [b"genuine"]
        assert rig.engine.stats().peers[stream.party.peer][2] == 1

    def test_a_replayed_packet_is_forwarded_once(self, rig: Rig) -> None:
        stream, listener = Stream(rig, rig.party(), SSRC, "opus"), rig.party()
        self.down(rig, stream.up, listener)
        datagram = stream.party.send(stream.packet(b"once"))
        stream.send(stream.packet(b"next"))
        stream.party.send_raw(datagram)
        rig.settle()
        assert [packet.payload for packet in listener.received()] == [b"once", b"next"]
        assert rig.engine.stats().drops["replayed"] == 1

    def test_keys_are_given_once(self, rig: Rig) -> None:
        party = rig.party()
        with pytest.raises(ValueError, match="keys"):
            rig.engine.set_keys(party.peer, *party.raw_keys)

    @pytest.mark.parametrize("profile", [*PROFILES, "null"])
    def test_keys_of_a_wrong_length_or_profile_are_refused(self, rig: Rig, profile: str) -> None:
        party = rig.stranger()
        peer = rig.engine.add_peer(party.addr)
        with pytest.raises(ValueError):
            rig.engine.set_keys(peer, profile, bytes(29), bytes(29))

    def test_no_rtp_passes_without_keys(self, rig: Rig) -> None:
        party = rig.stranger()
        party.peer = rig.engine.add_peer(party.addr)
        party.send(RtpPacket(False, 111, 1, 1, SSRC, b"early"))
        rig.settle()
        assert not rig.events
        assert rig.engine.stats().drops["no_keys"] == 1
