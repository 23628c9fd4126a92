"""Published streams reach subscribers whole, in order, under the subscriber's numbers."""

from __future__ import annotations

import asyncio

from roomful_rtc import rtcp

from .client import until
from .publishing import VP9, Voice, gapless, is_key


async def test_audio_reaches_a_subscriber(bench):
    source, voice, _, observer = await bench.voice()
    peer, _, listener = await bench.join()
    sink = bench.subscribe(peer, source)

    for _ in range(20):
        voice.say()
        await asyncio.sleep(0.001)
    await until(lambda: len(listener.received[sink.parameters.ssrc]) >= 19)

    packets = listener.received[sink.parameters.ssrc]
    assert gapless(packets)
    assert {packet.pt for packet in packets} == {109}
    assert observer.of("bound") == [("bound", "0", "audio/opus")]
    assert source.codec == "opus"


async def test_video_begins_with_a_key_frame_that_was_asked_for(bench):
    source, streams, publisher, _ = await bench.camera()
    peer, _, viewer = await bench.join()
    camera = streams[""]
    camera.frame(key=True)
    await until(lambda: source.layers)
    sink = bench.subscribe(peer, source)
    camera.frame()
    await until(lambda: publisher.of(rtcp.Pli))

    camera.frame()
    camera.frame(key=True)
    camera.frame()
    await until(lambda: len(viewer.received[sink.parameters.ssrc]) == 4)

    packets = viewer.received[sink.parameters.ssrc]
    assert publisher.of(rtcp.Pli)[0].media == camera.ssrc
    assert is_key(packets[0])
    assert gapless(packets)
    assert {packet.pt for packet in packets} == {120}


async def test_level_of_a_voice_is_told(bench):
    source, voice, _, _ = await bench.voice()
    levels: list[tuple[int, float]] = []
    source.on_level = lambda dbov, active: levels.append((dbov, active))

    for _ in range(30):
        voice.say(level=-12)
        await asyncio.sleep(0.01)
    await until(lambda: levels)

    assert levels[0][0] == -12
    assert levels[0][1] == 1.0


async def test_twenty_five_voices_reach_everybody_without_a_gap(bench):
    voices: list[Voice] = []
    sources, listeners = [], []
    for _ in range(25):
        source, voice, client, _ = await bench.voice()
        voices.append(voice)
        sources.append(source)
        listeners.append((source.peer, client))
    sinks = [
        (client, bench.subscribe(peer, source))
        for peer, client in listeners
        for source in sources
        if source.peer is not peer
    ]
    for _ in range(2):
        for voice in voices:
            voice.say()
        await asyncio.sleep(0.1)
    await until(lambda: all(sink.layer for _, sink in sinks))

    for _ in range(25):
        for voice in voices:
            voice.say()
            await asyncio.sleep(0)
        await asyncio.sleep(0.02)
    await until(lambda: all(len(c.received[s.parameters.ssrc]) >= 25 for c, s in sinks))

    assert len(sinks) == 600
    assert all(gapless(client.received[sink.parameters.ssrc]) for client, sink in sinks)


async def test_removal_under_traffic_leaves_the_others_alone(bench):
    source, voice, _, _ = await bench.voice()
    joined = [await bench.join() for _ in range(4)]
    sinks = [bench.subscribe(peer, source) for peer, _, _ in joined]
    witness, kept = joined[0][2], sinks[0]

    async def talk(count):
        for _ in range(count):
            voice.say()
            await asyncio.sleep(0.002)

    await talk(20)
    sinks[1].close()
    await talk(20)
    await joined[2][0].close("gone")
    await talk(20)
    bench.plane.engine.remove_down(sinks[3].down)
    await talk(20)
    await until(lambda: len(witness.received[kept.parameters.ssrc]) >= 79)

    assert gapless(witness.received[kept.parameters.ssrc])
    assert not joined[2][0].sinks
    sinks[3].close()
    source.close()
    await talk(5)
    assert kept.layer is None


async def test_a_publisher_that_goes_leaves_silent_sinks(bench):
    source, voice, _client, _ = await bench.voice()
    peer, observer, _listener = await bench.join()
    sink = bench.subscribe(peer, source)
    voice.say()
    await until(lambda: source.layers)
    voice.say()
    await until(lambda: sink.layer)

    await source.peer.close("gone")

    assert sink.layer is None
    assert source.layers == ()
    assert not observer.of("failed")
    sink.close()


async def test_what_a_peer_sends_in_no_section_is_not_placed(bench):
    source, voice, client, observer = await bench.voice()
    stranger = Voice(client, "99", 777, voice.pt)
    for _ in range(5):
        stranger.say()
    voice.say()
    await until(lambda: source.layers)

    assert [layer.ssrc for layer in source.layers] == [voice.ssrc]
    assert len(observer.of("bound")) == 1


async def test_a_new_ssrc_in_the_same_section_takes_the_place_of_the_old_one(bench):
    source, voice, client, _ = await bench.voice()
    peer, _, listener = await bench.join()
    sink = bench.subscribe(peer, source)
    for _ in range(5):
        voice.say()
        await asyncio.sleep(0.002)
    await until(lambda: len(listener.received[sink.parameters.ssrc]) >= 4)

    other = Voice(client, "0", 5001, voice.pt, clock_rate=48_000, ts=77)
    for _ in range(10):
        other.say()
        await asyncio.sleep(0.002)
    await until(lambda: len(listener.received[sink.parameters.ssrc]) >= 13)

    assert [layer.ssrc for layer in source.layers] == [5001]
    assert gapless(listener.received[sink.parameters.ssrc])


async def test_a_muted_track_is_silent_and_begins_again_with_a_key_frame(bench):
    source, streams, publisher, _ = await bench.camera()
    camera = streams[""]
    peer, _, viewer = await bench.join()
    sink = bench.subscribe(peer, source)
    camera.frame(key=True)
    await until(lambda: publisher.of(rtcp.Pli))
    camera.frame(key=True)
    got = viewer.received[sink.parameters.ssrc]
    await until(lambda: got)

    source.set_muted(True)
    before, asked = len(got), len(publisher.of(rtcp.Pli))
    for _ in range(5):
        camera.frame()
    await asyncio.sleep(0.05)
    assert len(got) == before
    source.set_muted(False)
    await until(lambda: len(publisher.of(rtcp.Pli)) > asked)
    camera.frame()
    camera.frame(key=True)
    await until(lambda: len(got) > before)

    assert is_key(got[before])
    assert gapless(got)


async def test_another_codec_on_the_same_stream_goes_out_under_its_own_payload_type(bench):
    source, streams, publisher, _ = await bench.camera()
    camera = streams[""]
    peer, _, viewer = await bench.join()
    sink = bench.subscribe(peer, source)
    camera.frame(key=True)
    await until(lambda: publisher.of(rtcp.Pli))
    camera.frame(key=True)
    got = viewer.received[sink.parameters.ssrc]
    await until(lambda: len(got) >= 2)

    camera.pt = VP9
    camera.frame()
    camera.frame()
    await until(lambda: len(got) >= 6)

    assert [packet.pt for packet in got] == [120, 120, 122, 122, 122, 122]
    assert gapless(got)
