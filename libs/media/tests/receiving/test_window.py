"""Lowest value of a sliding window."""

from __future__ import annotations

from roomful_media.window import WindowMinimum


def test_empty_window_has_no_lowest() -> None:
    assert WindowMinimum(1000).lowest is None


def test_lowest_leaves_with_its_time() -> None:
    window = WindowMinimum(1000)

    window.add(5, 0)
    window.add(9, 50)
    window.add(7, 500)
    assert window.lowest == 5

    window.add(8, 1100)
    assert window.lowest == 7
    window.add(8, 1600)
    assert window.lowest == 8


def test_value_that_comes_a_little_late_counts() -> None:
    window = WindowMinimum(1000)

    window.add(5, 250)
    window.add(3, 150)

    assert window.lowest == 3


def test_pause_longer_than_the_window_empties_it() -> None:
    window = WindowMinimum(1000)
    window.add(5, 0)

    window.add(50, 100_000)

    assert window.lowest == 50


def test_cleared_window_begins_anew() -> None:
    window = WindowMinimum(1000)
    window.add(5, 0)

    window.clear()
    assert window.lowest is None
    window.add(50, 10)

    assert window.lowest == 50
