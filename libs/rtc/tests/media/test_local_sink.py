"""A local sink: what it asks of the engine, what it is told, how it ends."""

from __future__ import annotations

from dataclasses import replace

import pytest

from roomful.errors import ResourceExhausted
from roomful.model.enums import VideoQuality
from roomful_rtc.engine import Gap, KeyFrame, SinkFailed, Switched
from roomful_rtc.local_sink import LocalSink
from roomful_rtc.selection import Want

from .rig import Rig, plis


class Kept:
    """A `TrackSink` that keeps what it is told; `fail_on` names a call that raises."""

    def __init__(self, fail_on: str = "") -> None:
        self.told: list[tuple[object, ...]] = []
        self.fail_on = fail_on

    def _note(self, call: str, *what: object) -> None:
        self.told.append((call, *what))
        if call == self.fail_on:
            raise RuntimeError("a sink's mistake")

    def write(self, packet: memoryview, arrival_ns: int) -> None:
        self._note("write", bytes(packet), arrival_ns)

    def clock(self, rtp_ts: int, ntp: int, arrival_ns: int) -> None:
        self._note("clock", rtp_ts, ntp, arrival_ns)

    def gap(self, count: int, reason: int) -> None:
        self._note("gap", count, reason)

    def end(self) -> None:
        self._note("end")


def opened(rig: Rig, source, to: Kept, want: Want | None = None) -> LocalSink:
    sink = LocalSink(rig.board, source, to)
    if want:
        sink.set(want)
    sink.open()
    return sink


def flow(rig: Rig, sink: LocalSink, ts_offset: int) -> None:
    """Packets have gone out with this offset."""
    rig.engine.downs[sink.down] = replace(
        rig.engine.downs[sink.down], packets=9, ts_offset=ts_offset
    )


def test_it_starts_with_the_wanted_layer_and_a_key_frame(rig: Rig):
    source = rig.camera()
    sink = opened(rig, source, Kept(), Want(quality=VideoQuality.MEDIUM))
    [(down, up, pts)] = rig.engine.made("add_sink")
    assert (down, up) == (sink.down, rig.up(source, 1))
    assert pts["vp8"] != pts["h264"]
    assert plis(source) == [7001]


def test_it_changes_layer_by_want(rig: Rig):
    source = rig.camera()
    sink = opened(rig, source, Kept())
    sink.set(Want(width=320, height=180))
    assert rig.engine.made("switch") == [(sink.down, rig.up(source, 0), None)]
    sink.set(Want(enabled=False))
    assert rig.engine.made("set_down")[-1][1] is False


def test_a_key_frame_can_be_asked_for(rig: Rig):
    source = rig.camera()
    sink = opened(rig, source, Kept())
    rig.key_frame(source, 2)
    rig.pass_time(1.1)
    sink.keyframe()
    assert plis(source) == [7002, 7002]
    sink.close()
    sink.keyframe()
    rig.pass_time(0.5)
    assert plis(source) == [7002, 7002]


def test_a_sender_report_is_a_clock_in_its_own_timestamps(rig: Rig):
    source, kept = rig.voice(), Kept()
    sink = opened(rig, source, kept)
    flow(rig, sink, 0xFFFFFFF0)
    source.sender_report(5000, 77 << 32, 100, rig.clock.time)
    rig.pass_time(0.3)
    assert kept.told == [("clock", 84, 77 << 32, round(1000.0 * 1e9))]
    rig.pass_time(3.0)
    assert len(kept.told) == 1


def test_a_clock_comes_again_after_a_change_of_layer(rig: Rig):
    source, kept = rig.camera(), Kept()
    sink = opened(rig, source, kept)
    for ssrc, ts in ((7000, 50), (7002, 9000)):
        source.sender_report(ssrc, 77 << 32, ts, rig.clock.time)
    flow(rig, sink, 10)
    rig.pass_time(0.3)
    sink.set(Want(quality=VideoQuality.LOW))
    low = rig.up(source, 0)
    flow(rig, sink, 8960)
    rig.engine.downs[sink.down] = replace(rig.engine.downs[sink.down], up=low)
    rig.board.on_event(Switched(sink.down, low))
    rig.pass_time(0.3)
    assert [told[1] for told in kept.told] == [9010, 9010]


def test_loss_that_is_given_up_is_told_to_the_engine(rig: Rig):
    source = rig.camera("")
    opened(rig, source, Kept())
    rig.board.on_event(Gap(rig.up(source), 100, 3))
    rig.pass_time(0.3)
    assert not rig.engine.made("give_up")
    rig.pass_time(1.5)
    assert rig.engine.made("give_up") == [(rig.up(source), 3, 3)]


def test_a_key_frame_gives_up_what_is_missing_before_it(rig: Rig):
    source = rig.camera("")
    opened(rig, source, Kept())
    rig.board.on_event(Gap(rig.up(source), 100, 2))
    rig.board.on_event(KeyFrame(rig.up(source), 110, 0))
    assert rig.engine.made("give_up") == [(rig.up(source), 2, 3)]


def test_it_ends_once(rig: Rig):
    source, kept = rig.camera(), Kept()
    sink = opened(rig, source, kept)
    sink.close()
    sink.close()
    sink.set(Want(quality=VideoQuality.LOW))
    assert kept.told == [("end",)]
    assert not (rig.engine.downs or rig.board.sinks or rig.board.locals)


def test_it_ends_with_its_source(rig: Rig):
    source, kept = rig.camera(), Kept()
    opened(rig, source, kept)
    source.close()
    assert kept.told == [("end",)]
    assert not (rig.engine.downs or rig.board.sinks or rig.board.locals)


def test_a_failure_in_the_engine_ends_it_alone(rig: Rig, caplog: pytest.LogCaptureFixture):
    source, kept, other = rig.camera(), Kept(), Kept()
    sink, neighbour = opened(rig, source, kept), opened(rig, source, other)
    rig.board.on_event(SinkFailed(sink.down, RuntimeError("a sink's mistake")))
    assert kept.told == [("end",)]
    assert list(rig.board.sinks) == [neighbour.down]
    assert "a local sink was ended" in caplog.text
    assert "a sink's mistake" in caplog.text


@pytest.mark.parametrize("call", ["clock", "end"])
def test_one_that_raises_in_between_is_ended_too(rig: Rig, call: str):
    source, kept, other = rig.voice(), Kept(fail_on=call), Kept()
    sink = opened(rig, source, kept)
    opened(rig, source, other)
    flow(rig, sink, 0)
    source.sender_report(5000, 77 << 32, 100, rig.clock.time)
    rig.pass_time(0.3)
    sink.close()
    assert [told[0] for told in kept.told] == ["clock", "end"]
    assert len(rig.board.sinks) == 1


def test_a_switch_that_timed_out_is_tried_again(rig: Rig):
    from roomful_rtc.engine import SwitchTimedOut

    source = rig.camera()
    sink = opened(rig, source, Kept())
    sink.set(Want(quality=VideoQuality.LOW))
    rig.board.on_event(SwitchTimedOut(sink.down))
    rig.pass_time(1.1)
    assert len(rig.engine.made("switch")) == 2


def test_a_full_engine_is_told(rig: Rig):
    source = rig.camera()
    rig.engine.refuse = ResourceExhausted("the engine's table of downs is full")
    sink = LocalSink(rig.board, source, Kept())
    with pytest.raises(ResourceExhausted):
        sink.open()
