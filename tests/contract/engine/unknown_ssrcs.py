"""SSRCs without an up."""

from __future__ import annotations

from roomful_rtc import extensions
from roomful_rtc.engine import (
    UnknownSsrc,
)
from roomful_rtc.rtp import RtpPacket

from .rig import (
    OPUS_PT,
    VP8_PT,
    Rig,
    vp8,
)
from .suite import SSRC, EngineSuite


class UnknownSsrcs(EngineSuite):
    """A part of `EngineContract`."""

    def test_an_unknown_ssrc_is_told_once_with_its_ids(self, rig: Rig) -> None:
        party = rig.party(recv={"mid": 1, "rid": 2, "repaired_rid": 3})
        block = extensions.write([(1, b"0"), (2, b"f")])
        packet = RtpPacket(False, VP8_PT, 7, 1, SSRC, vp8(key=True), (), 0xBEDE, block[4:])
        for number in range(3):
            party.send(packet._replace(seq16=7 + number))
        rig.settle()
        assert rig.of(UnknownSsrc) == [UnknownSsrc(party.peer, SSRC, VP8_PT, "0", "f", "")]

    def test_held_packets_are_replayed(self, rig: Rig) -> None:
        party, listener = rig.party(), rig.party()
        for number in range(3):
            party.send(RtpPacket(False, OPUS_PT, 7 + number, 1, SSRC, bytes((number,))))
        rig.settle()
        up = rig.engine.add_up(party.peer, SSRC, "opus", 48000)
        stats = rig.engine.stats().ups[up]
        assert (stats.packets, stats.highest_seq) == (3, 9)
        assert not listener.datagrams()

    def test_held_packets_expire_and_the_ssrc_is_told_again(self, rig: Rig) -> None:
        party = rig.party()
        packet = RtpPacket(False, OPUS_PT, 7, 1, SSRC, b"x")
        party.send(packet)
        rig.settle()
        rig.turn(600)
        up = rig.engine.add_up(party.peer, SSRC, "opus", 48000)
        assert rig.engine.stats().ups[up].packets == 0
        rig.engine.remove_up(up)
        party.send(packet._replace(seq16=8))
        rig.settle()
        assert len(rig.of(UnknownSsrc)) == 2

    def test_a_packet_that_names_more_is_told(self, rig: Rig) -> None:
        party = rig.party(recv={"mid": 1})
        packet = RtpPacket(False, VP8_PT, 7, 1, SSRC, b"x")
        party.send(packet)
        party.send(packet._replace(seq16=8, profile=0xBEDE, extension=b"\x10a\x00\x00"))
        rig.settle()
        assert [event.mid for event in rig.of(UnknownSsrc)] == ["", "a"]

    def test_new_extension_ids_are_read_from_held_packets(self, rig: Rig) -> None:
        party = rig.party()
        packet = RtpPacket(False, VP8_PT, 7, 1, SSRC, b"x", (), 0xBEDE, b"\x10a\x00\x00")
        party.send(packet)
        rig.settle()
        rig.engine.set_extensions(party.peer, {"mid": 1}, {})
        rig.settle()
        assert [event.mid for event in rig.of(UnknownSsrc)] == ["", "a"]

    def test_unknown_ssrcs_are_bounded(self, rig: Rig) -> None:
        party = rig.party()
        for ssrc in range(1, 90):
            party.send(RtpPacket(False, OPUS_PT, 7, 1, ssrc, b"x"))
        rig.settle()
        assert len(rig.of(UnknownSsrc)) == 64
        drops = rig.engine.stats().drops
        assert drops["too_many_ssrcs"] == 25
        assert drops["held_full"] == 32

    def test_looks_at_unknown_ssrcs_are_bounded(self, rig: Rig) -> None:
        party = rig.party()
        for number in range(150):
            party.send(RtpPacket(False, OPUS_PT, number, 1, SSRC, b"x"))
        rig.settle()
        assert rig.engine.stats().drops["unknown_ssrc"] == 50
