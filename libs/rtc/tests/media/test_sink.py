"""What flows to a subscriber follows from wish, layers, downlink and mute."""

from __future__ import annotations

from dataclasses import replace

import pytest

from roomful.errors import ResourceExhausted
from roomful.model.enums import VideoQuality
from roomful_rtc import rtcp
from roomful_rtc.engine import SilentUp, Switched, SwitchTimedOut
from roomful_rtc.selection import Want
from roomful_rtc.sink import WireSink

from .rig import SIMULCAST, Rig, plis

SECOND = 1 << 32


def switched(rig: Rig, sink: WireSink, up: int) -> None:
    rig.engine.downs[sink.down] = replace(rig.engine.downs[sink.down], up=up)
    rig.board.on_event(Switched(sink.down, up))


def test_it_starts_with_the_best_live_layer_and_a_key_frame(rig: Rig):
    source = rig.camera("qhf")

    sink = rig.subscribe(source)

    assert rig.engine.made("add_down") == [(sink.down, rig.up(source, 2), sink.parameters.ssrc)]
    assert rig.engine.made("set_down") == [(sink.down, True, 255, 255)]
    assert plis(source) == [7002]
    assert sink.layer.rid == "f"


def test_audio_starts_without_asking(rig: Rig):
    source = rig.voice()
    sink = rig.subscribe(source)
    assert rig.engine.made("set_down") == [(sink.down, True, 255, 255)]
    assert plis(source) == []


def test_a_source_without_packets_is_followed_when_they_come(rig: Rig):
    source = rig.peer().receive("1", SIMULCAST)
    sink = rig.subscribe(source)
    assert rig.engine.made("add_down")[0][1] == 0
    assert sink.layer is None

    rig.packet(source, 7000, rid="q")

    assert rig.engine.made("switch") == [(sink.down, rig.up(source), None)]
    assert plis(source) == [7000]


def test_what_was_asked_before_the_connection_is_done_with_it(rig: Rig):
    source = rig.camera("qhf")
    peer = rig.peer(connected=False)
    sink = rig.subscribe(source, peer)
    sink.set(Want(quality=VideoQuality.LOW))
    assert sink.down == 0

    rig.connect(peer)

    assert rig.engine.made("add_down")[0][1] == rig.up(source, 0)


def test_a_switch_waits_for_a_key_frame_of_the_new_layer(rig: Rig):
    source = rig.camera("qhf")
    sink = rig.subscribe(source)

    sink.set(Want(quality=VideoQuality.LOW))

    assert rig.engine.made("switch") == [(sink.down, rig.up(source, 0), None)]
    assert plis(source) == [7002, 7000]
    assert sink.layer.rid == "f"
    switched(rig, sink, rig.up(source, 0))
    assert sink.layer.rid == "q"


def test_a_switch_names_the_offset_when_both_clocks_are_known(rig: Rig):
    source = rig.camera("qhf")
    sink = rig.subscribe(source)
    for ssrc, rtp_ts in ((7000, 1_000), (7002, 500_000)):
        source.peer.on_sender_report(rtcp.SenderReport(ssrc, 9 * SECOND, rtp_ts, 1, 1), 1.0)

    sink.set(Want(quality=VideoQuality.LOW))

    assert rig.engine.made("switch")[0][2] == (1_000 - 500_000) & 0xFFFFFFFF


def test_the_same_wish_twice_changes_nothing(rig: Rig):
    source = rig.camera("qhf")
    sink = rig.subscribe(source)
    sink.set(Want(quality=VideoQuality.LOW))
    calls = len(rig.engine.calls)

    sink.set(Want(quality=VideoQuality.LOW))

    assert len(rig.engine.calls) == calls


def test_going_back_before_the_switch_cancels_it(rig: Rig):
    source = rig.camera("qhf")
    sink = rig.subscribe(source)
    sink.set(Want(quality=VideoQuality.LOW))
    asked = len(plis(source))

    sink.set(Want(quality=VideoQuality.HIGH))

    assert rig.engine.made("switch")[-1][:2] == (sink.down, rig.up(source, 2))
    assert len(plis(source)) == asked


def test_a_switch_that_timed_out_is_tried_again(rig: Rig):
    source = rig.camera("qhf")
    sink = rig.subscribe(source)
    sink.set(Want(quality=VideoQuality.LOW))
    rig.board.on_event(SwitchTimedOut(sink.down))

    rig.pass_time(1.1)

    assert [up for _, up, _ in rig.engine.made("switch")] == [rig.up(source, 0)] * 2


def test_a_silent_layer_is_not_waited_for(rig: Rig):
    source = rig.camera("qhf")
    sink = rig.subscribe(source)
    rig.pass_time(2.5)

    rig.board.on_event(SilentUp(rig.up(source, 2)))

    assert rig.engine.made("switch")[-1][:2] == (sink.down, rig.up(source, 1))
    rig.key_frame(source, 2)
    assert rig.engine.made("switch")[-1][:2] == (sink.down, rig.up(source, 2))


def test_when_everything_is_silent_it_stays_where_it_is(rig: Rig):
    source = rig.camera("qh")
    sink = rig.subscribe(source)
    rig.pass_time(2.5)
    for spatial in (1, 0):
        rig.board.on_event(SilentUp(rig.up(source, spatial)))
    assert rig.engine.made("switch")[-1][:2] == (sink.down, rig.up(source, 0))


def test_disabling_stops_and_enabling_asks_for_a_key_frame(rig: Rig):
    source = rig.camera("qhf")
    sink = rig.subscribe(source)
    rig.key_frame(source, 2)
    rig.pass_time(1.5)

    sink.set(Want(enabled=False))
    assert rig.engine.made("set_down")[-1] == (sink.down, False, 255, 255)
    assert sink.layer is None
    asked = len(plis(source))
    sink.set(Want(enabled=True))

    assert rig.engine.made("set_down")[-1] == (sink.down, True, 255, 255)
    assert plis(source)[asked:] == [7002]


def test_off_is_a_quality_too(rig: Rig):
    sink = rig.subscribe(rig.camera("qhf"))
    sink.set(Want(quality=VideoQuality.OFF))
    assert rig.engine.made("set_down")[-1][1] is False


def test_a_muted_source_stops_its_sinks(rig: Rig):
    source = rig.camera("")
    sink = rig.subscribe(source)
    source.set_muted(True)
    assert rig.engine.made("set_down")[-1][1] is False
    rig.pass_time(1.5)
    asked = len(plis(source))

    source.set_muted(False)

    assert rig.engine.made("set_down")[-1] == (sink.down, True, 255, 255)
    assert len(plis(source)) == asked + 1


def test_a_muted_source_may_be_subscribed_to(rig: Rig):
    source = rig.camera("")
    source.set_muted(True)
    sink = rig.subscribe(source)
    assert rig.engine.made("set_down") == [(sink.down, False, 255, 255)]
    assert plis(source) == []


def test_fewer_frames_cap_the_temporal_layer(rig: Rig):
    sink = rig.subscribe(rig.camera(""))
    sink.set(Want(fps=7))
    assert rig.engine.made("set_down")[-1] == (sink.down, True, 255, 0)


def test_layers_within_one_stream_are_capped_where_the_engine_can(rig: Rig):
    rig.engine.features |= {"vp9"}
    source = rig.peer().receive("1", replace(SIMULCAST, rids=()))
    rig.packet(source, 7000, pt=98)
    sink = rig.subscribe(source)

    sink.set(Want(quality=VideoQuality.LOW))

    assert rig.engine.made("set_down")[-1] == (sink.down, True, 0, 255)


def test_lost_packets_are_resent_by_the_engine(rig: Rig):
    sink = rig.subscribe(rig.camera(""))
    sink.on_nack((1, 2, 3))
    assert rig.engine.made("resend") == [(sink.down, (1, 2, 3))]


def test_a_lost_picture_is_asked_for_where_it_comes_from(rig: Rig):
    source = rig.camera("qhf")
    sink = rig.subscribe(source)
    rig.key_frame(source, 2)
    rig.pass_time(1.5)
    asked = len(plis(source))

    sink.on_key_frame_wanted()
    sink.set(Want(enabled=False))
    sink.on_key_frame_wanted()

    assert plis(source)[asked:] == [7002]


def test_a_sender_report_is_translated(rig: Rig):
    source = rig.camera("")
    sink = rig.subscribe(source, cname="ann")
    rig.engine.downs[sink.down] = replace(
        rig.engine.downs[sink.down], packets=5, bytes=600, ts_offset=0xFFFFFF00
    )

    source.peer.on_sender_report(rtcp.SenderReport(7000, 3 * SECOND, 0x200, 1, 1), rig.clock.time)
    rig.pass_time(0.25)

    (report,) = [p for p in sink._peer.transport.sent if isinstance(p, rtcp.SenderReport)]
    assert report == rtcp.SenderReport(sink.parameters.ssrc, 3 * SECOND, 0x100, 5, 600)


def test_a_report_that_came_before_the_first_packet_is_sent_after_it(rig: Rig):
    source = rig.camera("")
    source.peer.on_sender_report(rtcp.SenderReport(7000, 3 * SECOND, 0, 1, 1), rig.clock.time)
    sink = rig.subscribe(source)
    rig.pass_time(1.1)
    assert sink._peer.transport.sent == []

    rig.engine.downs[sink.down] = replace(rig.engine.downs[sink.down], packets=1)
    rig.pass_time(1.1)

    assert [type(p) for p in sink._peer.transport.sent] == [rtcp.SenderReport]


def test_no_report_is_sent_while_nothing_flows(rig: Rig):
    source = rig.camera("")
    sink = rig.subscribe(source)
    rig.engine.downs[sink.down] = replace(rig.engine.downs[sink.down], packets=1)
    sink.set(Want(enabled=False))
    source.peer.on_sender_report(rtcp.SenderReport(7000, 3 * SECOND, 0, 1, 1), rig.clock.time)

    rig.pass_time(2.0)

    assert sink._peer.transport.sent == []


def test_loss_and_round_trip_come_from_the_receivers_report(rig: Rig):
    source = rig.camera("")
    sink = rig.subscribe(source)
    rig.engine.downs[sink.down] = replace(rig.engine.downs[sink.down], packets=9)
    source.peer.on_sender_report(rtcp.SenderReport(7000, 3 * SECOND, 0, 1, 1), rig.clock.time)
    rig.pass_time(0.25)

    block = rtcp.ReportBlock(sink.parameters.ssrc, 128, 1, 1, 900, 3 << 16, 0)
    sink.on_report_block(block, rig.clock.time + 0.05)

    assert sink.stats.fraction_lost == 0.5
    assert 49 < sink.stats.rtt_ms < 310
    assert sink.stats.jitter_ms == 10


def test_an_ssrc_is_used_once(rig: Rig):
    source, peer = rig.camera(""), rig.peer()
    sink = rig.subscribe(source, peer)
    with pytest.raises(ValueError, match="in use"):
        peer.send(source, sink.parameters)


def test_ssrcs_of_a_sink_stay(rig: Rig):
    sink = rig.subscribe(rig.camera(""))
    sink.update(replace(sink.parameters, extensions={"mid": 5}))
    assert rig.engine.made("extensions")[-1][2] == {"mid": 5}
    with pytest.raises(ValueError, match="SSRC"):
        sink.update(replace(sink.parameters, ssrc=1))


def test_a_full_engine_refuses_and_nothing_stays(rig: Rig):
    source, peer = rig.camera(""), rig.peer()
    rig.engine.refuse = ResourceExhausted("full")

    with pytest.raises(ResourceExhausted):
        rig.subscribe(source, peer)

    assert peer.sinks == ()
    waiting = rig.peer(connected=False)
    rig.subscribe(source, waiting)
    rig.connect(waiting)
    assert waiting.sinks == ()
    assert waiting.connected


def test_a_closed_sink_is_out_of_everything(rig: Rig):
    source = rig.camera("qhf")
    sink = rig.subscribe(source)
    sink.close()
    sink.close()
    calls = len(rig.engine.calls)

    sink.set(Want(quality=VideoQuality.LOW))
    rig.board.on_event(SilentUp(rig.up(source, 2)))

    assert rig.engine.downs == {}
    assert rig.board.sinks == {}
    assert len(rig.engine.calls) == calls
    assert sink.parameters.mid == "7"


def test_the_end_of_the_source_silences_the_sink(rig: Rig):
    source = rig.camera("qhf")
    sink = rig.subscribe(source)
    source.close()
    assert sink.layer is None
    sink.set(Want(quality=VideoQuality.LOW))
    sink.close()
    assert rig.engine.downs == {}
