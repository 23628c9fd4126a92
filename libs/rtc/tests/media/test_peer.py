"""One transport: tables, bandwidth, quality, and its end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from roomful.errors import ResourceExhausted
from roomful.model.enums import ConnectionQuality
from roomful_rtc import rtcp
from roomful_rtc.engine import Arrivals, UnknownSsrc
from roomful_rtc.peer import MAX_SOURCES
from roomful_rtc.uplink import ABOVE_FOR_S

from .rig import AUDIO, CAMERA, CODECS, SIMULCAST, Rig


def rates(rig: Rig, source, *bits: int) -> None:
    """Let the engine measure these rates of the layers."""
    for layer, bitrate in zip(source.layers, bits, strict=True):
        rig.engine.ups[layer.up] = replace(rig.engine.ups[layer.up], bitrate=bitrate)


def estimate(sink, bitrate: int, times: int = 4) -> None:
    remb = rtcp.build_remb(1, bitrate, [sink.parameters.ssrc])
    for _ in range(times):
        sink._peer.on_rtcp(rtcp.build_rr(1) + remb)


def test_tables_are_entered_with_the_connection(rig: Rig):
    peer = rig.peer(connected=False)
    peer.receive("0", AUDIO)
    peer.receive("1", SIMULCAST)
    assert rig.engine.calls == []

    rig.connect(peer)

    assert rig.engine.made("codecs") == [(peer.engine_peer, CODECS)]
    assert rig.engine.made("extensions") == [
        (peer.engine_peer, {"mid": 1, "audio_level": 2, "rid": 3}, {})
    ]
    assert peer.observer.of("connected") == [()]


def test_packets_before_the_word_of_the_transport_find_the_peer(rig: Rig):
    peer = rig.peer(connected=False)
    source = peer.receive("0", AUDIO)
    peer.transport.engine_peer = 77

    rig.board.on_event(UnknownSsrc(77, 5000, 111, "0", "", ""))

    assert source.codec == "opus"
    assert peer.engine_peer == 77


def test_unchanged_tables_are_not_written_again(rig: Rig):
    peer = rig.peer()
    peer.receive("0", AUDIO)
    calls = len(rig.engine.calls)
    peer.update_receive("0", AUDIO)
    assert len(rig.engine.calls) == calls


def test_a_section_has_one_source(rig: Rig):
    peer = rig.peer()
    first = peer.receive("0", AUDIO)
    with pytest.raises(ValueError, match="'0'"):
        peer.receive("0", AUDIO)
    peer.stop_receiving("0")
    peer.stop_receiving("0")
    assert peer.receive("0", AUDIO) is not first


def test_an_unknown_section_cannot_be_updated(rig: Rig):
    with pytest.raises(LookupError):
        rig.peer().update_receive("5", AUDIO)


def test_a_peer_publishes_so_many_tracks(rig: Rig):
    peer = rig.peer()
    for number in range(MAX_SOURCES):
        peer.receive(str(number), AUDIO)
    with pytest.raises(ResourceExhausted):
        peer.receive("more", AUDIO)


def test_ssrcs_are_unique_and_never_zero(rig: Rig):
    peer = rig.peer()
    made = [peer.new_ssrc() for _ in range(2000)]
    assert len(set(made)) == 2000
    assert all(0 < ssrc < 1 << 32 for ssrc in made)


def test_transport_wide_arrivals_are_acknowledged(rig: Rig):
    source = rig.camera("")
    peer = source.peer

    rig.board.on_event(Arrivals(peer.engine_peer, ((1, 1_000), (2, 2_000))))

    (feedback,) = [p for p in peer.transport.sent if isinstance(p, rtcp.TransportFeedback)]
    assert feedback.media == 7000


def test_many_streams_are_reported_in_several_packets(rig: Rig):
    peer = rig.peer()
    for number in range(40):
        source = peer.receive(str(number), AUDIO)
        rig.packet(source, 5000 + number, pt=111)

    rig.pass_time(1.01)

    reports = [p for p in peer.transport.sent if isinstance(p, rtcp.ReceiverReport)]
    assert sorted(len(report.blocks) for report in reports) == [9, 31]


def test_an_estimate_is_sent_where_it_is_the_only_feedback(rig: Rig):
    peer = rig.peer()
    for number, extensions in enumerate(({"mid": 1}, {"mid": 1, "twcc": 5})):
        other = peer if not number else rig.peer()
        source = other.receive("1", replace(CAMERA, remb=True, extensions=extensions))
        rig.packet(source, 7000)
    rig.pass_time(1.01)

    (remb,) = [p for p in peer.transport.sent if isinstance(p, rtcp.Remb)]
    assert remb.ssrcs == (7000,)
    assert not [p for p in other.transport.sent if isinstance(p, rtcp.Remb)]


def test_a_low_estimate_lowers_the_layer_at_once(rig: Rig):
    source = rig.camera("qhf")
    sink = rig.subscribe(source)
    rates(rig, source, 150_000, 500_000, 1_700_000)
    rig.pass_time(1.01)

    estimate(sink, 700_000)

    assert sink._peer.bandwidth == pytest.approx(700_000, rel=0.01)
    assert rig.engine.made("switch")[-1][:2] == (sink.down, rig.up(source, 1))


def test_audio_is_never_lowered_and_counts_first(rig: Rig):
    camera, voice, peer = rig.camera("qhf"), rig.voice(), rig.peer()
    talk = rig.subscribe(voice, peer)
    sink = rig.subscribe(camera, peer)
    rates(rig, camera, 150_000, 500_000, 1_700_000)
    rates(rig, voice, 100_000)
    rig.pass_time(1.01)

    estimate(sink, 600_000)

    assert rig.engine.made("switch")[-1][:2] == (sink.down, rig.up(camera, 0))
    assert talk.layer is not None


def test_a_pausable_stream_stops_and_comes_back(rig: Rig):
    source = rig.camera("qhf")
    sink = rig.subscribe(source, may_pause=True)
    rates(rig, source, 150_000, 500_000, 1_700_000)
    rig.pass_time(1.01)

    estimate(sink, 100_000)

    assert sink.paused
    assert rig.engine.made("set_down")[-1][1] is False
    for _ in range(40):
        estimate(sink, 5_000_000, times=1)
        rig.pass_time(1.0)
    assert not sink.paused
    assert rig.engine.made("set_down")[-1][1] is True
    states = [paused for _, paused in sink._peer.observer.of("stream_state")]
    assert states == [True, False]


def test_quality_is_told_every_five_seconds(rig: Rig):
    source = rig.camera("")
    rig.pass_time(4.9)
    assert source.peer.observer.of("quality") == []
    up = rig.up(source)
    rig.engine.ups[up] = replace(rig.engine.ups[up], packets=70, lost=30)

    rig.pass_time(0.3)

    ((reading,),) = source.peer.observer.of("quality")
    assert reading.quality is ConnectionQuality.POOR
    assert reading.loss_up == pytest.approx(0.3)


def test_a_peer_without_checks_is_lost_until_it_comes_back(rig: Rig):
    peer = rig.peer()
    peer.transport.state = "disconnected"
    peer.on_disconnected()
    rig.pass_time(5.5)
    peer.transport.state = "connected"
    peer.on_reconnected()

    readings = [reading.quality for (reading,) in peer.observer.of("quality")]
    assert readings == [ConnectionQuality.LOST]
    assert peer.observer.of("reconnected") == [()]


def test_a_publisher_above_the_ceiling_is_ended(rig: Rig):
    source, witness = rig.camera("qhf"), rig.voice()
    peer = source.peer
    rates(rig, source, 0, 0, 80_000_000)

    rig.pass_time(ABOVE_FOR_S + 1.5)

    assert peer.observer.of("failed") == [("publishes more than the ceiling",)]
    assert source.layers == ()
    assert witness.layers
    assert len(rig.spawned) == 1


def test_a_burst_above_the_ceiling_is_allowed(rig: Rig):
    source = rig.camera("qhf")
    rates(rig, source, 0, 0, 40_000_000)
    rig.pass_time(ABOVE_FOR_S - 1.5)
    rates(rig, source, 0, 0, 1_000_000)
    rig.pass_time(10.0)
    assert source.peer.connected


def test_an_observer_that_raises_ends_its_own_peer_only(rig: Rig):
    witness = rig.voice()
    peer = rig.peer()
    peer.observer.fail_on = "on_source_bound"

    source = rig.voice(peer)

    assert not peer.connected
    assert peer.observer.of("failed") == [("internal: media handling failed",)]
    assert source.layers == ()
    assert witness.layers


async def test_closing_ends_everything_and_tells_nobody(rig: Rig):
    camera = rig.camera("qhf")
    peer = rig.peer()
    sink = rig.subscribe(camera, peer)
    own = rig.voice(peer)
    events = len(peer.observer.events)

    await peer.close("bye")
    await peer.close("bye")
    rig.pass_time(6.0)

    assert peer.sources == ()
    assert peer.sinks == ()
    assert own.layers == ()
    assert sink.layer is None
    assert len(peer.observer.events) == events
    assert peer.transport.closed == ["bye", "bye"]
    assert peer not in rig.board.all_peers
    assert peer not in rig.board.peers.values()


def test_a_transport_that_failed_has_taken_the_rows_along(rig: Rig):
    camera, peer = rig.camera("qhf"), rig.peer()
    rig.subscribe(camera, peer)
    own = rig.voice(peer)
    rig.engine.ups.pop(rig.up(own))
    rig.engine.downs.clear()

    peer.on_failed("ice: no check for 15 s")
    peer.on_failed("again")

    assert peer.observer.of("failed") == [("ice: no check for 15 s",)]
    assert rig.board.sinks == {}


def test_data_passes_through(rig: Rig):
    peer = rig.peer()
    peer.on_channel_open("_reliable")
    peer.on_message("_reliable", b"up")
    assert peer.send_message("_reliable", b"down")
    assert peer.observer.of("channel_open") == [("_reliable",)]
    assert peer.observer.of("message") == [("_reliable", b"up")]
    assert peer.transport.messages == [("_reliable", b"down")]
