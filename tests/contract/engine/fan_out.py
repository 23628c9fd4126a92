"""Fan-out, rewriting of headers and extensions."""

from __future__ import annotations

import pytest

from roomful_rtc import extensions, rtp
from roomful_rtc.rtp import RtpPacket

from .rig import (
    FIRST_SEQ,
    FIRST_TS,
    OPUS_PT,
    OUT_OPUS,
    Rig,
    Stream,
    elements,
)
from .suite import (
    OUT_SSRC,
    SSRC,
    TURN_DATAGRAMS,
    TURN_PACKETS,
    EngineSuite,
    broken,
    rig_codec,
)


class FanOut(EngineSuite):
    """A part of `EngineContract`."""

    def test_everybody_gets_own_ssrc_payload_type_and_bases(self, rig: Rig) -> None:
        stream = Stream(rig, rig.party(), SSRC, "opus")
        listeners = [rig.party() for _ in range(5)]
        for number, listener in enumerate(listeners):
            self.down(rig, stream.up, listener, ssrc=0x100 + 2 * number)
        stream.send(stream.packet(b"one"), stream.packet(b"two", marker=False))
        for number, listener in enumerate(listeners):
            assert listener.received() == [
                RtpPacket(True, OUT_OPUS, FIRST_SEQ, FIRST_TS, 0x100 + 2 * number, b"one"),
                RtpPacket(
                    False, OUT_OPUS, FIRST_SEQ + 1, FIRST_TS + 1600, 0x100 + 2 * number, b"two"
                ),
            ]

    def test_the_publishers_extensions_csrcs_and_padding_are_stripped(self, rig: Rig) -> None:
        stream, listener = Stream(rig, rig.party(), SSRC, "opus"), rig.party()
        self.down(rig, stream.up, listener)
        packet = stream.packet(b"voice", csrcs=(1, 2), profile=0xBEDE, extension=b"\x10a\x00\x00")
        plain = bytearray(rtp.build(packet) + b"\x00\x00\x03")
        plain[0] |= 0x20
        stream.party.send(bytes(plain))
        rig.settle()
        assert listener.received() == [
            RtpPacket(True, OUT_OPUS, FIRST_SEQ, FIRST_TS, OUT_SSRC, b"voice")
        ]

    def test_extensions_are_written_under_the_subscribers_ids(self, rig: Rig) -> None:
        ids = {"audio_level": 1, "abs_capture_time": 2, "mid": 3}
        stream = Stream(rig, rig.party(recv=ids), SSRC, "opus")
        out = {"abs_send_time": 4, "audio_level": 5, "abs_capture_time": 6}
        listener = rig.party(send=out)
        self.down(rig, stream.up, listener)
        block = extensions.write([(1, b"\x85"), (2, b"capture."), (3, b"m")])
        stream.send(stream.packet(b"v", profile=0xBEDE, extension=block[4:]))
        (packet,) = listener.received()
        assert packet.profile == 0xBEDE
        assert elements(packet) == {
            4: extensions.abs_send_time(rig.now_us),
            5: b"\x85",
            6: b"capture.",
        }

    @pytest.mark.parametrize(
        ("number", "size", "profile"), [(8, 16, 0xBEDE), (8, 17, 0x1000), (20, 3, 0x1000)]
    )
    def test_the_form_of_the_extension_fits(
        self, rig: Rig, number: int, size: int, profile: int
    ) -> None:
        stream = Stream(rig, rig.party(recv={"dependency_descriptor": 30}), SSRC)
        listener = rig.party(send={"dependency_descriptor": number})
        self.down(rig, stream.up, listener)
        descriptor = bytes(range(1, size + 1))
        block = extensions.write([(30, descriptor)])
        stream.send(stream.frame(key=True)._replace(profile=0x1000, extension=block[4:]))
        (packet,) = listener.received()
        assert packet.profile == profile
        assert elements(packet) == {number: descriptor}

    def test_the_first_packets_name_the_mid(self, rig: Rig) -> None:
        stream, listener = Stream(rig, rig.party(), SSRC, "opus"), rig.party(send={"mid": 9})
        self.down(rig, stream.up, listener, mid="a1")
        stream.send(*(stream.packet() for _ in range(100)))
        named = [elements(packet).get(9) for packet in listener.received()]
        assert named[0] == b"a1"
        assert named[-1] is None
        assert len(named) == 100

    def test_a_malformed_extension_costs_only_the_extension(self, rig: Rig) -> None:
        stream, listener = Stream(rig, rig.party(recv={"mid": 1}), SSRC, "opus"), rig.party()
        self.down(rig, stream.up, listener)
        broken = stream.packet(b"a", profile=0xBEDE, extension=b"\x1fa\x00\x00")
        stream.send(broken, stream.packet(b"b"))
        assert [packet.payload for packet in listener.received()] == [b"a", b"b"]

    def test_a_codec_the_subscriber_lacks_is_left_out(self, rig: Rig) -> None:
        stream, listener = Stream(rig, rig.party(), SSRC, "opus"), rig.party()
        self.down(rig, stream.up, listener)
        rig.engine.set_codecs(stream.party.peer, {})
        other = {OPUS_PT: stream.packet().pt}
        assert other
        stream.send(stream.packet(b"a"))
        rig.engine.set_codecs(stream.party.peer, {OPUS_PT: rig_codec("red")})
        stream.send(stream.packet(b"redundant"))
        rig.engine.set_codecs(stream.party.peer, {OPUS_PT: rig_codec("opus")})
        stream.send(stream.packet(b"b"))
        got = listener.received()
        assert [packet.payload for packet in got] == [b"a", b"b"]
        assert [packet.seq16 for packet in got] == [FIRST_SEQ, FIRST_SEQ + 1]
        assert rig.engine.stats().drops["codec_not_wanted"] == 1

    def test_padding_only_packets_leave_no_gap(self, rig: Rig) -> None:
        stream, listener = Stream(rig, rig.party(), SSRC, "opus"), rig.party()
        self.down(rig, stream.up, listener)
        stream.send(stream.packet(b"a"))
        padding = bytearray(rtp.build(stream.packet(b"")) + bytes(9) + b"\x0a")
        padding[0] |= 0x20
        stream.party.send(bytes(padding))
        stream.send(stream.packet(b"b"))
        assert [packet.seq16 for packet in listener.received()] == [FIRST_SEQ, FIRST_SEQ + 1]

    def test_what_would_not_fit_is_dropped(self, rig: Rig) -> None:
        stream, listener = (
            Stream(rig, rig.party(), SSRC, "opus"),
            rig.party(send={"abs_send_time": 1}),
        )
        self.down(rig, stream.up, listener)
        stream.send(stream.packet(bytes(1472)), stream.packet(bytes(1464)))
        assert [len(packet.payload) for packet in listener.received()] == [1464]
        assert rig.engine.stats().drops["too_long"] == 1

    def test_a_wide_fan_out_is_spread_over_turns(self, rig: Rig) -> None:
        stream, listener = Stream(rig, rig.party(), SSRC, "opus"), rig.party()
        for number in range(200):
            self.down(rig, stream.up, listener, ssrc=0x1000 + 2 * number)
        rig.settle()
        for payload in (b"first", b"second"):
            stream.party.send(stream.packet(payload))
        rig.turn()
        assert len(listener.datagrams()) == TURN_PACKETS
        assert rig.engine.next_turn() == 0.0
        rig.turn()
        assert len(listener.datagrams()) == 400 - TURN_PACKETS
        assert rig.engine.next_turn() != 0.0

    def test_one_turn_reads_a_bounded_number_of_datagrams(self, rig: Rig) -> None:
        parties = [rig.party() for _ in range(5)]
        for number in range(270):
            parties[number % 5].send_raw(b"\x16" + bytes(20))
        rig.turn()
        assert len(rig.handed_up) == TURN_DATAGRAMS
        rig.turn()
        assert len(rig.handed_up) == 270

    def test_one_unreachable_subscriber_disturbs_nobody(self, rig: Rig) -> None:
        stream, listener = Stream(rig, rig.party(), SSRC, "opus"), rig.party()
        lost = rig.party()
        self.down(rig, stream.up, lost)
        self.down(rig, stream.up, listener)
        rig.engine.set_tcp(lost.peer, broken)
        stream.send(stream.packet(b"a"), stream.packet(b"b"))
        assert len(listener.received()) == 2
        assert rig.engine.stats().drops["send_error"] == 2
