"""Frames in fragments: whole or not at all, whatever lengths are told."""

from __future__ import annotations

import tracemalloc

import pytest

from roomful.errors import RemoteProtocolError
from roomful.model.media import LIVE
from roomful_rtc.link.assembly import FRAGMENTS, HELD_BYTES, FrameAssembly
from roomful_rtc.link.policy import LIVE_FRAMES
from roomful_rtc.link.record import BODY_BYTES, FRAME_BODY, FRAME_BYTES, KEY, MORE

from .rig import Pair, frame


def first(total: int, payload: bytes) -> memoryview:
    return memoryview(FRAME_BODY.pack(1, 2, 3, 4, total) + payload)


def test_fragments_make_their_frame():
    assembly = FrameAssembly()

    assert assembly.add(1, MORE | KEY, first(6, b"ab")) is None
    assert assembly.held_bytes == 2
    assert assembly.add(2, 0, first(1, b"x")) is not None
    assert assembly.add(1, MORE, memoryview(b"cd")) is None
    found = assembly.add(1, 0, memoryview(b"ef"))

    assert found == (b"abcdef", 1, 2, 3, 4, True)
    assert assembly.held_bytes == 0


@pytest.mark.parametrize("size", [0, 1, 61_408, 61_409, 300_000, FRAME_BYTES])
def test_frame_of_any_size_passes_byte_equal(size: int):
    sent = frame(size, key=True)
    sizes: list[int] = []
    pair = Pair(LIVE if size < LIVE.max_bytes else LIVE_FRAMES)

    pair.sink(video=True).frame(sent)
    pair.carry(lambda message: sizes.append(len(message)))

    assert pair.kept[1].events == [("frame", sent)]
    assert max(sizes) <= BODY_BYTES + 8


@pytest.mark.parametrize(
    ("lie", "fragments"),
    [
        ("over the limit", [(MORE, first(FRAME_BYTES + 1, b"a"))]),
        ("one record shorter than told", [(0, first(2, b"a"))]),
        ("one record longer than told", [(0, first(1, b"ab"))]),
        ("more after everything", [(MORE, first(1, b"a"))]),
        ("nothing of something", [(MORE, first(1, b""))]),
        ("ends early", [(MORE, first(3, b"a")), (0, memoryview(b"b"))]),
        ("ends late", [(MORE, first(2, b"a")), (0, memoryview(b"bc"))]),
        ("complete, with more", [(MORE, first(2, b"a")), (MORE, memoryview(b"b"))]),
        ("empty fragments", [(MORE, first(2, b"a")), (MORE, memoryview(b""))]),
        ("a key frame within", [(MORE, first(9, b"a")), (MORE | KEY, first(9, b"b"))]),
    ],
)
def test_frame_that_lies_about_its_length_ends_the_link(lie: str, fragments):
    assembly = FrameAssembly()

    with pytest.raises(RemoteProtocolError):
        for flags, body in fragments:
            assembly.add(1, flags, body)


def test_frame_that_never_ends_ends_the_link():
    assembly = FrameAssembly()
    assembly.add(1, MORE, first(FRAME_BYTES, b"a"))

    with pytest.raises(RemoteProtocolError):
        for _ in range(FRAGMENTS):
            assembly.add(1, MORE, memoryview(b"b"))


def test_memory_is_taken_as_bytes_come():
    assembly = FrameAssembly()

    tracemalloc.start()
    for stream in range(100):
        assembly.add(stream, MORE, first(FRAME_BYTES, b"a"))
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert taken < 200_000


def test_unfinished_frames_of_all_streams_are_bounded():
    assembly, piece = FrameAssembly(), bytes(BODY_BYTES)
    needed = HELD_BYTES // (130 * BODY_BYTES) + 1

    with pytest.raises(RemoteProtocolError):
        for stream in range(needed + 1):
            assembly.add(stream, MORE, first(FRAME_BYTES, b"a"))
            for _ in range(130):
                assembly.add(stream, MORE, memoryview(piece))
