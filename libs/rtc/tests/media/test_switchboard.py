"""The timer and the beat that everybody shares."""

from __future__ import annotations

from roomful_rtc import rtcp

from .rig import Rig


def test_counters_are_read_once_a_second_for_everybody(rig: Rig):
    for _ in range(20):
        rig.voice()
    rig.pass_time(10.05)
    assert rig.engine.stats_read == 10


def test_sender_reports_of_one_tenth_are_sent_together(rig: Rig):
    sources = [rig.voice() for _ in range(10)]
    for source in sources:
        for _ in range(3):
            rig.subscribe(source)
    reads = rig.engine.stats_read

    for source in sources:
        source.peer.on_sender_report(rtcp.SenderReport(5000, 1 << 32, 0, 1, 1), rig.clock.time)
    rig.pass_time(0.11)

    assert rig.engine.stats_read == reads + 1


def test_a_timer_that_fails_harms_nobody(rig: Rig):
    reached: list[float] = []

    class Failing:
        def on_time(self, now: float) -> None:
            raise RuntimeError("a mistake")

    class Working:
        def on_time(self, now: float) -> None:
            reached.append(now)

    rig.board.set_timer(Failing(), rig.clock.time + 0.1)
    rig.board.set_timer(Working(), rig.clock.time + 0.2)
    rig.pass_time(0.3)

    assert len(reached) == 1


def test_an_earlier_timer_wakes_the_shell(rig: Rig):
    class Owner:
        def on_time(self, now: float) -> None: ...

    owner = Owner()
    wakes = rig.wakes
    rig.board.set_timer(owner, rig.clock.time + 500)
    assert rig.wakes == wakes
    rig.board.set_timer(owner, rig.clock.time + 0.01)
    assert rig.wakes == wakes + 1


def test_events_that_nobody_knows_are_ignored(rig: Rig):
    rig.board.on_event(object())
