"""Streams are learnt, replaced and repaired; the publisher is asked, its layers are told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from roomful.errors import ResourceExhausted
from roomful.model.enums import VideoQuality
from roomful_rtc import rtcp
from roomful_rtc.engine import AudioLevel, SilentUp, UnknownSsrc
from roomful_rtc.offer_answer.negotiated import AnnouncedSsrc

from .rig import CAMERA, LAYERS, SIMULCAST, Rig, plis


def test_the_first_packet_binds_the_source(rig: Rig):
    source = rig.camera("")

    assert (source.codec, source.mime_type) == ("vp8", "video/VP8")
    assert rig.engine.made("add_up") == [(1, 7000, "vp8", 0, 0)]
    assert source.peer.observer.of("source_bound") == [(source,)]
    assert source.peer.observer.of("source_changed") == []


def test_before_the_first_packet_nothing_is_known(rig: Rig):
    source = rig.peer().receive("1", SIMULCAST)
    assert (source.codec, source.mime_type, source.layers) == ("", "", ())


def test_each_layer_becomes_known_by_its_rid(rig: Rig):
    source = rig.camera("fqh")

    assert [(layer.spatial, layer.rid, layer.ssrc) for layer in source.layers] == [
        (0, "q", 7001),
        (1, "h", 7002),
        (2, "f", 7000),
    ]
    assert source.peer.observer.of("source_bound") == [(source,)]
    assert len(source.peer.observer.of("source_changed")) == 2


def test_a_repair_stream_is_tied_to_its_layer_in_any_order(rig: Rig):
    source = rig.peer().receive("1", SIMULCAST)
    rig.packet(source, 9000, pt=97, repaired="q")
    rig.packet(source, 7000, rid="q")
    rig.packet(source, 7001, rid="h")
    rig.packet(source, 9001, pt=97, repaired="h")
    rig.packet(source, 9002, pt=97)

    assert rig.engine.made("add_up") == [(1, 7000, "vp8", 9000, 0), (2, 7001, "vp8", 0, 1)]
    assert rig.engine.made("rtx") == [(2, 9001)]


def test_announced_streams_need_no_mid(rig: Rig):
    peer = rig.peer()
    source = peer.receive("1", replace(CAMERA, announced=(AnnouncedSsrc(42, 43),)))

    rig.board.on_event(UnknownSsrc(peer.engine_peer, 42, 96, "", "", ""))

    assert rig.engine.made("add_up") == [(1, 42, "vp8", 43, 0)]
    assert source.codec == "vp8"


def test_a_rid_alone_counts_when_one_section_has_it(rig: Rig):
    peer = rig.peer()
    first = peer.receive("1", SIMULCAST)
    rig.board.on_event(UnknownSsrc(peer.engine_peer, 7000, 96, "", "q", ""))
    second = peer.receive("2", SIMULCAST)
    rig.board.on_event(UnknownSsrc(peer.engine_peer, 7001, 96, "", "h", ""))

    assert [layer.rid for layer in first.layers] == ["q"]
    assert second.layers == ()


@pytest.mark.parametrize(
    ("mid", "rid", "pt"), [("9", "q", 96), ("", "", 96), ("1", "q", 77), ("1", "zz", 96)]
)
def test_what_cannot_be_placed_stays_unknown(rig: Rig, mid: str, rid: str, pt: int):
    peer = rig.peer()
    peer.receive("1", SIMULCAST)

    rig.board.on_event(UnknownSsrc(peer.engine_peer, 7000, pt, mid, rid, ""))

    assert rig.engine.made("add_up") == []


def test_a_full_table_refuses_the_stream_and_keeps_the_peer(rig: Rig):
    rig.engine.refuse = ResourceExhausted("full")
    source = rig.camera("")
    assert source.layers == ()
    assert source.peer.connected

    rig.engine.refuse = None
    rig.packet(source, 7000)
    assert source.codec == "vp8"
    rig.engine.refuse = ValueError("taken")
    rig.packet(source, 9000, pt=97)
    assert source.peer.connected


def test_a_new_ssrc_replaces_the_old_one(rig: Rig):
    source = rig.camera("")
    sink = rig.subscribe(source)
    old = rig.up(source)

    rig.packet(source, 8000)

    assert [layer.ssrc for layer in source.layers] == [8000]
    assert old not in rig.engine.ups
    assert rig.engine.made("switch") == [(sink.down, rig.up(source), None)]


def test_one_request_for_a_key_frame_serves_all_who_ask(rig: Rig):
    source = rig.camera("")
    for _ in range(50):
        source.request_key_frame()
    assert plis(source) == [7000]

    rig.key_frame(source)
    source.request_key_frame()
    assert plis(source) == [7000]
    rig.pass_time(0.6)
    assert plis(source) == [7000, 7000]


def test_a_key_frame_is_asked_of_the_live_layers(rig: Rig):
    source = rig.camera("qhf")
    rig.pass_time(2.5)
    rig.board.on_event(SilentUp(rig.up(source, 2)))
    source.request_key_frame()
    assert plis(source) == [7000, 7001]

    source.request_key_frame(2)
    assert plis(source) == [7000, 7001, 7002]


def test_audio_has_no_key_frames(rig: Rig):
    source = rig.voice()
    source.request_key_frame()
    assert plis(source) == []


def test_a_layer_falls_silent_and_comes_back(rig: Rig):
    source = rig.camera("qhf")
    rig.pass_time(2.5)
    rig.board.on_event(SilentUp(rig.up(source, 2)))
    assert [layer.live for layer in source.layers] == [True, True, False]
    changes = len(source.peer.observer.of("source_changed"))

    rig.key_frame(source, 2)

    assert all(layer.live for layer in source.layers)
    assert len(source.peer.observer.of("source_changed")) == changes + 1


def test_silence_is_seen_in_the_counters_as_well(rig: Rig):
    source = rig.camera("")
    rig.pass_time(1.5)
    rig.pass_time(3.5, alive=False)
    assert not source.layers[0].live
    rig.pass_time(1.0)
    assert source.layers[0].live


def test_a_muted_track_asks_for_nothing_and_its_silence_means_nothing(rig: Rig):
    source = rig.camera("")
    rig.pass_time(2.5)
    source.set_muted(True)
    changes = len(source.peer.observer.of("source_changed"))

    rig.board.on_event(SilentUp(rig.up(source)))
    source.request_key_frame()

    assert plis(source) == []
    assert len(source.peer.observer.of("source_changed")) == changes
    source.set_muted(False)
    assert source.layers[0].live


def test_the_size_of_a_key_frame_wins_over_the_announced_one(rig: Rig):
    source = rig.camera("qhf")
    assert (source.layers[1].width, source.layers[1].height) == (640, 360)

    rig.key_frame(source, 1, width=480, height=270)

    assert (source.layers[1].width, source.layers[1].height) == (480, 270)


def test_layers_are_numbered_by_their_pictures_where_the_description_was_wrong(rig: Rig):
    layers = tuple(replace(layer, width=0, height=0, rid=rid) for layer, rid in zip(LAYERS, "zyx", strict=False))
    source = rig.peer().receive("1", replace(SIMULCAST, rids=("x", "y", "z"), layers=layers))
    for ssrc, rid in ((7000, "x"), (7001, "y"), (7002, "z")):
        rig.packet(source, ssrc, rid=rid)
    rows = {layer.rid: layer.up for layer in source.layers}

    rig.key_frame(source, 0, width=1280, height=720)
    rig.key_frame(source, 1, width=640, height=360)
    source.order_by_size()
    assert [layer.rid for layer in source.layers] == ["z", "y", "x"]  # one is not known yet
    rig.key_frame(source, 2, width=320, height=180)
    source.order_by_size()

    assert [(la.spatial, la.rid, la.quality, la.width) for la in source.layers] == [
        (0, "x", VideoQuality.LOW, 320),
        (1, "y", VideoQuality.MEDIUM, 640),
        (2, "z", VideoQuality.HIGH, 1280),
    ]
    assert {layer.rid: layer.up for layer in source.layers} == rows
    rig.packet(source, 7100, rid="x")
    assert source.layers[0].ssrc == 7100


def test_the_rate_is_the_announced_one_until_it_is_measured(rig: Rig):
    source = rig.camera("qhf")
    assert source.layers[0].bitrate == 150_000

    rig.engine.ups[rig.up(source)] = replace(rig.engine.ups[rig.up(source)], bitrate=100_000)
    rig.pass_time(1.1)

    assert source.layers[0].bitrate == 125_000


def test_levels_are_told_to_whoever_listens(rig: Rig):
    source = rig.voice()
    rig.board.on_event(AudioLevel(rig.up(source), -20, 0.5))
    heard: list[tuple[int, float]] = []
    source.on_level = lambda dbov, active: heard.append((dbov, active))

    rig.board.on_event(AudioLevel(rig.up(source), -30, 0.75))

    assert heard == [(-30, 0.75)]


def test_a_further_negotiation_brings_new_sizes(rig: Rig):
    source = rig.camera("qhf")
    larger = tuple(replace(layer, width=2 * layer.width) for layer in LAYERS)

    source.peer.update_receive("1", replace(SIMULCAST, layers=larger))

    assert source.layers[2].width == 2560
    assert source.parameters.layers == larger


def test_a_sender_report_sets_the_clock_of_its_layer(rig: Rig):
    source = rig.camera("qh")
    report = rtcp.SenderReport(7001, ntp=5 << 32, rtp_ts=77, packets=1, octets=1)

    source.peer.on_sender_report(report, 3.0)

    assert source.layers[0].clock is None
    assert (source.layers[1].clock.rtp_ts, source.layers[1].clock.arrived) == (77, 3.0)


def test_goodbye_silences_only_the_senders_own_stream(rig: Rig):
    source, other = rig.camera("qh"), rig.camera("qh")

    source.peer.on_goodbye(7001)

    assert [layer.live for layer in source.layers] == [True, False]
    assert all(layer.live for layer in other.layers)


def test_a_closed_source_frees_its_rows_and_learns_nothing_more(rig: Rig):
    source = rig.camera("qhf")
    peer = source.peer
    source.close()
    source.close()

    rig.packet(source, 7005, rid="q")

    assert rig.engine.ups == {}
    assert rig.board.streams == {}
    assert peer.sources == ()
    assert source.layers == ()


def test_qualities_are_kept_in_the_layers(rig: Rig):
    source = rig.camera("qf")
    assert [layer.quality for layer in source.layers] == [VideoQuality.LOW, VideoQuality.HIGH]
