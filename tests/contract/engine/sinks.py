"""Local sinks: plain RTP handed to an object in this process."""

from __future__ import annotations

import pytest

from roomful_rtc.engine import KeyFrameWanted, SinkFailed, Switched

from .rig import (
    FIRST_SEQ,
    FIRST_TS,
    SINK_PTS,
    Kept,
    Rig,
    Stream,
    elements,
)
from .suite import SSRC, EngineSuite, pid_of, tl0_of

PAUSED, LOST = 2, 3


class Failing(Kept):
    """Raises at the packet with this place, or at any gap."""

    def __init__(self, at: int = 0) -> None:
        super().__init__()
        self.at = at

    def write(self, packet: memoryview, arrival_ns: int) -> None:
        if len(self.all) == self.at:
            raise RuntimeError("full")
        super().write(packet, arrival_ns)

    def gap(self, count: int, reason: int) -> None:
        raise RuntimeError("no gaps")


class Slow(Kept):
    """Takes its time, by the engine's clock."""

    def __init__(self, rig: Rig, ms: float) -> None:
        super().__init__()
        self.rig, self.ms = rig, ms

    def write(self, packet: memoryview, arrival_ns: int) -> None:
        super().write(packet, arrival_ns)
        self.rig.now_us += int(self.ms * 1000)


class Sinks(EngineSuite):
    """A part of `EngineContract`."""

    def sink(self, rig: Rig, up: int, to: Kept, **more: dict[str, int]) -> int:
        sink = rig.engine.add_sink(up, to, SINK_PTS, **more)
        rig.engine.set_down(sink, True)
        return sink

    def test_a_sink_gets_plain_rtp(self, rig: Rig) -> None:
        stream, kept = Stream(rig, rig.party(), SSRC, "opus"), Kept()
        sink = rig.engine.add_sink(stream.up, kept, SINK_PTS)
        stream.send(stream.packet(b"before"))
        rig.engine.set_down(sink, True)
        stream.send(stream.packet(b"a"), stream.packet(b"b"))
        assert [(p.payload, p.seq16, p.ts, p.pt) for p in kept.packets] == [
            (b"a", FIRST_SEQ, FIRST_TS, SINK_PTS["opus"]),
            (b"b", FIRST_SEQ + 1, FIRST_TS + 1600, SINK_PTS["opus"]),
        ]
        assert kept.arrivals_ns == [rig.now_us * 1000] * 2
        rig.engine.remove_down(sink)
        stream.send(stream.packet(b"after"))
        assert len(kept.all) == 2

    def test_a_sink_of_video_starts_with_a_key_frame(self, rig: Rig, video: Stream) -> None:
        kept = Kept()
        self.sink(rig, video.up, kept)
        assert rig.settle() == [KeyFrameWanted(video.up)]
        video.send(video.frame(), video.frame(key=True), video.frame())
        assert [p.seq16 for p in kept.packets] == [FIRST_SEQ, FIRST_SEQ + 1]
        assert [pid_of(p) for p in kept.packets] == [2, 3]
        assert not kept.gaps

    def test_a_sink_goes_on_over_a_switch(self, rig: Rig) -> None:
        low, high, _, _ = self.simulcast(rig)
        kept = Kept()
        sink = self.sink(rig, low.up, kept)
        low.send(low.frame(key=True), low.frame())
        rig.engine.switch(sink, high.up, ts_offset=high.ts - low.ts)
        high.send(high.frame())
        low.send(low.frame())
        high.ts += 3000
        high.send(high.frame(key=True))
        low.send(low.frame())
        high.send(high.frame())
        assert Switched(sink, high.up) in rig.events
        assert [p.seq16 - FIRST_SEQ for p in kept.packets] == [0, 1, 2, 3, 4]
        assert [p.ts - FIRST_TS for p in kept.packets] == [0, 3000, 6000, 12_000, 15_000]
        assert [pid_of(p) for p in kept.packets] == [1, 2, 3, 4, 5]
        assert len({tl0_of(p) for p in kept.packets}) == 5
        assert len({p.ssrc for p in kept.packets}) == 1

    def test_a_sink_is_told_what_a_pause_left_out(self, rig: Rig, video: Stream) -> None:
        kept = Kept()
        sink = self.sink(rig, video.up, kept)
        video.send(video.frame(), video.frame(key=True))
        rig.engine.set_down(sink, False)
        video.send(video.frame(), video.frame(key=True))
        rig.engine.set_down(sink, True)
        video.send(video.frame(), video.frame(key=True), video.frame())
        assert [p.seq16 - FIRST_SEQ for p in kept.packets] == [0, 1, 2]
        assert kept.gaps == [(3, PAUSED)]
        assert kept.all[1] == (3, PAUSED)

    def test_a_sink_gets_the_temporal_layers_it_is_capped_to(self, rig: Rig, video: Stream) -> None:
        kept = Kept()
        sink = rig.engine.add_sink(video.up, kept, SINK_PTS)
        rig.engine.set_down(sink, True, max_temporal=0)
        video.send(*(video.frame(key=not n, tid=n % 2) for n in range(6)))
        assert [p.seq16 - FIRST_SEQ for p in kept.packets] == [0, 1, 2]
        assert [pid_of(p) for p in kept.packets] == [1, 2, 3]
        assert not kept.gaps

    def test_a_late_packet_comes_with_its_number(self, rig: Rig, video: Stream) -> None:
        kept = Kept()
        self.sink(rig, video.up, kept)
        first, second, third = video.frame(key=True), video.frame(), video.frame()
        video.send(first, third, second)
        assert [p.seq16 - FIRST_SEQ for p in kept.packets] == [0, 2, 1]

    def test_what_is_given_up_is_told_to_sinks_that_follow(self, rig: Rig, video: Stream) -> None:
        flowing, waiting, paused = Kept(), Kept(), Kept()
        self.sink(rig, video.up, flowing)
        video.send(video.frame(key=True))
        self.sink(rig, video.up, waiting)
        rig.engine.add_sink(video.up, paused, SINK_PTS)
        rig.engine.give_up(video.up, 4)
        rig.engine.give_up(video.up, 2, 1)
        assert flowing.gaps == [(4, LOST), (2, 1)]
        assert not waiting.all
        assert not paused.all

    def test_a_leap_is_one_packet_lost(self, rig: Rig, video: Stream) -> None:
        kept = Kept()
        self.sink(rig, video.up, kept)
        video.send(video.frame(key=True))
        video.seq += 2000
        video.send(video.frame())
        assert [p.seq16 - FIRST_SEQ for p in kept.packets] == [0, 2]
        assert kept.all[1] == (1, LOST)

    def test_extensions_are_stripped_but_those_asked_for(self, rig: Rig) -> None:
        stream = Stream(rig, rig.party(recv={"audio_level": 1, "mid": 2}), SSRC, "opus")
        plain, asking = Kept(), Kept()
        self.sink(rig, stream.up, plain)
        self.sink(rig, stream.up, asking, extensions={"audio_level": 9})
        stream.send(stream.packet(profile=0xBEDE, extension=b"\x10\x85\x20\x30"))
        assert not plain.packets[0].profile
        assert elements(asking.packets[0]) == {9: b"\x85"}

    def test_a_sink_is_refused_extensions_that_are_not_passed_on(
        self, rig: Rig, video: Stream
    ) -> None:
        for wrong in ({"mid": 3}, {"abs_send_time": 3}, {"audio_level": 0}):
            with pytest.raises(ValueError, match="extension"):
                rig.engine.add_sink(video.up, Kept(), SINK_PTS, extensions=wrong)
        with pytest.raises(ValueError, match="payload type"):
            rig.engine.add_sink(video.up, Kept(), {"vp8": 128})

    def test_another_codec_is_left_out(self, rig: Rig) -> None:
        stream, kept = Stream(rig, rig.party(), SSRC, "opus"), Kept()
        sink = rig.engine.add_sink(stream.up, kept, {"pcmu": 0})
        rig.engine.set_down(sink, True)
        stream.send(stream.packet())
        assert not kept.all

    def test_a_sink_that_waits_for_a_source_follows_it_later(self, rig: Rig) -> None:
        kept = Kept()
        sink = self.sink(rig, 0, kept)
        stream = Stream(rig, rig.party(), SSRC, "opus")
        rig.engine.switch(sink, stream.up)
        stream.send(stream.packet(b"a"))
        assert [p.payload for p in kept.packets] == [b"a"]

    def test_a_sink_that_raises_is_ended_alone(self, rig: Rig) -> None:
        stream, listener = Stream(rig, rig.party(), SSRC, "opus"), rig.party()
        failing, other = Failing(at=1), Kept()
        sink = self.sink(rig, stream.up, failing)
        self.sink(rig, stream.up, other)
        self.down(rig, stream.up, listener)
        stream.send(stream.packet(), stream.packet(), stream.packet())
        assert len(failing.all) == 1
        assert len(other.all) == len(listener.received()) == 3
        [failed] = rig.of(SinkFailed)
        assert failed.down == sink
        assert isinstance(failed.error, RuntimeError)
        assert rig.engine.stats().drops["sink_raised"] == 1
        rig.engine.set_down(sink, True)
        stream.send(stream.packet())
        assert len(failing.all) == 1
        rig.engine.remove_down(sink)

    def test_a_sink_that_raises_at_a_gap_is_ended(self, rig: Rig, video: Stream) -> None:
        failing, other = Failing(at=-1), Kept()
        sink = self.sink(rig, video.up, failing)
        self.sink(rig, video.up, other)
        video.send(video.frame(key=True))
        rig.engine.give_up(video.up, 1)
        assert other.gaps == [(1, LOST)]
        video.send(video.frame())
        assert len(failing.packets) == 1
        assert [event.down for event in rig.of(SinkFailed)] == [sink]

    def test_a_slow_sink_ends_its_turn_and_then_itself(self, rig: Rig) -> None:
        stream, slow, other = Stream(rig, rig.party(), SSRC, "opus"), Slow(rig, 6), Kept()
        sink = self.sink(rig, stream.up, slow)
        self.sink(rig, stream.up, other)
        for _ in range(3):
            stream.party.send(stream.packet())
        rig.turn()
        assert 0 < len(slow.all) < 3
        for _ in range(600):
            stream.send(stream.packet())
        assert rig.of(SinkFailed) == [SinkFailed(sink, None)]
        assert rig.engine.stats().drops["sink_too_slow"] == 1
        assert len(slow.all) < 603 == len(other.all)

    def test_a_sink_that_takes_little_time_stays(self, rig: Rig) -> None:
        stream, quick = Stream(rig, rig.party(), SSRC, "opus"), Slow(rig, 1)
        self.sink(rig, stream.up, quick)
        for _ in range(300):
            stream.send(stream.packet())
            rig.turn(19)
        assert len(quick.all) == 300
        assert not rig.of(SinkFailed)
