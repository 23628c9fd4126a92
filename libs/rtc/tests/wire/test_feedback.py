"""RTCP in both directions: repair, key frames, reports, estimates, and their guards."""

from __future__ import annotations

import asyncio

import pytest

from roomful_rtc import rtcp, twcc
from roomful_rtc.layer_plan import ReceiveParameters

from .client import until
from .conftest import CODECS, EXTENSIONS
from .publishing import OPUS, SECOND, TWCC_ID, Layer, Voice, gapless, picture_id
from .test_layers import Camera, started


async def watching(bench, **options):
    """A camera that plays, and one who watches it."""
    source, streams, publisher, _ = await bench.camera()
    camera = streams[""]
    peer, _observer, viewer = await bench.join()
    sink = bench.subscribe(peer, source, **options)
    camera.frame(key=True)
    await until(lambda: publisher.of(rtcp.Pli))
    camera.frame(key=True)
    await until(lambda: viewer.received[sink.parameters.ssrc])
    return camera, publisher, sink, viewer, peer


def lose_some(viewer, ssrc, which):
    """Let the viewer lose the packets with these places in the stream's order."""
    lost = []

    def lose(packet):
        if packet.ssrc == ssrc and packet.seq16 not in lost and (packet.seq16 % 7) in which:
            lost.append(packet.seq16)
            return True
        return False

    viewer.lose = lose
    return lost


async def test_lost_packets_are_sent_again_by_rtx(bench):
    camera, _, sink, viewer, _ = await watching(bench)
    ssrc, rtx = sink.parameters.ssrc, sink.parameters.rtx_ssrc
    lost = lose_some(viewer, ssrc, {3})
    for _ in range(20):
        camera.frame()
        await asyncio.sleep(0.001)
    await until(lambda: len(lost) >= 5)

    viewer.send_rtcp(rtcp.build_rr(1), rtcp.build_nack(1, ssrc, lost))
    await until(lambda: len(viewer.received[rtx]) >= len(lost))

    repaired = [int.from_bytes(p.payload[:2], "big") for p in viewer.received[rtx]]
    assert repaired == lost
    assert {p.pt for p in viewer.received[rtx]} == {121}
    assert {p.payload[2:][:1] for p in viewer.received[rtx]} <= {b"\x80", b"\x90"}
    assert gapless(viewer.received[rtx])


async def test_without_rtx_the_same_bytes_come_again(bench):
    camera, _, sink, viewer, _ = await watching(bench, rtx=False)
    ssrc = sink.parameters.ssrc
    lost = lose_some(viewer, ssrc, {3})
    for _ in range(20):
        camera.frame()
        await asyncio.sleep(0.001)
    await until(lambda: len(lost) >= 5)
    before = viewer.refused

    viewer.send_rtcp(rtcp.build_rr(1), rtcp.build_nack(1, ssrc, lost))
    await until(lambda: viewer.refused >= before + len(lost))

    assert viewer.refused == before + len(lost)


async def test_the_publisher_is_asked_for_what_was_lost_and_its_repair_is_forwarded(bench):
    camera, publisher, sink, viewer, _ = await watching(bench)
    got = viewer.received[sink.parameters.ssrc]
    camera.frame(packets=4, lose=(1, 2))
    await until(lambda: publisher.of(rtcp.Nack))
    (asked,) = {nack.seq16s for nack in publisher.of(rtcp.Nack)}

    assert publisher.of(rtcp.Nack)[0].media == camera.ssrc
    assert len(asked) == 2
    for seq16 in asked:
        camera.repair(seq16, 9000)
    await until(lambda: gapless(sorted(got, key=lambda p: p.seq16)))

    count = len(publisher.of(rtcp.Nack))
    await asyncio.sleep(0.3)
    assert len(publisher.of(rtcp.Nack)) == count


async def test_requests_for_lost_packets_end(bench):
    camera, publisher, _, _, _ = await watching(bench)
    camera.frame(packets=4, lose=(1,))

    await until(lambda: publisher.of(rtcp.Nack))
    await asyncio.sleep(0.9)
    count = len(publisher.of(rtcp.Nack))
    await asyncio.sleep(0.4)

    assert 1 < count <= 5
    assert len(publisher.of(rtcp.Nack)) == count


async def test_many_requests_for_key_frames_cause_few(bench):
    _camera, publisher, sink, viewer, _ = await watching(bench)
    publisher.rtcp.clear()

    for _ in range(40):
        viewer.send_rtcp(rtcp.build_rr(1), rtcp.build_pli(1, sink.parameters.ssrc))
        viewer.send_rtcp(rtcp.build_rr(1), rtcp.build_fir(1, [(sink.parameters.ssrc, 1)]))
        await asyncio.sleep(0.025)

    assert 1 <= len(publisher.of(rtcp.Pli)) <= 3


async def test_feedback_about_streams_of_others_is_ignored(bench):
    camera, publisher, sink, viewer, peer = await watching(bench)
    _, _, stranger = await bench.join()
    camera.frame(key=True)
    await asyncio.sleep(0.6)
    publisher.rtcp.clear()
    resent = bench.plane.engine.stats().downs[sink.down].resent

    ssrc = sink.parameters.ssrc
    last = viewer.received[ssrc][-1].seq16
    stranger.send_rtcp(rtcp.build_rr(1), rtcp.build_pli(1, ssrc), rtcp.build_nack(1, ssrc, [last]))
    stranger.send_rtcp(rtcp.build_rr(1), rtcp.build_pli(1, camera.ssrc))
    stranger.send_rtcp(rtcp.build_rr(1), rtcp.build_remb(1, 10_000, [ssrc]))
    await asyncio.sleep(0.1)

    assert not publisher.of(rtcp.Pli)
    assert bench.plane.engine.stats().downs[sink.down].resent == resent
    assert peer.bandwidth is None


async def test_sender_reports_keep_the_publishers_clock_in_our_numbers(bench):
    source, voice, publisher, _ = await bench.voice()
    peer, _, listener = await bench.join()
    sink = bench.subscribe(peer, source, cname="ann")
    for _ in range(10):
        voice.say()
        await asyncio.sleep(0.002)
    ssrc = sink.parameters.ssrc
    await until(lambda: len(listener.received[ssrc]) >= 9)
    ntp = 1234 * SECOND + SECOND // 3

    publisher.send_rtcp(voice.report(ntp))
    await until(lambda: listener.of(rtcp.SenderReport))

    report = listener.of(rtcp.SenderReport)[0]
    last = listener.received[ssrc][-1]
    assert (report.ssrc, report.ntp) == (ssrc, ntp)
    assert (report.rtp_ts - last.ts) & 0xFFFFFFFF == 960
    assert report.packets == len(listener.received[ssrc])


async def test_a_round_trip_comes_from_the_receivers_report(bench):
    source, voice, publisher, _ = await bench.voice()
    peer, _, listener = await bench.join()
    sink = bench.subscribe(peer, source)
    for _ in range(5):
        voice.say()
        await asyncio.sleep(0.002)
    publisher.send_rtcp(voice.report(9 * SECOND))
    await until(lambda: listener.of(rtcp.SenderReport))
    report = listener.of(rtcp.SenderReport)[0]

    await asyncio.sleep(0.06)
    block = rtcp.ReportBlock(
        report.ssrc, 64, 10, 5, 480, report.ntp >> 16 & 0xFFFFFFFF, 65536 // 100
    )
    listener.send_rtcp(rtcp.build_rr(1, [block]))
    await until(lambda: sink.stats.rtt_ms)

    assert 40 < sink.stats.rtt_ms < 500
    assert sink.stats.fraction_lost == 0.25
    assert sink.stats.jitter_ms == pytest.approx(10)
    assert peer.rtt_s == pytest.approx(sink.stats.rtt_ms / 1000)


async def test_the_publisher_gets_a_receiver_report_each_second(bench):
    _, voice, publisher, _ = await bench.voice()
    for number in range(120):
        if number == 50:
            voice.packet(b"lost")
        voice.say()
        if not number % 40:
            publisher.send_rtcp(voice.report(7 * SECOND))
        await asyncio.sleep(0.01)

    def blocks_so_far() -> list[rtcp.ReportBlock]:
        return [b for r in publisher.of(rtcp.ReceiverReport) for b in r.blocks]

    await until(
        lambda: len(blocks_so_far()) >= 2 and blocks_so_far()[-1].highest_seq == voice.seq - 1
    )

    blocks = blocks_so_far()
    assert {block.ssrc for block in blocks} == {voice.ssrc}
    assert blocks[-1].lost == 1
    assert blocks[-1].lsr == (7 * SECOND >> 16) & 0xFFFFFFFF


async def test_transport_wide_feedback_comes_within_100_ms(bench):
    peer, _, publisher = await bench.join()
    extensions = EXTENSIONS | {"twcc": TWCC_ID}
    peer.receive("0", ReceiveParameters("audio", CODECS, extensions))
    voice = Voice(publisher, "0", 5000, OPUS, clock_rate=48_000)

    for number in range(20):
        publisher.send_rtp(voice.packet(b"x", twcc=number.to_bytes(2, "big")))
        await asyncio.sleep(0.005)
    await until(lambda: _acknowledged(publisher) == list(range(20)), 1.0)

    assert not publisher.of(rtcp.Remb)


def _acknowledged(publisher) -> list[int]:
    return [
        seq
        for feedback in publisher.of(rtcp.TransportFeedback)
        for seq, _ in twcc.parse(feedback.body).packets
    ]


async def test_without_transport_wide_numbers_the_publisher_gets_an_estimate(bench):
    peer, _, publisher = await bench.join()
    peer.receive("1", ReceiveParameters("video", CODECS, EXTENSIONS, remb=True))
    camera = Layer(publisher, "1", 7000, 96)
    for _ in range(60):
        camera.frame(key=True)
        await asyncio.sleep(0.02)
    await until(lambda: publisher.of(rtcp.Remb))

    remb = publisher.of(rtcp.Remb)[0]
    assert remb.ssrcs == (camera.ssrc,)
    assert remb.bitrate >= 1_000_000


async def test_a_low_estimate_lowers_the_layer_and_a_pausable_stream_stops(bench):
    source, camera, sink, got, viewer = await started(bench)
    observer = sink._peer.observer
    pausable = bench.subscribe(sink._peer, source, may_pause=True)
    ssrc = sink.parameters.ssrc
    for _ in range(100):
        await camera.run(5)
        if all(layer.bitrate for layer in source.layers):
            break

    for _ in range(4):
        viewer.send_rtcp(rtcp.build_rr(1), rtcp.build_remb(1, 11_000, [ssrc]))
        await asyncio.sleep(0.01)
    await camera.run(20)

    assert sink.layer.rid == "q"
    assert not sink.paused
    assert pausable.paused
    assert observer.of("stream_state") == [("stream_state", True)]
    before = len(viewer.received[pausable.parameters.ssrc])
    await camera.run(5)
    assert len(viewer.received[pausable.parameters.ssrc]) == before
    assert gapless(got)


async def test_a_flood_of_reports_is_handled_in_part(bench):
    camera, _, sink, viewer, peer = await watching(bench)

    for _ in range(400):
        viewer.send_rtcp(rtcp.build_rr(1))
    # most end in the engine or at the door, before anybody decrypts them
    mux = peer.transport._mux

    def dropped() -> int:
        early = mux.engine.stats().drops.get("handed_up_peer", 0) + mux.drops["rtcp_rate"]
        return peer._feedback.drops["rate"] + early

    await until(lambda: dropped() >= 200)

    camera.frame()
    before = picture_id(viewer.received[sink.parameters.ssrc][-1])
    await until(lambda: picture_id(viewer.received[sink.parameters.ssrc][-1]) != before)


async def test_malformed_feedback_is_counted_and_harms_nobody(bench):
    camera, _, sink, viewer, peer = await watching(bench)

    for junk in (
        b"\x80\xc8\xff\xff",
        b"\x9f\xc9\x00\x01\x00\x00\x00\x01",
        b"\x81\xcd\x00\x02" + bytes(8),
    ):
        viewer.send_datagram(viewer.dtls._tx_srtp.protect_rtcp(junk + bytes(-len(junk) % 4 + 4)))
    await until(lambda: peer._feedback.drops["malformed"] >= 2)

    before = len(viewer.received[sink.parameters.ssrc])
    camera.frame()
    await until(lambda: len(viewer.received[sink.parameters.ssrc]) > before)


async def test_simulcast_layers_have_reports_of_their_own(bench):
    source, streams, publisher, _ = await bench.camera(layers="qh")
    await Camera(streams, publisher).run(5)
    await until(lambda: len(source.layers) == 2)
    publisher.send_rtcp(*(s.report(3 * SECOND) for s in streams.values()))

    await until(lambda: all(layer.clock for layer in source.layers))

    assert [layer.clock.rtp_ts for layer in source.layers] == [s.ts for s in streams.values()]
