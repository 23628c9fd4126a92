"""Two percent of loss on both ways: everything arrives in the end."""

from __future__ import annotations

import asyncio
import random

from roomful_rtc import rtcp

from .client import WireClient, until
from .publishing import Layer

LOSS, SEED, FRAMES, PER_FRAME = 0.02, 20, 250, 3


class Repairing:
    """A publisher that answers requests for lost packets."""

    def __init__(self, camera: Layer) -> None:
        self.camera, self.repaired = camera, 0

    def answer(self) -> None:
        for nack in self.camera.client.of(rtcp.Nack):
            for seq16 in nack.seq16s:
                self.camera.repair(seq16, 9000)
                self.repaired += 1
        self.camera.client.rtcp.clear()


class Asking:
    """A viewer that asks for what it misses, and takes it by RTX."""

    def __init__(self, viewer: WireClient, ssrc: int, rtx_ssrc: int) -> None:
        self.viewer, self.ssrc, self.rtx_ssrc = viewer, ssrc, rtx_ssrc

    @property
    def numbers(self) -> set[int]:
        repaired = self.viewer.received[self.rtx_ssrc]
        own = {packet.seq16 for packet in self.viewer.received[self.ssrc]}
        return own | {int.from_bytes(packet.payload[:2], "big") for packet in repaired}

    @property
    def missing(self) -> list[int]:
        numbers = self.numbers
        return [n for n in range(min(numbers), max(numbers)) if n not in numbers]

    def ask(self) -> None:
        if missing := self.missing[:16]:
            self.viewer.send_rtcp(rtcp.build_rr(1), rtcp.build_nack(1, self.ssrc, missing))


async def test_loss_on_both_ways_is_repaired(bench):
    chance = random.Random(SEED)
    source, streams, publisher, _ = await bench.camera()
    camera = streams[""]
    peer, _, viewer = await bench.join()
    sink = bench.subscribe(peer, source)
    camera.frame(key=True)
    await until(lambda: publisher.of(rtcp.Pli))
    camera.frame(key=True)
    ssrc = sink.parameters.ssrc
    await until(lambda: viewer.received[ssrc])
    viewer.lose = lambda packet: chance.random() < LOSS
    sender = Repairing(camera)
    receiver = Asking(viewer, ssrc, sink.parameters.rtx_ssrc)

    for number in range(FRAMES):
        lost = tuple(place for place in range(PER_FRAME) if chance.random() < LOSS)
        camera.frame(packets=PER_FRAME, lose=lost)
        await asyncio.sleep(0.005)
        sender.answer()
        if not number % 6:
            receiver.ask()
    camera.frame(packets=PER_FRAME)

    def whole() -> bool:
        sender.answer()
        receiver.ask()
        return len(receiver.numbers) >= FRAMES * PER_FRAME and not receiver.missing

    async with asyncio.timeout(2):
        while not whole():
            await asyncio.sleep(0.03)

    assert sender.repaired >= 5
    assert len(viewer.received[receiver.rtx_ssrc]) >= 5
