"""Averages over a window, and levels that rise at once and fall slowly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomful.limits.use import Level, Pace, Window


def fill(window: Window, seconds: int, cores: float, begin: int = 0) -> None:
    for now in range(begin, begin + seconds + 1):
        window.add(cores, float(now))


def test_window_nobody_filled_is_nothing():
    window = Window(5.0)
    assert window.cores == 0.0
    window.add(3.0, 10.0)
    assert window.cores == 0.0


def test_average_rises_to_what_is_used_within_the_window():
    window = Window(5.0)
    fill(window, 2, 1.0)
    assert window.cores == pytest.approx(0.4)

    fill(window, 5, 1.0, begin=3)
    assert window.cores == pytest.approx(1.0)


def test_what_is_older_than_the_window_is_forgotten():
    window = Window(5.0)
    fill(window, 20, 1.0)
    fill(window, 5, 0.0, begin=21)

    assert window.cores == pytest.approx(0.0)


def test_samples_far_apart_are_averaged_over_their_distance():
    window = Window(5.0)
    window.add(0.0, 0.0)
    window.add(10.0, 20.0)

    assert window.cores == pytest.approx(0.5)


def test_sample_of_no_later_time_is_left_out():
    window = Window(5.0)
    window.add(0.0, 10.0)
    window.add(1.0, 10.0)
    window.add(1.0, 9.0)

    assert window.cores == 0.0


def test_level_rises_at_once_and_gives_back_slowly_down_to_the_floor():
    level = Level(1.0, 0.5, Pace())
    level.follow(2.0, 1.0)
    assert level.cores == 2.0

    level.follow(0.0, 30.0)
    assert level.cores == pytest.approx(0.5 + 1.5 / 2.718, abs=0.01)
    level.follow(0.0, 1000.0)
    assert level.cores == pytest.approx(0.5)


@given(
    st.lists(st.tuples(st.floats(0.0, 8.0), st.floats(0.001, 100.0)), max_size=50),
    st.floats(0.01, 4.0),
)
def test_level_is_never_below_what_is_used_nor_above_what_ever_was(steps, estimate):
    level = Level(estimate, estimate / 2, Pace())
    most = estimate
    for used, elapsed_s in steps:
        level.follow(used, elapsed_s)
        most = max(most, used)
        assert max(used, estimate / 2) <= level.cores <= most + 1e-9
