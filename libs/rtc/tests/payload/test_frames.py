"""What every video depacketiser does about markers, holes and rubbish."""

from __future__ import annotations

import pytest

from roomful_rtc.payload import Look
from roomful_rtc.payload.depacketisers import depacketiser
from roomful_rtc.payload.frames import MOST_FRAME_BYTES, Chain

from .media import CODECS, frame, packets, push


@pytest.fixture(params=CODECS)
def codec(request: pytest.FixtureRequest) -> str:
    return request.param


def test_clip_comes_back_as_it_was(codec: str) -> None:
    clip = [frame(codec, number) for number in range(5)]

    found = push(depacketiser(codec), packets(codec, clip))

    assert [(f.data, f.key) for f in found] == clip
    assert [f.ts for f in found] == [3000 * number for number in range(5)]
    assert not any(f.corrupted for f in found)


def test_small_frames_come_back_too(codec: str) -> None:
    clip = [frame(codec, number, size=1 + number) for number in range(9)]

    assert [(f.data, f.key) for f in push(depacketiser(codec), packets(codec, clip))] == clip


@pytest.mark.parametrize("place", range(3))
def test_frame_with_a_hole_is_dropped_and_what_refers_to_it_is_corrupted(
    codec: str, place: int
) -> None:
    clip = packets(codec, [frame(codec, number) for number in range(4)])
    made = depacketiser(codec)

    found = push(made, clip, {(1, place)})

    assert [f.ts for f in found] == [0, 6000, 9000]
    assert [f.corrupted for f in found] == [False, True, True]
    assert (made.counters.frames, made.counters.corrupted) == (3, 2)
    assert made.counters.dropped == 1


def test_key_frame_ends_the_corruption(codec: str) -> None:
    clip = packets(codec, [frame(codec, n) for n in (0, 1, 2, 0, 1)])

    found = push(depacketiser(codec), clip, {(1, 1)})

    assert [f.corrupted for f in found] == [False, True, False, False]


def test_frame_that_is_missing_whole_is_noticed(codec: str) -> None:
    clip = packets(codec, [frame(codec, number) for number in range(3)])

    found = push(depacketiser(codec), clip, {(1, 0), (1, 1), (1, 2)})

    assert [f.corrupted for f in found] == [False, True]


def test_frames_before_the_first_key_frame_are_corrupted(codec: str) -> None:
    found = push(depacketiser(codec), packets(codec, [frame(codec, 1), frame(codec, 0)]))

    assert [f.corrupted for f in found] == [True, False]


def test_frame_without_a_marker_ends_with_the_next_timestamp(codec: str) -> None:
    clip = packets(codec, [frame(codec, number) for number in range(2)])
    clip[0][-1] = clip[0][-1]._replace(marker=False)

    found = push(depacketiser(codec), clip)

    assert [f.ts for f in found] == [0, 3000]


def test_lost_marker_drops_the_frame(codec: str) -> None:
    clip = packets(codec, [frame(codec, number) for number in range(2)])
    made = depacketiser(codec)

    found = push(made, clip, {(0, len(clip[0]) - 1)})

    assert [f.ts for f in found] == [3000]
    assert made.counters.dropped == 1


def test_padding_is_skipped_but_a_loss_before_it_counts(codec: str) -> None:
    clip = packets(codec, [frame(codec, number) for number in range(3)])
    made = depacketiser(codec)

    first = push(made, clip[:1]) + made.push(b"", 0, False)
    second = push(made, clip[1:2])
    third = made.push(b"", 3000, False, 1) + push(made, clip[2:])

    assert [f.corrupted for f in first + second] == [False, False]
    # VP8 and VP9 have picture ids, which tell that nothing of a picture is missing
    assert [f.corrupted for f in third] == [codec in ("av1", "h264")]


def test_after_a_reset_only_a_key_frame_is_usable(codec: str) -> None:
    clip = packets(codec, [frame(codec, n) for n in (0, 1, 1, 0)])
    made = depacketiser(codec)

    push(made, clip[:1])
    made.push(*clip[1][0])
    made.reset()
    found = push(made, clip[2:])

    assert [f.corrupted for f in found] == [True, False]
    assert made.counters.dropped == 1


def test_rubbish_is_counted_and_never_raises(codec: str) -> None:
    made = depacketiser(codec)

    for payload in (b"\0", b"\xff", b"\xff" * 3, b"\x7c", b"\x90\x80", b"\x18\x00", b"\x10"):
        assert made.push(payload, 7, True) == [] or made.counters.frames

    assert made.counters.dropped


def test_frame_larger_than_all_reason_is_dropped() -> None:
    made = depacketiser("vp8")
    made.push(b"\x10\x10" + bytes(60_000), 0, False)

    for _ in range(MOST_FRAME_BYTES // 60_000 + 1):
        made.push(b"\x00" + bytes(60_000), 0, False)

    assert made.push(b"\x00end", 0, True) == []
    assert made.counters.dropped == 1


class TestChain:
    def test_continuous_picture_ids_prove_that_nothing_is_missing(self) -> None:
        chain = Chain()
        chain.usable(Look(pid=0x7FFF), key=True)
        chain.lose()

        assert chain.usable(Look(pid=0), key=False)

    def test_a_gap_in_picture_ids_without_layers_needs_a_key_frame(self) -> None:
        chain = Chain()
        chain.usable(Look(pid=1), key=True)
        chain.lose()

        assert not chain.usable(Look(pid=3), key=False)
        assert not chain.usable(Look(pid=4), key=False)
        assert chain.usable(Look(pid=5), key=True)

    def test_lost_upper_layer_leaves_the_base_layer_usable(self) -> None:
        chain = Chain()
        chain.usable(Look(pid=1, tl0=255, tid=0), key=True)
        chain.lose()

        assert chain.usable(Look(pid=3, tl0=0, tid=0), key=False)
        assert not chain.usable(Look(pid=4, tl0=0, tid=2), key=False)
        assert chain.usable(Look(pid=5, tl0=0, tid=1, sync=True), key=False)
        assert not chain.usable(Look(pid=6, tl0=0, tid=2), key=False)
        assert chain.usable(Look(pid=7, tl0=0, tid=2, sync=True), key=False)
        assert chain.usable(Look(pid=8, tl0=0, tid=2), key=False)

    def test_lost_base_layer_breaks_every_layer(self) -> None:
        chain = Chain()
        chain.usable(Look(pid=1, tl0=5, tid=0), key=True)
        chain.lose()

        assert not chain.usable(Look(pid=4, tl0=6, tid=1, sync=True), key=False)
        assert not chain.usable(Look(pid=5, tl0=7, tid=0), key=False)

    def test_second_loss_does_not_heal_the_first(self) -> None:
        chain = Chain()
        chain.usable(Look(pid=1, tl0=5, tid=0), key=True)
        chain.lose()
        chain.usable(Look(pid=3, tl0=6, tid=0), key=False)
        chain.lose()

        assert chain.usable(Look(pid=4, tl0=7, tid=0), key=False)
        assert not chain.usable(Look(pid=5, tl0=7, tid=1), key=False)


def test_broken_upper_layer_is_left_out_until_it_can_be_followed_again() -> None:
    made = depacketiser("vp8")

    def layered(number: int, tid: int, tl0: int, *, sync: bool = False, lost: int = 0) -> list[int]:
        last = bytes((tid << 6 | sync << 5,))
        head = b"\x90\xe0" + bytes((0x80, number)) + bytes((tl0,)) + last
        frame = b"\x11" if number else b"\x10"
        return [f.ts for f in made.push(head + frame, number, True, lost) if not f.corrupted]

    assert layered(0, 0, 7) == [0]
    assert layered(2, 0, 8, lost=1) == [2]
    assert layered(3, 1, 8) == []
    assert layered(4, 0, 9) == [4]
    assert layered(5, 1, 9, sync=True) == [5]
    assert (made.counters.frames, made.counters.corrupted) == (5, 1)


def test_second_frame_with_the_same_timestamp_is_a_frame() -> None:
    made = depacketiser("vp8")

    found = [
        *made.push(b"\x10\x10key", 0, True),
        *made.push(b"\x10\x11delta", 0, True),
    ]

    assert [f.data for f in found] == [b"\x10key", b"\x11delta"]
