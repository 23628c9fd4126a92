"""Start, pause, gaps, and RTX of a publisher."""

from __future__ import annotations

from roomful_rtc import extensions
from roomful_rtc.engine import (
    Gap,
    KeyFrame,
    KeyFrameWanted,
    Recovered,
    UnknownSsrc,
)
from roomful_rtc.rtp import RtpPacket

from .rig import (
    FIRST_SEQ,
    FIRST_TS,
    OUT_VP8,
    RTX_PT,
    Rig,
    Stream,
    vp8,
)
from .suite import RTX_SSRC, SSRC, EngineSuite, pid_of


class Flow(EngineSuite):
    """A part of `EngineContract`."""

    def test_video_starts_with_a_key_frame(self, rig: Rig, video: Stream) -> None:
        listener = rig.party()
        self.down(rig, video.up, listener)
        assert rig.settle() == [KeyFrameWanted(video.up)]
        video.send(video.frame(), video.frame(key=True), video.frame())
        got = listener.received()
        assert [packet.seq16 for packet in got] == [FIRST_SEQ, FIRST_SEQ + 1]
        assert [packet.ts for packet in got] == [FIRST_TS, FIRST_TS + 3000]
        assert [packet.pt for packet in got] == [OUT_VP8, OUT_VP8]
        assert rig.of(KeyFrame) == [KeyFrame(video.up, 101, 13_000, 640, 360)]

    def test_a_key_frame_is_asked_for_again_while_packets_come(
        self, rig: Rig, video: Stream
    ) -> None:
        self.down(rig, video.up, rig.party())
        for _ in range(30):
            video.send(video.frame())
            rig.turn(100)
        assert 3 <= len(rig.of(KeyFrameWanted)) <= 5
        for _ in range(100):
            rig.turn(100)
        asked = len(rig.of(KeyFrameWanted))
        assert asked <= 7
        video.send(video.frame())
        rig.turn(600)
        assert len(rig.of(KeyFrameWanted)) == asked + 1

    def test_pause_and_resume_leave_no_gap(self, rig: Rig, video: Stream) -> None:
        listener = rig.party()
        down = self.down(rig, video.up, listener)
        video.send(video.frame(key=True), video.frame())
        rig.engine.set_down(down, False)
        video.send(video.frame(), video.frame(key=True))
        rig.engine.set_down(down, True)
        assert rig.settle() == [KeyFrameWanted(video.up)]
        video.send(video.frame(), video.frame(key=True), video.frame())
        got = listener.received()
        assert [packet.seq16 for packet in got] == [FIRST_SEQ + n for n in range(4)]
        assert [packet.ts - FIRST_TS for packet in got] == [0, 3000, 15_000, 18_000]
        assert [pid_of(packet) for packet in got] == [1, 2, 3, 4]

    def test_a_lost_packet_leaves_its_number_free(self, rig: Rig, video: Stream) -> None:
        listener = rig.party()
        self.down(rig, video.up, listener)
        frames = [video.frame(key=not number) for number in range(5)]
        video.send(*frames[:2], *frames[4:])
        assert [packet.seq16 - FIRST_SEQ for packet in listener.received()] == [0, 1, 4]
        assert rig.of(Gap) == [Gap(video.up, 102, 2)]
        video.send(frames[3], frames[2])
        assert [packet.seq16 - FIRST_SEQ for packet in listener.received()] == [3, 2]
        assert rig.of(Recovered) == [Recovered(video.up, 103), Recovered(video.up, 102)]
        assert rig.engine.stats().ups[video.up].lost == 0

    def test_a_leap_is_one_gap(self, rig: Rig, video: Stream) -> None:
        listener = rig.party()
        self.down(rig, video.up, listener)
        video.send(video.frame(key=True))
        video.seq += 2000
        video.send(video.frame(), video.frame())
        assert [packet.seq16 - FIRST_SEQ for packet in listener.received()] == [0, 2, 3]
        assert not rig.of(Gap)

    def test_a_late_first_packet_of_a_key_frame_starts_the_video(
        self, rig: Rig, video: Stream
    ) -> None:
        listener = rig.party()
        self.down(rig, video.up, listener)
        before = video.frame()
        first = video.packet(vp8(2, key=True), marker=False)
        rest = video.packet(vp8(2, begins=False), ts=first.ts)
        after = video.frame()
        video.send(before, rest, after, first)
        got = listener.received()
        assert [packet.seq16 - FIRST_SEQ for packet in got] == [0, 1, 2]
        assert [packet.payload for packet in got] == [first.payload, rest.payload, after.payload]

    def test_rtx_of_a_publisher_fills_the_gap(self, rig: Rig) -> None:
        stream, listener = Stream(rig, rig.party(), SSRC, rtx_ssrc=RTX_SSRC), rig.party()
        self.down(rig, stream.up, listener)
        frames = [stream.frame(key=not number) for number in range(3)]
        stream.send(frames[0], frames[2])
        lost = frames[1]
        repair = RtpPacket(
            True, RTX_PT, 5000, lost.ts, RTX_SSRC, lost.seq16.to_bytes(2, "big") + lost.payload
        )
        stream.party.send(repair)
        stream.party.send(repair._replace(seq16=5001))
        stream.party.send(RtpPacket(False, RTX_PT, 5002, lost.ts, RTX_SSRC, b""))
        rig.settle()
        got = listener.received()
        assert [packet.seq16 - FIRST_SEQ for packet in got] == [0, 2, 1]
        assert got[2].payload == lost.payload
        assert got[2].pt == OUT_VP8
        assert rig.of(Recovered) == [Recovered(stream.up, 101)]

    def test_an_rtx_stream_can_be_named_later(self, rig: Rig) -> None:
        publisher = rig.party(recv={"mid": 1, "repaired_rid": 2})
        stream, listener = Stream(rig, publisher, SSRC), rig.party()
        self.down(rig, stream.up, listener)
        frames = [stream.frame(key=not number) for number in range(3)]
        stream.send(frames[0], frames[2])
        lost, block = frames[1], extensions.write([(1, b"0"), (2, b"h")])
        payload = lost.seq16.to_bytes(2, "big") + lost.payload
        publisher.send(
            RtpPacket(True, RTX_PT, 9, lost.ts, RTX_SSRC, payload, (), 0xBEDE, block[4:])
        )
        rig.settle()
        assert rig.of(UnknownSsrc) == [UnknownSsrc(publisher.peer, RTX_SSRC, RTX_PT, "0", "", "h")]
        rig.engine.set_rtx(stream.up, RTX_SSRC)
        rig.settle()
        assert [packet.seq16 - FIRST_SEQ for packet in listener.received()] == [0, 2, 1]
