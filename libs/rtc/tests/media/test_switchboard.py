"""The timer and the beat that everybody shares."""

from __future__ import annotations

from dataclasses import replace

from roomful_rtc import rtcp

from .rig import Rig


def test_counters_are_read_four_times_a_second_and_each_peer_has_its_second(rig: Rig):
    sources = [rig.voice() for _ in range(20)]

    rig.pass_time(10.0)

    assert rig.engine.stats_read == 40
    for source in sources:
        reports = [p for p in source.peer.transport.sent if isinstance(p, rtcp.ReceiverReport)]
        assert len(reports) == 10


def test_a_beat_serves_a_quarter_of_the_peers(rig: Rig):
    sources = [rig.voice() for _ in range(20)]
    rig.pass_time(0.25)
    assert sum(bool(source.peer.transport.sent) for source in sources) == 5


def test_without_peers_nothing_is_read(rig: Rig):
    rig.pass_time(3.0)
    assert rig.engine.stats_read == 0


def test_sender_reports_of_one_beat_are_sent_together(rig: Rig):
    sources = [rig.voice() for _ in range(10)]
    for source in sources:
        for _ in range(3):
            sink = rig.subscribe(source)
            rig.engine.downs[sink.down] = replace(rig.engine.downs[sink.down], packets=1)

    for source in sources:
        source.peer.on_sender_report(rtcp.SenderReport(5000, 1 << 32, 0, 1, 1), rig.clock.time)
    rig.pass_time(0.25)

    assert rig.engine.stats_read == 1
    reports = [
        p
        for peer in rig.board.peers.values()
        for p in peer.transport.sent
        if isinstance(p, rtcp.SenderReport)
    ]
    assert len(reports) == 30


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
