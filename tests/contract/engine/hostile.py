"""Hostile input, and one nonce for one content."""

from __future__ import annotations

import random

import pytest
from pylibsrtp import Error

from roomful_rtc import extensions, rtp
from roomful_rtc.engine import (
    AES_256_GCM,
)
from roomful_rtc.rtp import RtpPacket

from .rig import (
    FIRST_SEQ,
    RTX_PT,
    Rig,
    Stream,
    vp8,
)
from .suite import SSRC, EngineSuite, changed, libsrtp


class Hostile(EngineSuite):
    """A part of `EngineContract`."""

    def test_no_packet_of_a_member_upsets_the_engine(self, rig: Rig) -> None:
        """2,000 mutations of plain packets, properly protected."""
        ids = {"mid": 1, "rid": 2, "twcc": 3, "audio_level": 4, "dependency_descriptor": 5}
        publisher, listener = rig.party(recv=ids), rig.party(send={"dependency_descriptor": 7})
        witness = Stream(rig, rig.party(), SSRC, "opus")
        self.down(rig, witness.up, listener, ssrc=0x900)
        streams = [
            Stream(rig, publisher, SSRC + 2 * n, codec, rtx_ssrc=SSRC + 2 * n + 1)
            for n, codec in enumerate(("vp8", "h264", "opus"))
        ]
        for number, stream in enumerate(streams):
            self.down(rig, stream.up, listener, ssrc=0x1000 + 2 * number)
        sender = libsrtp(AES_256_GCM, publisher.raw_keys[1], inbound=False)
        block = extensions.write([(1, b"0"), (3, b"ab"), (4, b"\x85"), (5, bytes(9))])
        chance = random.Random(7)
        for number in range(2000):
            stream = chance.choice(streams)
            payload = vp8(number, key=number % 5 == 0) if stream.codec == "vp8" else b"\x65" * 20
            packet = stream.packet(payload, profile=0xBEDE, extension=block[4:])
            if chance.random() < 0.2:
                osn = (stream.seq - chance.randrange(20)).to_bytes(4, "big")[2:]
                packet = packet._replace(ssrc=packet.ssrc + 1, pt=RTX_PT, payload=osn + payload)
            data = changed(rtp.build(packet), chance)
            try:
                publisher.send_raw(sender.protect(data))
            except Error:
                publisher.send_raw(data)
            if number % 16 == 0:
                rig.turn(chance.randrange(30))
        witness.send(witness.packet(b"still here"))
        assert b"still here" in [packet.payload for packet in listener.received()]

    def test_no_datagram_of_a_stranger_upsets_the_engine(self, rig: Rig) -> None:
        party, stranger, chance = rig.party(), rig.stranger(), random.Random(9)
        for number in range(2000):
            data = chance.randbytes(chance.randrange(60))
            (party if number % 2 else stranger).send_raw(changed(data, chance))
            if number % 32 == 0:
                rig.turn()
        rig.settle()
        assert all(item.peer for item in rig.handed_up if item.data[0] > 3)

    @pytest.mark.parametrize("seed", range(6))
    def test_no_index_protects_two_contents(self, rig: Rig, seed: int) -> None:
        chance = random.Random(seed)
        party, listener = rig.party(), rig.party(send={"abs_send_time": 1})
        layers = [Stream(rig, party, 0xA1 + 2 * n, rtx_ssrc=0xA2 + 2 * n) for n in range(3)]
        downs = [
            self.down(rig, layers[0].up, listener, ssrc=0x100 + 2 * n, rtx=n < 2) for n in range(4)
        ]
        seen: dict[tuple[int, int, int], bytes] = {}
        kept: list[tuple[Stream, RtpPacket]] = []
        for _ in range(800):
            self.random_step(rig, chance, layers, downs, kept)
            for datagram in listener.datagrams():
                listener.open(datagram)
                ssrc = int.from_bytes(datagram[8:12], "big")
                index = (ssrc, listener.rocs[ssrc][0], int.from_bytes(datagram[2:4], "big"))
                assert seen.setdefault(index, datagram) == datagram
        assert len(seen) > 400

    def random_step(
        self,
        rig: Rig,
        chance: random.Random,
        layers: list[Stream],
        downs: list[int],
        kept: list[tuple[Stream, RtpPacket]],
    ) -> None:
        """Send, lose, delay, switch, cap, pause or resend something."""
        rig.turn(chance.choice((0, 1, 10, 33)))
        down, stream = chance.choice(downs), chance.choice(layers)
        match chance.randrange(12):
            case 0:
                rig.engine.switch(down, stream.up, ts_offset=chance.choice((None, 0, 5000)))
            case 1:
                rig.engine.set_down(
                    down, chance.random() < 0.8, max_temporal=chance.choice((0, 1, 255))
                )
            case 2:
                first = FIRST_SEQ + chance.randrange(100)
                rig.engine.resend(down, range(first, first + 40))
            case 3 if kept:
                late, packet = kept.pop(chance.randrange(len(kept)))
                late.send(packet)
            case _:
                packet = stream.frame(
                    key=chance.random() < 0.4, tid=chance.randrange(3), sync=chance.randrange(2)
                )
                if chance.random() < 0.15:
                    kept.append((stream, packet))
                else:
                    stream.send(packet)
