"""What the engine tells in passing: arrivals, levels, silence, time, counters."""

from __future__ import annotations

import pytest

from roomful_rtc import extensions
from roomful_rtc.engine import (
    Arrivals,
    AudioLevel,
    SilentUp,
)

from .rig import (
    Rig,
    Stream,
)
from .suite import SSRC, EngineSuite


class Reports(EngineSuite):
    """A part of `EngineContract`."""

    def test_arrivals_are_told_for_feedback(self, rig: Rig) -> None:
        stream = Stream(rig, rig.party(recv={"twcc": 5}), SSRC, "opus")
        begin = rig.now_us
        rig.turn(100)
        for number in range(3):
            block = extensions.write([(5, (65_534 + number & 0xFFFF).to_bytes(2, "big"))])
            stream.send(stream.packet(profile=0xBEDE, extension=block[4:]))
            rig.turn(10)
        rig.turn(60)
        told = [pair for event in rig.of(Arrivals) for pair in event.packets]
        assert told == [
            (65_534, begin + 100_000),
            (65_535, begin + 110_000),
            (0, begin + 120_000),
        ]

    def test_levels_are_told_for_each_window(self, rig: Rig) -> None:
        stream = Stream(rig, rig.party(recv={"audio_level": 1}), SSRC, "opus")
        rig.turn(200)
        for level in (0x80 | 20, 60, 127, 30):
            stream.send(stream.packet(profile=0xBEDE, extension=bytes((0x10, level, 0, 0))))
            rig.turn(20)
        rig.turn(100)
        rig.turn(200)
        assert rig.of(AudioLevel) == [AudioLevel(stream.up, -20, 0.5)]

    def test_silence_is_told_once(self, rig: Rig) -> None:
        stream = Stream(rig, rig.party(), SSRC, "opus")
        stream.send(stream.packet())
        for _ in range(20):
            rig.turn(250)
        assert rig.of(SilentUp) == [SilentUp(stream.up)]
        stream.send(stream.packet())
        for _ in range(12):
            rig.turn(250)
        assert len(rig.of(SilentUp)) == 2

    def test_time_is_told_by_next_turn(self, rig: Rig) -> None:
        assert rig.engine.next_turn() is None
        Stream(rig, rig.party(), SSRC, "opus")
        rig.settle()
        wait = rig.engine.next_turn()
        assert wait is not None
        assert 0 < wait <= 2.0

    def test_stats_tell_rate_and_jitter(self, rig: Rig) -> None:
        stream = Stream(rig, rig.party(), SSRC, "opus")
        size = 0
        for number in range(101):
            stream.ts = 960 * number
            size = len(stream.party.send(stream.packet(bytes(100))))
            rig.turn(20 if number % 2 else 22)
        stats = rig.engine.stats().ups[stream.up]
        assert stats.bitrate == pytest.approx(size * 8 * 50, rel=0.1)
        assert 30 < stats.jitter < 100
        assert stats.packets == 101
