"""Every depacketiser over mutated clips from a fixed seed: nothing is raised, and quickly."""

from __future__ import annotations

import random
import time

import pytest

from roomful_rtc.payload.depacketisers import depacketiser, packetiser
from roomful_rtc.payload.frames import MOST_FRAME_BYTES

from .media import CODECS, frame, packets

COUNT, SEED, LONGEST_S = 3000, 20_240_117, 0.005


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Change headers mostly: flip, cut, insert, repeat."""
    out = bytearray(data)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(min(len(out), 12) + 1)
        match chance.randrange(5):
            case 0:
                del out[at + chance.randrange(12) :]
            case 1:
                out[at:at] = chance.randbytes(chance.randint(1, 8))
            case 2:
                out[at:at] = out[: chance.randrange(64)]
            case _ if at < len(out):
                out[at] ^= 1 << chance.randrange(8)
            case _:
                out += chance.randbytes(2)
    return bytes(out[:1500])


@pytest.mark.parametrize("codec", CODECS)
def test_mutated_clips_raise_nothing_and_cost_little(codec: str) -> None:
    chance = random.Random(f"{SEED} {codec}")
    clip = packets(codec, [frame(codec, number) for number in range(10)])
    flat = [packet for parts in clip for packet in parts]
    made = depacketiser(codec)
    slow = 0

    for number in range(COUNT):
        payload, ts, marker = flat[number % len(flat)]
        if chance.random() < 0.5:
            payload = mutated(payload, chance)
        begin = time.thread_time()
        found = made.push(
            payload, ts, marker ^ (chance.random() < 0.05), chance.choice((0, 0, 0, 1))
        )
        slow += time.thread_time() - begin > LONGEST_S
        assert all(0 < len(f.data) <= MOST_FRAME_BYTES * 2 for f in found)
        if chance.random() < 0.01:
            made.reset()

    assert slow <= 2  # the machine's own pauses
    assert made.counters.malformed
    assert made.counters.frames


@pytest.mark.parametrize("codec", CODECS)
def test_mutated_frames_are_packetised_or_refused(codec: str) -> None:
    chance = random.Random(f"{SEED} {codec} frames")
    made = packetiser(codec)

    for number in range(COUNT // 10):
        data, _ = frame(codec, number % 3, size=400)
        try:
            payloads = made.packetise(mutated(data, chance))
        except ValueError:
            continue
        assert all(0 < len(payload) <= 1150 for payload in payloads)
