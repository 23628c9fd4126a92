"""Order, holes, restarts, records of gaps, bounds."""

from __future__ import annotations

import random

import pytest

from roomful_media.jitter import LATE_RUN, LEAP, Gap, Held, JitterBuffer, Released

TICKS = 1_000  # of RTP time per packet; a tick is a µs here
DELAY_US = 100_000


class Line:
    """A buffer, fed with numbers of the wire; what is due is what is `DELAY_US` old."""

    def __init__(self, buffer: JitterBuffer | None = None, first: int = 65_534) -> None:
        self.buffer = JitterBuffer() if buffer is None else buffer
        self.first = first
        self.ssrc = 1

    def put(self, number: int, at_us: int | None = None) -> bool:
        """Packet `number` of the stream; its RTP time follows its number."""
        at = number * TICKS if at_us is None else at_us
        placed = self.buffer.place((self.first + number) & 0xFFFF, self.ssrc)
        if placed is None:
            return False
        self.buffer.insert(placed.seq, Held(number * TICKS, False, b"%d" % number, at, False))
        return True

    def take(self, now_us: int) -> list[Released]:
        found: list[Released] = []
        while (packet := self.buffer.pop(now_us, lambda ts: ts + DELAY_US)) is not None:
            found.append(packet)
        return found

    def numbers(self, now_us: int) -> list[int]:
        return [int(packet.payload) for packet in self.take(now_us)]


def test_packets_come_out_in_order_when_they_are_due() -> None:
    line = Line()
    for number in (0, 2, 1, 3):
        assert line.put(number)

    assert line.numbers(DELAY_US - 1) == []
    assert line.numbers(DELAY_US + 2 * TICKS) == [0, 1, 2]
    assert line.numbers(DELAY_US + 3 * TICKS) == [3]
    assert line.buffer.counters.reordered == 1


def test_first_packets_may_come_in_any_order() -> None:
    line = Line()
    for number in (2, 0, 1):
        line.put(number)

    assert line.numbers(10**6) == [0, 1, 2]


def test_hole_is_given_up_when_the_packet_behind_it_is_due() -> None:
    line = Line()
    for number in (0, 3):
        line.put(number)

    assert line.numbers(DELAY_US + TICKS) == [0]
    (found,) = line.take(DELAY_US + 3 * TICKS)

    assert (found.payload, found.lost) == (b"3", 2)
    assert line.buffer.counters.lost == 2


def test_patience_holds_up_what_is_due() -> None:
    line = Line(JitterBuffer(patience_us=150_000))
    line.put(0, 0)
    line.put(2, 50_000)

    assert line.numbers(199_999) == [0]
    assert line.put(1, 199_999)
    assert line.numbers(199_999) == [1, 2]


def test_what_comes_after_its_hole_was_given_up_is_late() -> None:
    line = Line()
    line.put(0)
    line.put(2)
    line.take(10**6)

    assert not line.put(1)
    assert not line.put(1)
    assert not line.put(0)

    assert (line.buffer.counters.late, line.buffer.counters.duplicate) == (1, 2)


def test_duplicates_in_the_buffer_are_counted() -> None:
    line = Line()
    line.put(0)

    assert not line.put(0)

    assert line.buffer.counters.duplicate == 1


def test_other_source_goes_on_after_the_last_and_says_so() -> None:
    line = Line()
    line.put(0)
    line.put(1)
    line.ssrc, line.first = 2, 700

    placed = line.buffer.place(712, 2)
    assert placed is not None
    assert placed.restarted
    line.buffer.insert(placed.seq, Held(2 * TICKS, False, b"2", 0, False))

    assert [(p.discontinuity, p.lost) for p in line.take(10**6)] == [
        (False, 0),
        (False, 0),
        (True, 0),
    ]


def test_straggler_of_the_former_source_does_not_bring_it_back() -> None:
    line = Line()
    line.put(0)
    line.ssrc = 2
    line.put(1)
    line.ssrc = 1

    assert not line.put(2)

    assert (line.buffer.counters.strange, line.buffer.counters.restarts) == (1, 1)


def test_former_source_that_stays_is_taken_back() -> None:
    line = Line()
    line.put(0)
    line.ssrc = 2
    line.put(1)
    line.ssrc = 1

    taken = [line.put(2 + number) for number in range(LATE_RUN + 1)]

    assert taken == [False] * (LATE_RUN - 1) + [True, True]


def test_leap_of_numbers_needs_two_in_a_row() -> None:
    line = Line()
    line.put(0)

    assert not line.put(20_000)
    assert line.put(1)
    assert not line.put(30_000)
    assert line.put(30_001)
    assert line.put(30_002)

    assert line.buffer.counters.restarts == 1
    assert line.buffer.counters.strange == 2


def test_source_that_begins_again_a_little_lower_is_noticed() -> None:
    line = Line()
    for number in range(200):
        line.put(number)
    line.take(10**6)

    taken = [line.put(number) for number in range(100)]

    assert taken.count(True) == 100 - LATE_RUN + 1
    assert line.take(10**6)[0].discontinuity


def test_gap_of_a_full_link_is_not_waited_for_nor_asked_for() -> None:
    line = Line(JitterBuffer(patience_us=10**9))
    line.put(0)

    line.buffer.gap(2, Gap.LINK_FULL, 0)
    line.put(3)

    assert [(p.payload, p.lost) for p in line.take(10**6)] == [(b"0", 0), (b"3", 2)]
    assert line.buffer.nacks(500_000) == []


def test_packets_said_to_be_gone_may_come_all_the_same() -> None:
    line = Line()
    line.put(0)
    line.buffer.gap(2, Gap.LINK_FULL, 0)

    assert line.put(1)
    assert line.put(2)

    assert line.numbers(10**6) == [0, 1, 2]
    assert line.buffer.counters.lost == 0


def test_given_up_upstream_ends_the_waiting_for_the_oldest() -> None:
    line = Line(JitterBuffer(patience_us=10**9))
    for number in (0, 2, 4):
        line.put(number)

    line.buffer.gap(1, Gap.GIVEN_UP, 0)

    assert line.numbers(10**6) == [0, 2]
    assert line.buffer.nacks(500_000) == [(line.first + 3) & 0xFFFF]


def test_pause_ends_what_came_before() -> None:
    line = Line(JitterBuffer(patience_us=10**9))
    line.put(0)

    line.buffer.gap(0, Gap.PAUSED, 0)
    assert line.buffer.interrupted
    line.put(5)

    assert [(p.payload, p.discontinuity) for p in line.take(10**6)] == [
        (b"0", False),
        (b"5", True),
    ]
    assert line.buffer.nacks(500_000) == []


def test_gap_records_before_the_first_packet_say_nothing() -> None:
    buffer = JitterBuffer()

    buffer.gap(9, Gap.LINK_FULL, 0)

    assert buffer.pop(10**9, float) is None


def test_missing_numbers_are_asked_for_as_the_wire_has_them() -> None:
    line = Line(JitterBuffer(patience_us=10**9))
    line.put(0)
    line.put(4)
    assert line.buffer.nacks(4 * TICKS) == []

    asked = line.buffer.nacks(50_000)

    assert asked == [65_535, 0, 1]
    line.put(2)
    assert line.buffer.nacks(500_000) == [65_535, 1]
    assert line.buffer.missing_for_us(504_000) == 500_000


def test_numbers_of_a_source_that_began_again_are_asked_for_in_its_own() -> None:
    line = Line()
    line.put(0)
    line.ssrc, line.first = 2, 500
    line.put(1)
    line.put(3)

    assert line.buffer.nacks(10**6) == [502]


def test_full_buffer_loses_its_oldest() -> None:
    line = Line(JitterBuffer(most_packets=10))
    for number in range(15):
        line.put(number)

    found = line.take(10**6)

    assert [p.payload for p in found] == [b"%d" % number for number in range(5, 15)]
    assert found[0].lost == 5
    assert line.buffer.counters.overflowed == 5


def test_bytes_are_bounded_too() -> None:
    buffer = JitterBuffer(most_bytes=1000)
    for number in range(30):
        placed = buffer.place(number, 1)
        assert placed is not None
        buffer.insert(placed.seq, Held(number, False, bytes(100), 0, False))

    assert len(buffer) == 10


def test_hostile_numbers_leave_bounded_memory() -> None:
    buffer = JitterBuffer()
    seq = 0
    for number in range(2_000):
        placed = buffer.place(seq & 0xFFFF, 1)
        if placed is not None:
            buffer.insert(placed.seq, Held(number, False, b"x", number, False))
        buffer.gap(1 << 32, Gap.LINK_FULL, number)
        seq += LEAP - 1

    assert len(buffer._missing) < 100_000
    assert len(buffer._gone) <= len(buffer._missing)


@pytest.mark.parametrize("seed", range(5))
def test_whatever_comes_what_goes_out_is_in_order_and_counted(seed: int) -> None:
    chance, line = random.Random(seed), Line()
    sent = [number for number in range(3000) if chance.random() > 0.1]
    order = sorted(sent, key=lambda number: number + chance.expovariate(0.3))

    out: list[Released] = []
    for number in order:
        line.put(number, number * TICKS)
        if chance.random() < 0.02:
            line.put(number)
        out += line.take(number * TICKS)
    out += line.take(10**8)

    numbers = [int(packet.payload) for packet in out]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == sent[-1]
    assert sum(packet.lost for packet in out) == numbers[-1] - numbers[0] + 1 - len(numbers)
    assert len(line.buffer) == 0
