"""When missing packets are asked for."""

from __future__ import annotations

import pytest

from roomful_rtc.nack import MOST_MISSING, NackTracker


def test_a_gap_is_asked_for_after_it_has_stood() -> None:
    tracker = NackTracker()
    tracker.gap(10, 2, 5.0)
    assert tracker.due == 5.015
    assert tracker.take(5.01) == []
    assert tracker.take(5.015) == [10, 11]


def test_what_came_late_is_not_asked_for() -> None:
    tracker = NackTracker()
    tracker.gap(10, 3, 5.0)
    tracker.recovered(11)
    tracker.recovered(99)
    assert tracker.take(5.02) == [10, 12]


def test_it_is_repeated_each_round_trip_five_times() -> None:
    tracker = NackTracker()
    tracker.gap(10, 1, 0.0)
    asked = [ms for ms in range(0, 900, 5) if tracker.take(ms / 1000, rtt_s=0.05)]
    assert asked == pytest.approx([15, 65, 115, 165, 215], abs=10)
    assert len(tracker) == 0


def test_it_is_not_repeated_faster_than_30_ms() -> None:
    tracker = NackTracker()
    tracker.gap(10, 1, 0.0)
    asked = [ms for ms in range(300) if tracker.take(ms / 1000, rtt_s=0.001)]
    assert asked == pytest.approx([15, 45, 75, 105, 135], abs=5)


def test_it_is_given_up_after_a_second() -> None:
    tracker = NackTracker()
    tracker.gap(10, 1, 0.0)
    asked = [ms for ms in range(0, 3000, 5) if tracker.take(ms / 1000, rtt_s=0.4)]
    assert asked == pytest.approx([15, 415, 815], abs=10)
    assert tracker.due is None


def test_a_key_frame_ends_what_lies_before_it() -> None:
    tracker = NackTracker()
    tracker.gap(10, 3, 0.0)
    tracker.key_frame(12)
    assert tracker.take(0.1) == [12]


def test_a_wide_gap_is_bounded_to_the_newest() -> None:
    tracker = NackTracker()
    tracker.gap(0, 100_000, 0.0)
    asked = tracker.take(1 / 50)
    assert (asked[0], asked[-1], len(asked)) == (100_000 - 512, 99_999, 512)


def test_what_is_given_up_is_told_once() -> None:
    tracker = NackTracker()
    tracker.gap(100, 3, 0.0)
    tracker.recovered(100)
    assert tracker.take_lost() == 0
    tracker.take(1.1)
    assert tracker.take_lost() == 2
    assert tracker.take_lost() == 0
    tracker.gap(200, MOST_MISSING + 5, 2.0)
    assert tracker.take_lost() == 5
    tracker.key_frame(10_000)
    assert tracker.take_lost() == MOST_MISSING
