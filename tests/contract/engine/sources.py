"""Local sources: plain RTP given by a call, forwarded to peers and to local sinks."""

from __future__ import annotations

import random

import pytest

from roomful.errors import ResourceExhausted
from roomful_rtc import rtp
from roomful_rtc.engine import (
    AudioLevel,
    EngineLimits,
    Gap,
    KeyFrame,
    KeyFrameWanted,
    Recovered,
    SilentUp,
    Switched,
)

from .rig import (
    FIRST_SEQ,
    FIRST_TS,
    OUT_OPUS,
    OUT_RTX,
    OUT_VP8,
    SINK_PTS,
    EngineMaker,
    Feed,
    Kept,
    Rig,
    elements,
)
from .suite import OUT_RTX_SSRC, OUT_SSRC, TURN_PACKETS, EngineSuite, changed, pid_of


class Sources(EngineSuite):
    """A part of `EngineContract`."""

    def test_a_source_reaches_a_peer(self, rig: Rig) -> None:
        feed, listener = Feed(rig, "opus"), rig.party()
        self.down(rig, feed.up, listener)
        feed.send(feed.packet(b"a"), feed.packet(b"b"))
        got = listener.received()
        assert [(p.payload, p.seq16, p.ts) for p in got] == [
            (b"a", FIRST_SEQ, FIRST_TS),
            (b"b", FIRST_SEQ + 1, FIRST_TS + 1600),
        ]
        assert {(p.ssrc, p.pt) for p in got} == {(OUT_SSRC, OUT_OPUS)}
        stats = rig.engine.stats().ups[feed.up]
        assert (stats.packets, stats.lost) == (2, 0)

    def test_video_of_a_source_starts_with_a_key_frame(self, rig: Rig) -> None:
        feed, listener = Feed(rig), rig.party()
        self.down(rig, feed.up, listener)
        assert rig.settle() == [KeyFrameWanted(feed.up)]
        feed.send(feed.frame(), feed.frame(key=True), feed.frame())
        rig.settle()
        assert [(p.seq16, p.pt) for p in listener.received()] == [
            (FIRST_SEQ, OUT_VP8),
            (FIRST_SEQ + 1, OUT_VP8),
        ]
        assert rig.of(KeyFrame) == [KeyFrame(feed.up, 101, 13_000, 640, 360)]

    def test_a_source_reaches_a_sink(self, rig: Rig) -> None:
        feed, kept = Feed(rig, "opus"), Kept()
        sink = rig.engine.add_sink(feed.up, kept, SINK_PTS)
        rig.engine.set_down(sink, True)
        feed.send(feed.packet(b"a"), feed.packet(b"b"))
        assert [(p.payload, p.seq16, p.pt) for p in kept.packets] == [
            (b"a", FIRST_SEQ, SINK_PTS["opus"]),
            (b"b", FIRST_SEQ + 1, SINK_PTS["opus"]),
        ]
        assert kept.arrivals_ns == [rig.now_us * 1000] * 2

    def test_what_a_peer_missed_is_resent_from_history(self, rig: Rig) -> None:
        feed, listener = Feed(rig), rig.party()
        down = self.down(rig, feed.up, listener)
        feed.send(feed.frame(key=True), feed.frame(), feed.frame())
        second = listener.received()[1]
        rig.turn(100)
        assert rig.engine.resend(down, [second.seq16]) == 1
        [again] = listener.received()
        assert (again.ssrc, again.pt) == (OUT_RTX_SSRC, OUT_RTX)
        assert again.payload == second.seq16.to_bytes(2, "big") + second.payload

    def test_layers_of_a_source_are_switched(self, rig: Rig) -> None:
        low, high = Feed(rig, group=1, spatial=0), Feed(rig, group=1, spatial=1)
        high.seq, high.ts, high.pid = 40_000, 3_000_000_000, 900
        listener = rig.party()
        down = self.down(rig, low.up, listener)
        low.send(low.frame(key=True), low.frame())
        rig.engine.switch(down, high.up, ts_offset=high.ts - low.ts)
        high.send(high.frame())
        low.send(low.frame())
        high.send(high.frame(key=True))
        low.send(low.frame())
        got = listener.received()
        assert [p.seq16 - FIRST_SEQ for p in got] == [0, 1, 2, 3]
        assert [pid_of(p) for p in got] == [1, 2, 3, 4]
        rig.settle()
        assert Switched(down, high.up) in rig.events

    def test_numbers_that_are_missing_stay_free(self, rig: Rig) -> None:
        feed, listener = Feed(rig, "opus"), rig.party()
        self.down(rig, feed.up, listener)
        packets = [feed.packet() for _ in range(4)]
        feed.send(packets[0], packets[3])
        feed.send(packets[1])
        rig.settle()
        assert [p.seq16 - FIRST_SEQ for p in listener.received()] == [0, 3, 1]
        assert rig.of(Gap) == [Gap(feed.up, 101, 2)]
        assert rig.of(Recovered) == [Recovered(feed.up, 101)]

    def test_levels_come_from_the_extension_or_from_beside(self, rig: Rig) -> None:
        stated = Feed(rig, "opus", extensions={"audio_level": 4})
        beside = Feed(rig, "opus")
        listener, kept = rig.party(send={"audio_level": 7}), Kept()
        self.down(rig, stated.up, listener)
        self.down(rig, beside.up, listener, ssrc=OUT_SSRC + 10)
        asking = rig.engine.add_sink(beside.up, kept, SINK_PTS, extensions={"audio_level": 3})
        rig.engine.set_down(asking, True)
        rig.turn(200)
        stated.send(stated.packet(profile=0xBEDE, extension=b"\x40\x94\0\0"), level=-50)
        beside.send(beside.packet(), level=-10)
        beside.send(beside.packet(), level=-60)
        rig.turn(100)
        rig.turn(200)
        assert rig.of(AudioLevel) == [
            AudioLevel(stated.up, -20, 1.0),
            AudioLevel(beside.up, -10, 0.5),
        ]
        assert [elements(p)[7] for p in listener.received()] == [b"\x94", b"\x0a", b"\x3c"]
        assert [elements(p)[3] for p in kept.packets] == [b"\x0a", b"\x3c"]

    def test_silence_of_a_source_is_told(self, rig: Rig) -> None:
        feed = Feed(rig, "opus")
        feed.send(feed.packet())
        for _ in range(12):
            rig.turn(250)
        assert rig.of(SilentUp) == [SilentUp(feed.up)]

    def test_malformed_packets_are_counted_and_dropped(self, rig: Rig) -> None:
        feed, listener = Feed(rig, "opus"), rig.party()
        self.down(rig, feed.up, listener)
        for wrong in (b"", bytes(11), b"\x00" + bytes(20), b"\x8f" + bytes(11), bytes(1501)):
            assert not rig.engine.feed(feed.up, wrong, rig.now_us)
        assert not listener.received()
        drops = rig.engine.stats().drops
        assert (drops["size"], drops["malformed"]) == (3, 2)

    def test_mutated_packets_never_raise(self, rig: Rig) -> None:
        feed, kept, chance = Feed(rig), Kept(), random.Random(7)
        listener = rig.party()
        self.down(rig, feed.up, listener)
        sink = rig.engine.add_sink(feed.up, kept, SINK_PTS)
        rig.engine.set_down(sink, True)
        for _ in range(2000):
            packet = rtp.build(feed.frame(key=True))
            rig.engine.feed(feed.up, changed(packet, chance), rig.now_us)
        listener.received()
        assert rig.engine.stats().downs[sink].packets == len(kept.packets) > 100

    def test_a_source_may_be_fed_from_within_a_sink(self, rig: Rig) -> None:
        ear, mouth, listener = Feed(rig, "opus"), Feed(rig, "opus"), rig.party()

        class Echo(Kept):
            def write(self, packet: memoryview, arrival_ns: int) -> None:
                rig.engine.feed(mouth.up, packet, arrival_ns // 1000)

        rig.engine.set_down(rig.engine.add_sink(ear.up, Echo(), SINK_PTS), True)
        self.down(rig, mouth.up, listener)
        ear.send(ear.packet(b"one"), ear.packet(b"two"))
        assert [p.payload for p in listener.received()] == [b"one", b"two"]

    def test_a_source_that_feeds_itself_ends_no_loop(self, rig: Rig) -> None:
        feed = Feed(rig, "opus")

        class Ring(Kept):
            def write(self, packet: memoryview, arrival_ns: int) -> None:
                super().write(packet, arrival_ns)
                rig.engine.feed(feed.up, rtp.build(feed.packet(b"again")), rig.now_us)

        ring = Ring()
        sink = rig.engine.add_sink(feed.up, ring, SINK_PTS)
        rig.engine.set_down(sink, True)
        feed.send(feed.packet(b"once"))
        assert len(ring.all) <= TURN_PACKETS + 1
        rig.turn()
        assert TURN_PACKETS < len(ring.all) <= 2 * TURN_PACKETS + 2
        rig.engine.remove_down(sink)
        rig.settle()

    def test_rows_of_a_source_are_refused_what_peers_have(self, rig: Rig) -> None:
        feed = Feed(rig)
        with pytest.raises(ValueError, match="local source"):
            rig.engine.set_rtx(feed.up, 5)
        with pytest.raises(ValueError, match="clock rate"):
            rig.engine.add_source("opus", 0)
        for wrong in ({"audio_level": 0}, {"audio_level": 256}, {"colour": 1}):
            with pytest.raises(ValueError, match="extension"):
                rig.engine.add_source("opus", 48000, extensions=wrong)
        up = rig.engine.add_up(rig.party().peer, 5, "opus", 48000)
        with pytest.raises(ValueError, match="peer"):
            rig.engine.feed(up, bytes(20), 0)

    def test_removing_a_source_silences_its_downs(self, rig: Rig) -> None:
        feed, kept, listener = Feed(rig, "opus"), Kept(), rig.party()
        sink = rig.engine.add_sink(feed.up, kept, SINK_PTS)
        rig.engine.set_down(sink, True)
        down = self.down(rig, feed.up, listener)
        feed.send(feed.packet())
        rig.engine.remove_up(feed.up)
        with pytest.raises(LookupError):
            rig.engine.feed(feed.up, bytes(20), 0)
        other = Feed(rig, "opus")
        for row in (sink, down):
            rig.engine.switch(row, other.up)
        other.send(other.packet(b"other"))
        assert [p.seq16 - FIRST_SEQ for p in kept.packets] == [0, 1]
        assert [p.seq16 - FIRST_SEQ for p in listener.received()] == [0, 1]
        stats = rig.engine.stats()
        assert (set(stats.ups), set(stats.downs)) == ({other.up}, {sink, down})

    def test_sources_count_among_ups(self, make_engine: EngineMaker) -> None:
        rig = Rig(make_engine, EngineLimits(ups=2))
        Feed(rig)
        Feed(rig)
        with pytest.raises(ResourceExhausted):
            Feed(rig)
        rig.close()
