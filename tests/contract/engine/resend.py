"""Resends to subscribers."""

from __future__ import annotations

from roomful_rtc import extensions
from roomful_rtc.rtp import RtpPacket

from .rig import (
    FIRST_SEQ,
    OUT_PTS,
    OUT_RTX,
    Rig,
    Stream,
)
from .suite import OUT_SSRC, EngineSuite


class Resend(EngineSuite):
    """A part of `EngineContract`."""

    def test_a_resend_is_rtx(self, rig: Rig, video: Stream) -> None:
        listener = rig.party(send={"abs_send_time": 2})
        down = self.down(rig, video.up, listener)
        video.send(video.frame(key=True), video.frame(), video.frame())
        sent = listener.received()
        rig.turn(30)
        assert rig.engine.resend(down, [sent[1].seq16, sent[2].seq16, 3]) == 2
        got = listener.received()
        assert got[0] == RtpPacket(
            True,
            OUT_RTX,
            FIRST_SEQ,
            sent[1].ts,
            OUT_SSRC + 1,
            sent[1].seq16.to_bytes(2, "big") + sent[1].payload,
            (),
            0xBEDE,
            extensions.write([(2, extensions.abs_send_time(rig.now_us))])[4:],
        )
        assert got[1].seq16 == FIRST_SEQ + 1
        assert rig.engine.stats().downs[down].resent == 2

    def test_a_resend_without_rtx_repeats_the_bytes(self, rig: Rig, video: Stream) -> None:
        listener = rig.party(send={"abs_send_time": 2})
        down = self.down(rig, video.up, listener, rtx=False)
        video.send(video.frame(key=True), video.frame())
        sent = listener.datagrams()
        rig.turn(30)
        assert rig.engine.resend(down, [FIRST_SEQ + 1]) == 1
        assert listener.datagrams() == sent[1:]

    def test_nothing_is_resent_where_no_nack_was_negotiated(self, rig: Rig, video: Stream) -> None:
        listener = rig.party()
        down = rig.engine.add_down(video.up, listener.peer, OUT_SSRC, OUT_PTS, nack=False)
        rig.engine.set_down(down, True)
        video.send(video.frame(key=True))
        assert rig.engine.resend(down, [FIRST_SEQ]) == 0

    def test_the_same_number_is_resent_three_times_with_pauses(
        self, rig: Rig, video: Stream
    ) -> None:
        down = self.down(rig, video.up, rig.party())
        video.send(video.frame(key=True))
        counts: list[int] = []
        for _ in range(5):
            counts += [rig.engine.resend(down, [FIRST_SEQ]), rig.engine.resend(down, [FIRST_SEQ])]
            rig.turn(25)
        assert counts == [1, 0, 1, 0, 1, 0, 0, 0, 0, 0]

    def test_resends_keep_to_their_budget(self, rig: Rig, video: Stream) -> None:
        listener = rig.party()
        down = self.down(rig, video.up, listener)
        video.send(video.frame(key=True, fill=1000))
        for _ in range(399):
            video.send(video.frame(fill=1000))
        sent = sum(len(packet.payload) for packet in listener.received())
        rig.turn(500)
        assert rig.engine.resend(down, range(FIRST_SEQ, FIRST_SEQ + 400)) >= 64
        resent = sum(len(packet.payload) for packet in listener.received())
        assert resent <= sent // 4 + 1500

    def test_a_quiet_down_may_resend_64_packets(self, rig: Rig, video: Stream) -> None:
        listener = rig.party()
        down = self.down(rig, video.up, listener)
        video.send(video.frame(key=True))
        for _ in range(99):
            video.send(video.frame())
        rig.turn(5000)
        video.send(video.frame())
        rig.engine.resend(down, [0])
        rig.turn(5000)
        assert rig.engine.resend(down, range(FIRST_SEQ, FIRST_SEQ + 100)) == 64

    def test_history_is_bounded(self, rig: Rig, video: Stream) -> None:
        down = self.down(rig, video.up, rig.party())
        video.send(video.frame(key=True))
        for _ in range(600):
            video.send(video.frame())
        assert rig.engine.resend(down, [FIRST_SEQ + 80]) == 0
        assert rig.engine.resend(down, [FIRST_SEQ + 100]) == 1
