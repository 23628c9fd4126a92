"""What one incoming stream asks of its publisher, and when."""

from __future__ import annotations

from dataclasses import replace

from roomful_rtc import rtcp
from roomful_rtc.engine import Gap, KeyFrame, KeyFrameWanted, Recovered
from roomful_rtc.selection import Want

from .rig import CAMERA, Rig, plis


def nacks(source) -> list[tuple[int, ...]]:
    return [p.seq16s for p in source.peer.transport.sent if isinstance(p, rtcp.Nack)]


def test_a_gap_is_asked_for_after_a_moment_and_again_each_round_trip(rig: Rig):
    source = rig.camera("")
    rig.subscribe(source)
    rig.board.on_event(Gap(rig.up(source), 65_540, 2))
    assert nacks(source) == []

    rig.pass_time(0.02)
    assert nacks(source) == [(4, 5)]
    rig.pass_time(0.1)
    assert nacks(source) == [(4, 5), (4, 5)]


def test_what_came_is_not_asked_for(rig: Rig):
    source = rig.camera("")
    rig.subscribe(source)
    rig.board.on_event(Gap(rig.up(source), 100, 2))
    rig.board.on_event(Recovered(rig.up(source), 100))

    rig.pass_time(0.02)

    assert nacks(source) == [(101,)]


def test_a_key_frame_ends_the_asking(rig: Rig):
    source = rig.camera("")
    rig.subscribe(source)
    rig.board.on_event(Gap(rig.up(source), 100, 2))
    rig.board.on_event(KeyFrame(rig.up(source), 110, 0))

    rig.pass_time(1.0)

    assert nacks(source) == []


def test_a_publisher_that_does_not_repair_is_not_asked(rig: Rig):
    source = rig.peer().receive("1", replace(CAMERA, nack=False))
    rig.packet(source, 7000)
    rig.subscribe(source)
    rig.board.on_event(Gap(rig.up(source), 100, 2))

    rig.pass_time(1.0)

    assert nacks(source) == []


def test_only_layers_that_somebody_gets_are_repaired(rig: Rig):
    source = rig.camera("qhf")
    sink = rig.subscribe(source)
    for spatial in range(3):
        rig.board.on_event(Gap(rig.up(source, spatial), 100 + spatial, 1))
    rig.pass_time(0.02)
    assert nacks(source) == [(102,)]

    sink.set(Want(enabled=False))
    rig.board.on_event(Gap(rig.up(source, 2), 200, 1))
    rig.pass_time(0.02)
    assert nacks(source) == [(102,)]


def test_audio_is_repaired_too(rig: Rig):
    source = rig.voice()
    rig.subscribe(source)
    rig.board.on_event(Gap(rig.up(source), 100, 1))
    rig.pass_time(0.02)
    assert nacks(source) == [(100,)]


def test_the_engines_wish_for_a_key_frame_is_passed_on_and_repeated(rig: Rig):
    source = rig.camera("")
    rig.board.on_event(KeyFrameWanted(rig.up(source)))
    assert plis(source) == [7000]
    rig.pass_time(0.85)
    assert plis(source) == [7000, 7000]


def test_reports_hold_loss_and_the_publishers_clock(rig: Rig):
    source = rig.camera("")
    source.peer.on_sender_report(
        rtcp.SenderReport(7000, 0x1122_3344_5566_7788, 1, 1, 1), rig.clock.time
    )
    up = rig.up(source)
    rig.engine.ups[up] = replace(
        rig.engine.ups[up], packets=90, lost=10, highest_seq=65_636, jitter=12.9
    )

    rig.pass_time(1.01)

    (report,) = [p for p in source.peer.transport.sent if isinstance(p, rtcp.ReceiverReport)]
    (block,) = report.blocks
    assert (block.ssrc, block.fraction_lost, block.lost) == (7000, 25, 10)
    assert (block.highest_seq, block.jitter, block.lsr) == (65_636, 12, 0x3344_5566)
    assert 65_000 <= block.dlsr <= 67_000


def test_events_about_rows_that_are_gone_are_ignored(rig: Rig):
    source = rig.camera("")
    up = rig.up(source)
    source.close()

    for event in (Gap(up, 1, 1), Recovered(up, 1), KeyFrame(up, 1, 1), KeyFrameWanted(up)):
        rig.board.on_event(event)
    rig.pass_time(2.0)

    assert nacks(source) == []
    assert plis(source) == []
