"""Translation of numbers, checked against the plain definition of what a receiver must see."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomful_rtc.munge import Packet, Segment, Translation, rewrite
from roomful_rtc.payload import Look

FIRST, FIRST_TS, RATE = 500, 1_000_000, 90_000
A, B = "a", "b"


def packet(seq: int, ts: int = 0, source: str = A, pid: int = -1, **more: int) -> Packet:
    """A packet as the translation sees it; `at_ms` and `tl0` in `more`."""
    look = Look(pid=pid, tl0=more.get("tl0", -1))
    at_us = more.get("at_ms", 0) * 1000
    return Packet(source, seq, ts, 0, 96, "vp8", b"x", look, {}, at_us, False)


@dataclass
class Receiver:
    """Sends through a translation as an engine does, and keeps what came out."""

    translation: Translation = field(default_factory=lambda: Translation(FIRST, FIRST_TS))
    outs: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)

    def begin(self, item: Packet, source: str = A, ts_offset: int | None = None) -> int:
        self.translation.begin(item, source, RATE, ts_offset)
        return self.send(item)

    def send(self, item: Packet) -> int:
        segment = self.translation.current
        assert segment is not None
        self.translation.last = item
        return self.note(item, segment)

    def late(self, item: Packet) -> int | None:
        segment = self.translation.place(item)
        return None if segment is None else self.note(item, segment)

    def note(self, item: Packet, segment: Segment) -> int:
        self.outs.append(item.seq - segment.offset)
        self.times.append((item.ts + segment.ts_offset) & 0xFFFFFFFF)
        return self.outs[-1]


# --- one stream ---


@given(st.lists(st.sampled_from(("keep", "keep", "drop", "lost", "late")), max_size=300))
def test_numbers_skip_what_was_dropped_and_keep_gaps_for_what_was_lost(kinds: list[str]) -> None:
    receiver = Receiver()
    receiver.begin(packet(10))
    expected, number, waiting = {10: FIRST}, FIRST + 1, []
    for seq, kind in enumerate(kinds, 11):
        if kind == "keep":
            assert receiver.send(packet(seq)) == number
        elif kind == "drop":
            receiver.translation.drop(packet(seq))
            assert receiver.translation.place(packet(seq)) is None
            continue
        elif kind == "late":
            waiting.append(seq)
        expected[seq] = number
        number += 1
    newest = max((seq for seq, kind in enumerate(kinds, 11) if kind == "keep"), default=10)
    handled = max(
        (seq for seq, kind in enumerate(kinds, 11) if kind in ("keep", "drop")), default=10
    )
    for seq in waiting:
        if seq < handled:
            assert receiver.late(packet(seq)) == expected[seq]
    for seq, out in expected.items():
        if seq <= newest:
            found = receiver.translation.find(out)
            assert found is not None
            assert found[1] == seq
    assert len(set(receiver.outs)) == len(receiver.outs)


@given(st.lists(st.booleans(), max_size=200))
def test_picture_ids_stay_continuous_when_frames_are_dropped(kept: list[bool]) -> None:
    receiver, pids, seq = Receiver(), [], 11
    receiver.begin(packet(10, pid=32_700))
    for number, keep in enumerate(kept, 1):
        pid = (32_700 + number) & 0x7FFF
        for _ in range(1 + number % 3):
            item = packet(seq, pid=pid)
            if keep:
                receiver.send(item)
                segment = receiver.translation.current
                assert segment is not None
                pids.append((pid + segment.pid_offset) & 0x7FFF)
            else:
                receiver.translation.drop(item)
            seq += 1
    distinct = list(dict.fromkeys(pids))
    assert distinct == [(32_701 + n) & 0x7FFF for n in range(len(distinct))]
    assert receiver.outs == list(range(FIRST, FIRST + len(receiver.outs)))


def test_a_leap_leaves_one_number_free() -> None:
    receiver = Receiver()
    receiver.begin(packet(10))
    item = packet(5000)
    receiver.translation.leap(item)
    assert receiver.send(item) == FIRST + 2
    assert receiver.late(packet(4999)) is None
    assert receiver.send(packet(5001)) == FIRST + 3


def test_a_leap_while_paused_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="nothing"):
        Translation(FIRST, FIRST_TS).leap(packet(1))


def test_nothing_is_found_beyond_the_history() -> None:
    receiver = Receiver(Translation(FIRST, FIRST_TS, history=64))
    receiver.begin(packet(0))
    for seq in range(1, 200):
        receiver.send(packet(seq))
    find = receiver.translation.find
    newest = FIRST + 199
    assert find(newest - 63) is not None
    assert find(newest - 64) is None
    assert find(newest + 1) is None
    assert receiver.late(packet(100)) is None


def test_segments_are_bounded() -> None:
    receiver = Receiver(Translation(FIRST, FIRST_TS, history=64))
    receiver.begin(packet(0))
    for seq in range(1, 2000):
        if seq % 2:
            receiver.translation.drop(packet(seq))
        else:
            receiver.send(packet(seq))
    assert len(receiver.translation._segments) <= 66  # pyright: ignore[reportPrivateUsage]


# --- pause, resume, switch ---

STEPS = st.lists(
    st.tuples(
        st.sampled_from(("send", "send", "send", "drop", "lose", "pause", "switch", "late")),
        st.sampled_from((A, B)),
        st.integers(0, 40),
        st.sampled_from((None, 0, 9000, -9000, 1 << 31)),
    ),
    max_size=120,
)


@given(STEPS)
def test_over_any_history_numbers_and_times_only_rise(
    steps: list[tuple[str, str, int, int | None]],
) -> None:
    """Late packets fill free numbers of the present epoch, and nothing lies below a switch."""
    receiver = Receiver()
    seqs, clocks, pids = {A: 100, B: 40_000}, {A: 0xFFFF0000, B: 7}, {A: 5, B: 30_000}
    lost: dict[str, list[Packet]] = {A: [], B: []}
    flowing, at_ms, floor, highest, missing = "", 0, FIRST, FIRST - 1, 0
    ordered: list[int] = []
    for kind, source, gap_ms, ts_offset in steps:
        at_ms += gap_ms
        for name in seqs:
            clocks[name] += 90 * gap_ms + 1
        seqs[source] += 1
        pids[source] += 1
        item = packet(
            seqs[source],
            clocks[source] & 0xFFFFFFFF,
            source,
            pids[source] & 0x7FFF,
            tl0=pids[source] & 0xFF,
            at_ms=at_ms,
        )
        if kind == "pause":
            receiver.translation.pause()
            flowing = ""
        elif kind == "switch" or (kind == "send" and not flowing):
            out = receiver.begin(item, source, ts_offset)
            # the number of a packet lost before one that was left out stays free
            assert highest < out <= highest + 1 + missing
            flowing, floor, highest, missing = source, out, out, 0
            lost = {A: [], B: []}
            ordered.append(receiver.times[-1])
        elif kind == "late" and lost[source] and source == flowing:
            out = receiver.late(lost[source].pop())
            assert out is None or floor <= out
        elif source != flowing:
            continue
        elif kind == "drop":
            receiver.translation.drop(item)
        elif kind == "send":
            out = receiver.send(item)
            assert out > highest
            highest, missing = out, 0
            ordered.append(receiver.times[-1])
        else:
            missing += 1
            if kind == "lose":
                lost[source].append(item)
    assert len(set(receiver.outs)) == len(receiver.outs)
    for earlier, later in itertools.pairwise(ordered):
        assert 0 < (later - earlier) & 0xFFFFFFFF < 1 << 31


def test_a_switch_continues_pictures_and_layers() -> None:
    receiver = Receiver()
    receiver.begin(packet(10, pid=300, tl0=250))
    receiver.send(packet(11, pid=301, tl0=251))
    receiver.translation.drop(packet(12, pid=302, tl0=251))
    key = packet(70, source=B, pid=9, tl0=4)
    receiver.begin(key, B)
    segment = receiver.translation.current
    assert segment is not None
    assert (9 + segment.pid_offset) & 0x7FFF == 302
    assert (4 + segment.tl0_offset) & 0xFF == 252


def test_a_resume_continues_the_streams_own_time() -> None:
    receiver = Receiver()
    receiver.begin(packet(10, ts=0, pid=1))
    receiver.translation.pause()
    assert receiver.translation.current is None
    receiver.begin(packet(400, ts=RATE * 60, pid=200, at_ms=60_100))
    assert receiver.times == [FIRST_TS, FIRST_TS + RATE * 60]
    assert receiver.outs == [FIRST, FIRST + 1]


@pytest.mark.parametrize(
    ("ts_offset", "new_ts", "advance"),
    [
        (50_000, 50_000 + 4500, 4500),
        (50_000, 50_000 + 10, 3000),
        (50_000, 50_000 - 900, 3000),
        (50_000, 50_000 + 8 * RATE, 3600),
        (None, 77, 3600),
    ],
)
def test_a_switch_moves_time_by_what_went_by(
    ts_offset: int | None, new_ts: int, advance: int
) -> None:
    receiver = Receiver()
    receiver.begin(packet(10, ts=0))
    receiver.begin(packet(70, ts=new_ts, source=B, at_ms=40), B, ts_offset)
    assert receiver.times[1] - receiver.times[0] == advance


def test_a_nack_finds_numbers_from_before_a_switch() -> None:
    receiver = Receiver()
    receiver.begin(packet(10))
    receiver.send(packet(11))
    receiver.begin(packet(70, source=B), B)
    before, after = receiver.translation.find(FIRST + 1), receiver.translation.find(FIRST + 2)
    assert before is not None
    assert after is not None
    assert [(found[0].source, found[1]) for found in (before, after)] == [(A, 11), (B, 70)]


# --- rewriting ---


@pytest.mark.parametrize(("bits", "at", "expected"), [(15, 2, b"\x81\x00"), (7, 2, b"\x00\xee")])
def test_fields_are_written_in_their_width(bits: int, at: int, expected: bytes) -> None:
    buffer = bytearray(b"\xaa\x90\xc0\xee\xee\xee")
    segment = Segment(A, 1, 0, 0, 0, pid_offset=1, tl0_offset=6)
    look = Look(pid=0xFF if bits == 15 else 0x7F, pid_at=2, pid_bits=bits, tl0=250, tl0_at=4)
    rewrite(look, segment, memoryview(buffer), 1)
    assert bytes(buffer[3:5]) == expected
    assert buffer[5] == 0


def test_absent_fields_are_left_alone() -> None:
    buffer = bytearray(b"\x10\x00")
    rewrite(Look(), Segment(A, 1, 0, 0, 0, pid_offset=1), memoryview(buffer), 0)
    assert buffer == b"\x10\x00"
