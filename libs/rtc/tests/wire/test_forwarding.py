"""Published streams reach subscribers whole, in order, under the subscriber's numbers."""

from __future__ import annotations

import asyncio

from roomful_rtc import rtcp

from .client import until
from .publishing import is_key


def gapless(packets) -> bool:
    numbers = [packet.seq16 for packet in packets]
    return all((b - a) & 0xFFFF == 1 for a, b in zip(numbers, numbers[1:], strict=False))


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
