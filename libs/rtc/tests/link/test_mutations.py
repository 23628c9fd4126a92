"""The reader over mutations and random records from a fixed seed: its own error, and quickly."""

from __future__ import annotations

import random
import time
from contextlib import suppress

import pytest

from roomful.errors import RemoteProtocolError
from roomful_rtc.link import vocabulary
from roomful_rtc.link.control import control_record, read_control
from roomful_rtc.link.record import (
    BODY_BYTES,
    FRAME,
    FRAME_BODY,
    HEADER,
    KEY,
    MORE,
    clock_record,
    first_fragment,
    gap_record,
)
from roomful_rtc.link.vocabulary import Welcome

from .rig import Pair, frame, packet, vp8

COUNT, SEED, LONGEST_S = 2000, 20_240_117, 0.005


def messages() -> list[bytes]:
    """Messages as they are sent, of every kind of record."""
    pair = Pair()
    video, audio = pair.sink(1, "vp8"), pair.sink(2)
    for number in range(4):
        video.write(vp8(number, key=not number, size=60), number)
        audio.write(packet(number, b"sound"), number)
    audio.clock(1, 2, 3)
    audio.gap(3, 2)
    audio.end()
    welcome = Welcome("JB_1", "recorder", {"a": [{"b": 1}]}, "room", "me", {}, 20, 5, 6)
    return [
        pair.queue.take() or b"",
        control_record(welcome.message()) + control_record(vocabulary.hello(1, ["a"])),
        first_fragment(1, frame(40, key=True), KEY) + clock_record(1, 2, 3, 4),
        first_fragment(3, frame(50), 0) + gap_record(3, 1, 3) + control_record(vocabulary.ping(3)),
        b"".join(first_fragment(1, frame(size), 0) for size in (0, 1, 2)),
    ]


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Flip, cut, insert, repeat: one to four changes."""
    out = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(out) + 1)
        match chance.randrange(6):
            case 0:
                del out[at:]
            case 1:
                out[at:at] = chance.randbytes(chance.randint(1, 8))
            case 2:
                out[at:at] = out[: chance.randrange(64)]
            case 3 if at < len(out):
                out[at] = chance.choice((0, 1, 4, 7, 0x7F, 0x80, 0xFE, 0xFF))
            case _ if at < len(out):
                out[at] ^= 1 << chance.randrange(8)
            case _:
                out += chance.randbytes(2)
    return bytes(out)


def cpu_s(data: bytes) -> float:
    """CPU of reading one message at a fresh end."""
    pair = Pair()
    begin = time.thread_time()
    try:
        pair.feed(data)
    except RemoteProtocolError:
        pass
    except Exception as error:
        raise AssertionError(f"{type(error).__name__} for {data.hex()}") from error
    return time.thread_time() - begin


def test_mutated_messages_are_read_or_end_the_link():
    chance, originals = random.Random(f"{SEED} link"), messages()
    for number in range(COUNT):
        data = mutated(originals[number % len(originals)], chance)
        if cpu_s(data) > LONGEST_S:
            assert min(cpu_s(data) for _ in range(3)) < LONGEST_S, data.hex()


def test_random_records_are_read_or_end_the_link():
    chance = random.Random(f"{SEED} records")
    for _ in range(COUNT):
        pair, ended = Pair(), False
        while not ended and chance.random() < 0.95:
            body = chance.randbytes(chance.choice((0, 5, 20, 32, 40, 200)))
            head = (len(body), chance.randrange(6), chance.choice((0, 1, 2, 4, 6)))
            try:
                pair.feed(HEADER.pack(*head, chance.randrange(4)) + body)
            except RemoteProtocolError:
                ended = True


def test_fragments_in_any_state_make_frames_of_their_length_only():
    chance, whole = random.Random(f"{SEED} fragments"), frame(400)
    begin = HEADER.pack(FRAME_BODY.size + 100, FRAME, MORE, 1)
    begin += FRAME_BODY.pack(0, 20, -20, 3, 400) + whole.payload[:100]
    pieces = [begin]
    for offset in (100, 200, 300):
        head = HEADER.pack(100, FRAME, MORE if offset < 300 else 0, 1)
        pieces.append(head + whole.payload[offset : offset + 100])
    made = 0
    for _ in range(COUNT):
        pair = Pair()
        sent = [mutated(piece, chance) if chance.random() < 0.1 else piece for piece in pieces]
        if chance.random() < 0.2:
            chance.shuffle(sent)
        with suppress(RemoteProtocolError):
            for piece in sent:
                pair.feed(piece)
        made += ("frame", whole) in pair.kept[1].events
        lengths = {len(event[1].payload) for event in pair.kept[1].events if event[0] == "frame"}
        assert sum(lengths) <= sum(map(len, sent))

    assert COUNT // 3 < made < COUNT


def test_mutated_control_is_a_message_or_ends_the_link():
    chance = random.Random(f"{SEED} control")
    readers = [
        vocabulary.read_hello,
        vocabulary.read_welcome,
        vocabulary.read_failed,
        vocabulary.read_result,
    ]
    originals = [message[HEADER.size :] for message in messages()[1:2]]
    originals += [b'{"t":"failed","code":"x","message":"\\ud83c\\udf9b","retryable":true}']
    for number in range(COUNT):
        try:
            message = read_control(mutated(originals[number % len(originals)], chance))
            readers[number % len(readers)](message)
        except RemoteProtocolError:
            continue


@pytest.mark.parametrize("body", [b"[" * BODY_BYTES, b'{"t":' * 10_000, b'"' + b"\\u0041" * 10_000])
def test_worst_control_is_refused_quickly(body: bytes):
    record = HEADER.pack(len(body), 0, 0, 0) + body

    assert min(cpu_s(record) for _ in range(3)) < LONGEST_S
