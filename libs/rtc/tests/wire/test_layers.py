"""Simulcast: layers are learnt, chosen and switched without a break for the viewer."""

from __future__ import annotations

import asyncio
from itertools import pairwise

from roomful.model.enums import VideoQuality
from roomful_rtc import rtcp
from roomful_rtc.selection import Want

from .client import until
from .publishing import SECOND, gapless, is_key, pictures, rid_of, times_never_go_back


class Camera:
    """Three layers that answer every request for a key frame, 100 frames a second."""

    def __init__(self, streams, publisher):
        self.streams, self.publisher = streams, publisher
        self.frames = 0
        self.on = set(streams)

    async def run(self, frames):
        for _ in range(frames):
            asked = {packet.media for packet in self.publisher.of(rtcp.Pli)}
            self.publisher.rtcp[:] = [p for p in self.publisher.rtcp if not isinstance(p, rtcp.Pli)]
            for rid, stream in self.streams.items():
                if rid in self.on:
                    stream.frame(key=stream.ssrc in asked or not self.frames)
            self.frames += 1
            await asyncio.sleep(0.01)

    def report(self, at=5):
        """Sender reports of all layers for one instant."""
        self.publisher.send_rtcp(*(s.report(at * SECOND) for s in self.streams.values()))


async def started(bench, want=None):
    source, streams, publisher, _observer = await bench.camera(layers="qhf")
    peer, _, viewer = await bench.join()
    sink = bench.subscribe(peer, source)
    if want is not None:
        sink.set(want)
    camera = Camera(streams, publisher)
    await camera.run(10)
    await until(lambda: len(source.layers) == 3)
    return source, camera, sink, viewer.received[sink.parameters.ssrc], viewer


async def test_layers_are_learnt_in_order_of_quality(bench):
    source, _camera, _, _, _ = await started(bench)

    assert [(layer.spatial, layer.rid, layer.ssrc) for layer in source.layers] == [
        (0, "q", 7000),
        (1, "h", 7001),
        (2, "f", 7002),
    ]
    assert [(layer.width, layer.height) for layer in source.layers] == [
        (320, 180),
        (640, 360),
        (1280, 720),
    ]
    assert all(layer.live for layer in source.layers)


async def test_the_best_layer_flows_unless_less_is_wanted(bench):
    _, camera, sink, got, _ = await started(bench)

    await camera.run(30)
    await until(lambda: sink.layer and sink.layer.rid == "f")
    await camera.run(5)

    assert rid_of(got[-1]) == "f"


async def test_switching_down_and_up_leaves_no_gap(bench):
    _, camera, sink, got, _ = await started(bench)
    camera.report()
    await camera.run(40)

    for quality, rid in (
        (VideoQuality.LOW, "q"),
        (VideoQuality.HIGH, "f"),
        (VideoQuality.MEDIUM, "h"),
    ):
        sink.set(Want(quality=quality))
        before = len(got)
        for _ in range(30):
            await camera.run(5)
            if sink.layer and sink.layer.rid == rid:
                break
        await camera.run(5)
        switched = next(p for p in got[before:] if rid_of(p) == rid)
        assert is_key(switched)
        assert rid_of(got[-1]) == rid

    assert gapless(got)
    assert times_never_go_back(got)
    assert all((b - a) & 0x7FFF == 1 for a, b in pairwise(pictures(got)))


async def test_times_of_layers_meet_by_their_sender_reports(bench):
    _, camera, sink, got, _ = await started(bench, Want(quality=VideoQuality.HIGH))
    await camera.run(40)
    for stream in camera.streams.values():
        stream.ts += 0
    camera.report()
    await camera.run(3)

    sink.set(Want(quality=VideoQuality.LOW))
    for _ in range(30):
        await camera.run(5)
        if sink.layer.rid == "q":
            break
    await camera.run(5)

    steps = [(b.ts - a.ts) & 0xFFFFFFFF for a, b in pairwise(got[-60:])]
    assert set(steps) <= {0, 3000}


async def test_a_size_chooses_the_layer(bench):
    _, camera, _sink, got, _ = await started(bench, Want(width=600, height=340))
    await camera.run(30)

    assert rid_of(got[-1]) == "h"


async def test_a_disabled_stream_sends_nothing_and_comes_back_with_a_key_frame(bench):
    _, camera, sink, got, _ = await started(bench)
    await camera.run(20)
    sink.set(Want(enabled=False))
    await camera.run(2)
    before = len(got)
    await camera.run(10)
    assert len(got) == before

    sink.set(Want(enabled=True, quality=VideoQuality.LOW))
    for _ in range(20):
        await camera.run(5)
        if len(got) > before:
            break

    assert is_key(got[before])
    assert rid_of(got[before]) == "q"
    assert gapless(got)


async def test_a_layer_that_falls_silent_is_replaced(bench):
    source, camera, sink, got, _ = await started(bench)
    await camera.run(20)
    camera.on = {"q", "h"}

    for _ in range(60):
        await camera.run(5)
        if sink.layer and sink.layer.rid == "h":
            break
    await camera.run(3)

    assert [layer.live for layer in source.layers] == [True, True, False]
    assert rid_of(got[-1]) == "h"
    assert gapless(got)
