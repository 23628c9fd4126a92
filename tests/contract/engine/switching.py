"""Layer switches and temporal layers."""

from __future__ import annotations

from itertools import pairwise

from roomful_rtc.engine import (
    KeyFrameWanted,
    Switched,
    SwitchTimedOut,
)

from .rig import (
    FIRST_SEQ,
    Rig,
    Stream,
    vp8,
)
from .suite import EngineSuite, pid_of, tl0_of


class Switching(EngineSuite):
    """A part of `EngineContract`."""

    def test_a_switch_waits_for_the_key_frame_and_continues(self, rig: Rig) -> None:
        low, high, listener, down = self.simulcast(rig)
        low.send(low.frame(key=True), low.frame())
        rig.engine.switch(down, high.up)
        assert KeyFrameWanted(high.up) in rig.settle()
        high.send(high.frame())
        low.send(low.frame())
        rig.now_us += 33_000
        high.send(high.frame(key=True), high.frame())
        low.send(low.frame())
        got = listener.received()
        assert [packet.seq16 - FIRST_SEQ for packet in got] == [0, 1, 2, 3, 4]
        assert [pid_of(packet) for packet in got] == [1, 2, 3, 4, 5]
        assert [tl0_of(packet) for packet in got] == [1, 2, 3, 4, 5]
        times = [packet.ts for packet in got]
        assert times == sorted(times)
        assert times[3] - times[2] == 3000
        assert rig.of(Switched) == [Switched(down, high.up)]
        assert rig.engine.stats().downs[down].up == high.up

    def test_a_switch_uses_the_offset_of_the_reports(self, rig: Rig) -> None:
        low, high, listener, down = self.simulcast(rig)
        high.ts = low.ts + 1_000_000
        low.send(low.frame(key=True))
        rig.engine.switch(down, high.up, ts_offset=1_000_000)
        rig.now_us += 40_000
        high.ts += 3500
        high.send(high.frame(key=True))
        got = listener.received()
        assert got[1].ts - got[0].ts == 3500
        offset = rig.engine.stats().downs[down].ts_offset
        assert got[1].ts == (high.ts - high.step + offset) & 0xFFFFFFFF

    def test_a_switch_never_goes_backwards_or_far_ahead(self, rig: Rig) -> None:
        low, high, listener, down = self.simulcast(rig)
        low.send(low.frame(key=True))
        for target, other, offset in ((high, low, 90_000 * 60), (low, high, -90_000 * 60)):
            rig.engine.switch(down, target.up, ts_offset=offset)
            rig.now_us += 33_000
            target.send(target.frame(key=True))
            other.send(other.frame())
        times = [packet.ts for packet in listener.received()]
        assert len(times) == 3
        assert all(0 < later - earlier <= 93_000 for earlier, later in pairwise(times))

    def test_late_packets_of_the_old_layer_are_dropped_after_a_switch(self, rig: Rig) -> None:
        low, high, listener, down = self.simulcast(rig)
        frames = [low.frame(key=not number) for number in range(3)]
        older = high.frame()
        low.send(frames[0], frames[2])
        rig.engine.switch(down, high.up)
        key = high.frame(key=True)
        high.send(high.packet(vp8(9), seq16=key.seq16 - 2), key)
        low.send(frames[1])
        high.send(older)
        got = listener.received()
        assert [packet.seq16 - FIRST_SEQ for packet in got] == [0, 2, 3]

    def test_a_nack_is_answered_from_before_and_after_a_switch(self, rig: Rig) -> None:
        low, high, listener, down = self.simulcast(rig)
        low.send(low.frame(key=True), low.frame())
        rig.engine.switch(down, high.up)
        high.send(high.frame(key=True), high.frame())
        sent = listener.received()
        rig.turn(30)
        assert rig.engine.resend(down, [packet.seq16 for packet in sent]) == 4
        again = listener.received()
        assert [packet.payload for packet in again] == [
            packet.seq16.to_bytes(2, "big") + packet.payload for packet in sent
        ]
        assert [packet.ts for packet in again] == [packet.ts for packet in sent]

    def test_a_switch_times_out(self, rig: Rig) -> None:
        low, high, listener, down = self.simulcast(rig)
        low.send(low.frame(key=True))
        rig.engine.switch(down, high.up, timeout_ms=300)
        rig.turn(200)
        assert not rig.of(SwitchTimedOut)
        rig.turn(200)
        assert rig.of(SwitchTimedOut) == [SwitchTimedOut(down)]
        high.send(high.frame(key=True))
        low.send(low.frame())
        assert len(listener.received()) == 2

    def test_a_paused_down_follows_at_once(self, rig: Rig) -> None:
        low, high, listener, down = self.simulcast(rig)
        low.send(low.frame(key=True))
        rig.engine.set_down(down, False)
        rig.engine.switch(down, high.up)
        rig.engine.set_down(down, True)
        assert rig.settle()[-1] == KeyFrameWanted(high.up)
        low.send(low.frame(key=True))
        high.send(high.frame(key=True))
        assert [packet.seq16 - FIRST_SEQ for packet in listener.received()] == [0, 1]

    def test_a_down_without_an_up_is_silent_until_switched(self, rig: Rig, video: Stream) -> None:
        listener = rig.party()
        down = self.down(rig, 0, listener)
        rig.engine.switch(down, video.up)
        video.send(video.frame(), video.frame(key=True))
        assert [packet.seq16 for packet in listener.received()] == [FIRST_SEQ]

    def test_audio_switches_at_the_next_packet(self, rig: Rig) -> None:
        party, listener = rig.party(), rig.party()
        one, other = Stream(rig, party, 0xA1, "opus"), Stream(rig, party, 0xA2, "opus")
        down = self.down(rig, one.up, listener)
        one.send(one.packet(b"a"))
        rig.engine.switch(down, other.up)
        one.send(one.packet(b"b"))
        other.send(other.packet(b"c"))
        one.send(one.packet(b"d"))
        got = listener.received()
        assert [packet.payload for packet in got] == [b"a", b"b", b"c"]
        assert [packet.seq16 - FIRST_SEQ for packet in got] == [0, 1, 2]

    def test_temporal_layers_are_dropped_without_a_gap(self, rig: Rig, video: Stream) -> None:
        listener = rig.party()
        down = self.down(rig, video.up, listener)
        video.send(video.frame(key=True))
        rig.engine.set_down(down, True, max_temporal=0)
        for tid in (2, 1, 2, 0, 2, 1, 2, 0):
            video.send(video.frame(tid=tid))
        got = listener.received()
        assert [packet.seq16 - FIRST_SEQ for packet in got] == [0, 1, 2]
        assert [pid_of(packet) for packet in got] == [1, 2, 3]
        assert rig.engine.stats().downs[down].dropped == 6

    def test_temporal_layers_come_back_where_they_can_be_decoded(
        self, rig: Rig, video: Stream
    ) -> None:
        listener = rig.party()
        down = self.down(rig, video.up, listener)
        rig.engine.set_down(down, True, max_temporal=0)
        video.send(video.frame(key=True), video.frame(tid=1), video.frame())
        rig.engine.set_down(down, True)
        video.send(video.frame(tid=2, sync=1)._replace(), video.frame(tid=1))
        listener.received()
        video.send(video.frame(), video.frame(tid=1, sync=1), video.frame(tid=2, sync=1))
        assert len(listener.received()) == 3
