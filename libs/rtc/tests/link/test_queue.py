"""The queue of a link: one order, whole frames, and what goes when it is full."""

from __future__ import annotations

import itertools
import sys

import pytest

from roomful.errors import LocalProtocolError
from roomful.model.media import LIVE, RECORDING
from roomful_rtc.link.control import control_record
from roomful_rtc.link.entries import OVERHEAD
from roomful_rtc.link.policy import LIVE_FRAMES
from roomful_rtc.link.queue import CONTROL_BYTES, CONTROL_BYTES_HARD
from roomful_rtc.link.record import (
    BATCH_BYTES,
    CONTROL,
    DISCONTINUITY,
    FRAME,
    FRAME_BYTES,
    GAP,
    KEY,
    LINK_FULL,
    MESSAGE_BYTES,
    MORE,
    PAUSED,
    RTP,
)

from .rig import MS, SMALL, SMALL_RECORDING, Pair, frame, headers, packet, vp8

NOTE = control_record({"t": "note"})


def write(sink, numbers, *, at_ms=0, size=100):
    for number in numbers:
        sink.write(packet(number, bytes(size)), at_ms * MS)


# -- order and batches -----------------------------------------------------------------------------


def test_everything_comes_over_in_the_order_it_was_queued():
    pair = Pair()
    one, two = pair.sink(1), pair.sink(2)

    one.write(packet(1), 10)
    pair.queue.put_control(NOTE)
    two.clock(1, 2, 3)
    one.gap(4, PAUSED)
    one.write(packet(6), 11)
    message = pair.queue.take()

    assert message is not None
    assert [(kind, stream) for _, kind, _, stream in headers(message)] == [
        (RTP, 1), (CONTROL, 0), (2, 2), (GAP, 1), (RTP, 1),
    ]  # fmt: skip
    assert pair.queue.take() is None
    assert (pair.queue.bytes, pair.queue.control_bytes, len(pair.queue)) == (0, 0, 0)


def test_batches_hold_whole_records_and_no_more_than_their_bound():
    pair = Pair()
    sizes: list[int] = []
    write(pair.sink(), range(300), size=1000)

    pair.carry(lambda message: sizes.append(len(message)))

    assert max(sizes) <= BATCH_BYTES
    assert min(sizes[:-1]) > BATCH_BYTES - 1100
    assert pair.kept[1].numbers() == list(range(300))


def test_longest_record_is_a_message_of_its_own():
    pair = Pair()
    sink = pair.sink()
    sink.write(packet(0), 0)
    sink.write(packet(1, bytes(61_440 - 8 - 12)), 0)
    sizes: list[int] = []

    pair.carry(lambda message: sizes.append(len(message)))

    assert sizes[1] == MESSAGE_BYTES
    assert pair.kept[1].numbers() == [0, 1]


def test_owner_is_woken_when_the_empty_queue_gets_something():
    pair = Pair()
    sink = pair.sink()

    write(sink, range(5))
    pair.queue.put_control(NOTE)
    pair.carry()
    pair.queue.put_control(NOTE)

    assert pair.woken == 2


def test_packet_that_fits_no_record_is_our_fault():
    pair = Pair()

    with pytest.raises(LocalProtocolError):
        pair.sink().write(packet(0, bytes(61_440 - 8 - 11)), 0)
    with pytest.raises(LocalProtocolError):
        pair.sink().write(packet()[:11], 0)
    with pytest.raises(LocalProtocolError):
        pair.sink(2, "vp8").write(b"\x40" + packet()[1:], 0)


# -- frames ----------------------------------------------------------------------------------------


def test_control_and_other_streams_pass_between_the_fragments_of_a_frame():
    pair = Pair()
    video, audio = pair.sink(1, video=True), pair.sink(2)
    kinds: list[tuple[int, int]] = []
    video.frame(frame(300_000, key=True))
    pair.feed(pair.queue.take() or b"")

    write(audio, range(3))
    pair.queue.put_control(NOTE)
    pair.carry(lambda message: kinds.extend((h[1], h[3]) for h in headers(message)))

    assert kinds[:4] == [(RTP, 2), (RTP, 2), (RTP, 2), (CONTROL, 0)]
    assert kinds[4:] == [(FRAME, 1)] * 4
    assert pair.kept[1].events == [("frame", frame(300_000, key=True))]


def test_records_of_a_stream_stay_behind_its_unfinished_frame():
    pair = Pair()
    video, other = pair.sink(1, video=True), pair.sink(2, video=True)
    video.frame(frame(100_000, key=True))
    pair.feed(pair.queue.take() or b"")

    video.frame(frame(50))
    other.frame(frame(70_000))
    other.frame(frame(60))
    video.end()
    pair.queue.put_control(NOTE)
    pair.feed(pair.queue.take() or b"")
    told_between = list(pair.messages)
    pair.carry()

    assert told_between == [({"t": "note"}, 0)]
    assert [event[1].payload for event in pair.kept[1].events] == [
        frame(100_000).payload,
        frame(50).payload,
    ]
    assert [len(event[1].payload) for event in pair.kept[2].events] == [70_000, 60]
    assert pair.messages[-1] == ({"t": "track_ended", "sink": 1}, 1)


def test_longest_frame_fits_an_empty_queue_of_a_link_for_frames():
    pair = Pair(LIVE_FRAMES)
    sink = pair.sink(video=True)

    sink.frame(frame(FRAME_BYTES, key=True))
    sink.frame(frame(1))
    pair.carry()

    assert pair.kept[1].events == [("frame", frame(FRAME_BYTES, key=True))]
    assert sink.dropped == 1


def test_longer_frame_is_our_fault():
    with pytest.raises(LocalProtocolError):
        Pair(RECORDING).sink(video=True).frame(frame(FRAME_BYTES + 1))


def test_frame_without_room_is_dropped_whole_and_the_stream_waits_for_a_key_frame():
    asked: list[int] = []
    pair = Pair(SMALL)
    sink = pair.sink(video=True, ask_key_frame=lambda: asked.append(1))

    sink.frame(frame(25_000, key=True, at_ns=1))
    sink.frame(frame(10, at_ns=2))
    sink.frame(frame(20, key=True, at_ns=3))
    sink.frame(frame(30, at_ns=4))
    pair.carry()

    assert pair.kept[1].events == [
        ("gap", 2, LINK_FULL),
        ("frame", frame(20, key=True, at_ns=3)),
        ("frame", frame(30, at_ns=4)),
    ]
    assert asked == [1]


def test_frame_of_which_a_part_was_sent_is_never_torn():
    pair = Pair(LIVE)
    sink = pair.sink(video=True)
    sink.frame(frame(200_000, key=True, at_ns=0))
    pair.feed(pair.queue.take() or b"")

    sink.frame(frame(10, at_ns=1))
    sink.frame(frame(20, key=True, at_ns=900 * MS))
    pair.carry()

    assert [event[0] for event in pair.kept[1].events] == ["frame", "gap", "frame"]
    assert pair.kept[1].events[0][1].payload == frame(200_000).payload


def test_audio_frames_need_no_key_frame():
    pair = Pair(SMALL)
    sink = pair.sink()
    for number in range(60):
        sink.frame(frame(400, at_ns=number))
    pair.carry()

    assert pair.kept[1].kinds()[0] == "gap"
    assert len(pair.kept[1].events) > 30
    assert sum(pair.kept[1].gaps()) + len(pair.kept[1].events) - 1 == 60


# -- live ------------------------------------------------------------------------------------------


def test_live_audio_loses_its_oldest_when_bytes_run_out():
    pair = Pair(SMALL)
    sink = pair.sink()

    write(sink, range(200))
    pair.carry()

    numbers = pair.kept[1].numbers()
    assert numbers[-1] == 199
    assert numbers == list(range(numbers[0], 200))
    assert pair.kept[1].events[0] == ("gap", numbers[0], LINK_FULL)
    assert pair.queue.dropped == sink.dropped == numbers[0]


def test_live_audio_is_current_after_a_stall():
    pair = Pair(LIVE)
    sink = pair.sink()
    for number in range(100):
        sink.write(packet(number), 20 * number * MS)

    pair.carry()

    oldest = pair.kept[1].events[1]
    assert oldest[2] >= (100 - 1) * 20 * MS - LIVE.max_ms * MS
    assert pair.kept[1].numbers()[-1] == 99


def test_first_after_a_gap_says_so():
    pair = Pair(SMALL)
    write(pair.sink(), range(200))

    message = pair.queue.take() or b""

    flags = [flags for _, kind, flags, _ in headers(message) if kind == RTP]
    assert flags[0] == DISCONTINUITY
    assert set(flags[1:]) == {0}


def test_live_video_goes_before_audio_and_comes_back_with_a_key_frame():
    asked: list[int] = []
    pair = Pair(SMALL)
    video = pair.sink(1, "vp8", ask_key_frame=lambda: asked.append(1))
    audio = pair.sink(2)

    write(audio, range(5))
    for number in range(20):
        video.write(vp8(number, key=number == 0), 0)
    write(audio, range(5, 10))
    video.write(vp8(20, key=True), 1)
    video.write(vp8(21), 2)
    pair.carry()

    assert pair.kept[2].numbers() == list(range(10))
    assert pair.kept[1].events[0] == ("gap", 20, LINK_FULL)
    assert pair.kept[1].numbers() == [20, 21]
    assert asked == [1]


def test_key_frame_that_finds_the_queue_full_of_old_video_takes_its_place():
    pair = Pair(SMALL)
    video = pair.sink(1, "vp8")
    for number in range(10):
        video.write(vp8(number, key=number == 0), 0)

    video.write(vp8(10, key=True), 501 * MS)
    pair.carry()

    assert pair.kept[1].events[0] == ("gap", 10, LINK_FULL)
    assert pair.kept[1].numbers() == [10]


def test_key_frames_are_asked_for_every_two_seconds():
    asked: list[int] = []
    pair = Pair(SMALL)
    now_ms = 0
    video = pair.sink(1, "vp8", ask_key_frame=lambda: asked.append(now_ms))

    for now_ms in range(0, 7000, 10):
        video.write(vp8(now_ms // 10), now_ms * MS)

    assert len(asked) == 4
    assert {later - former for former, later in itertools.pairwise(asked)} == {2000}


def test_key_frame_is_marked():
    pair = Pair()
    video = pair.sink(1, "vp8")
    video.write(vp8(0, key=True), 0)
    video.write(vp8(1), 0)

    assert [head[2] for head in headers(pair.queue.take() or b"")] == [KEY, 0]


def test_stuck_end_costs_no_more_than_the_bound():
    pair = Pair(LIVE)
    sinks = [pair.sink(number) for number in (1, 2)] + [pair.sink(3, "vp8")]
    for number in range(20_000):
        now_ns = number * 20_000
        sinks[0].write(packet(number, bytes(40)), now_ns)
        sinks[1].clock(number, number, now_ns)
        sinks[1].gap(1, PAUSED)
        sinks[2].write(vp8(number, key=number % 50 == 0, size=300), now_ns)

    held = sum(
        sys.getsizeof(entry) + (sys.getsizeof(entry[0]) if isinstance(entry[0], bytes) else 64)
        for entry in pair.queue._entries
    )
    assert pair.queue.bytes <= LIVE.max_bytes + 2 * OVERHEAD
    assert held <= LIVE.max_bytes + 2 * OVERHEAD


# -- recordings ------------------------------------------------------------------------------------


def test_recording_keeps_what_is_queued_and_drops_what_comes():
    pair = Pair(SMALL_RECORDING)
    sink = pair.sink()

    write(sink, range(200))
    before = sink.dropped
    pair.carry()
    write(sink, [200])
    pair.carry()

    numbers = pair.kept[1].numbers()
    assert numbers == [*range(200 - before), 200]
    assert pair.kept[1].events[-2] == ("gap", before, LINK_FULL)


def test_recording_is_full_after_its_time():
    pair = Pair(RECORDING)
    sink = pair.sink()
    for second in range(6):
        sink.write(packet(second), second * 1000 * MS)

    pair.carry()

    assert pair.kept[1].numbers() == [0, 1, 2, 3, 4]


def test_recording_gives_up_newest_video_for_audio():
    pair = Pair(SMALL_RECORDING)
    video, audio = pair.sink(1, "vp8"), pair.sink(2)
    for number in range(30):
        video.write(vp8(number, key=number == 0), 0)

    write(audio, range(10))
    video.write(vp8(30, key=True), 1)
    pair.carry()
    video.write(vp8(31), 2)
    pair.carry()

    assert pair.kept[2].numbers() == list(range(10))
    shown = pair.kept[1].numbers()
    kept = [number for number in shown if number < 30]
    assert kept == list(range(len(kept)))
    assert 0 < len(kept) < 17
    assert shown[len(kept) :] == [30, 31]
    assert pair.kept[1].gaps() == [30 - len(kept)]


def test_recording_full_of_audio_costs_no_search_per_packet():
    pair = Pair(RECORDING)
    sink = pair.sink()
    while not sink.dropped:
        sink.write(packet(0, bytes(1000)), 0)
    pair.queue._entries.clear()  # a search would find it out: the bytes no longer add up

    sink.write(packet(0, bytes(1000)), 0)

    assert sink.dropped == 2


# -- control ---------------------------------------------------------------------------------------


def test_control_is_never_dropped():
    pair = Pair(SMALL)
    write(pair.sink(), range(200))
    for _ in range(1000):
        pair.queue.put_control(NOTE)
    write(pair.sink(2), range(200))

    pair.carry()

    assert len(pair.messages) == 1000


def test_end_that_does_not_read_its_control_for_five_seconds_hangs():
    pair = Pair()
    while pair.queue.control_bytes <= CONTROL_BYTES:
        pair.queue.put_control(NOTE)

    answers = [pair.queue.hung(second * 1000 * MS) for second in (10, 14, 15)]
    pair.carry()

    assert answers == [False, False, True]
    assert not pair.queue.hung(16_000 * MS)


def test_end_that_leaves_a_flood_of_control_hangs_at_once():
    pair = Pair()
    while pair.queue.control_bytes <= CONTROL_BYTES_HARD:
        pair.queue.put_control(NOTE)

    assert pair.queue.hung(0)


# -- ends ------------------------------------------------------------------------------------------


def test_end_of_a_stream_follows_its_last_record_and_what_is_owed():
    pair = Pair(SMALL_RECORDING)
    sink = pair.sink()
    write(sink, range(200))

    sink.end()
    sink.end()
    sink.write(packet(), 0)
    sink.gap(1, PAUSED)
    sink.clock(1, 2, 3)
    pair.carry()

    assert pair.kept[1].events[-1] == ("gap", sink.dropped, LINK_FULL)
    assert pair.messages == [({"t": "track_ended", "sink": 1}, 1)]


def test_closed_queue_takes_nothing():
    pair = Pair()
    sink = pair.sink()
    write(sink, range(3))

    pair.queue.close()
    write(sink, range(3))
    sink.frame(frame(10))
    sink.gap(1, PAUSED)
    sink.end()
    pair.queue.put_control(NOTE)

    assert pair.queue.take() is None
    assert sink.dropped == 0


def test_over_half_tells_senders_to_do_with_less():
    pair = Pair(LIVE)
    assert not pair.queue.over_half(10**18)

    pair.sink().write(packet(), 0)

    assert not pair.queue.over_half(250 * MS)
    assert pair.queue.over_half(251 * MS)
    write(pair.sink(2), range(9), size=60_000)
    write(pair.sink(2), range(9), size=60_000)
    assert pair.queue.over_half(0)


def test_fragments_say_whether_more_follows():
    pair = Pair()
    flags: list[int] = []
    pair.sink(video=True).frame(frame(150_000, key=True))

    pair.carry(lambda message: flags.extend(head[2] for head in headers(message)))

    assert flags == [KEY | MORE, MORE, 0]


def test_key_frame_in_several_packets_is_marked_once_and_found_again_while_waiting():
    pair = Pair(SMALL)
    video = pair.sink(1, "vp8")
    first = vp8(5, key=True)
    for number in range(3):
        video.write(first[:2] + bytes((0, number)) + first[4:], 0)
    marks = [head[2] for head in headers(pair.queue.take() or b"")]
    for number in range(40):
        video.write(first[:2] + bytes((1, number)) + vp8(5)[4:], 0)
    pair.carry()
    video.write(first, 1)
    pair.carry()

    assert marks == [KEY, 0, 0]
    assert video.dropped > 0
    assert pair.kept[1].numbers()[-1] == 5
