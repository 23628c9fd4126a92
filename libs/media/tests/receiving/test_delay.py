"""How long packets are held back."""

from __future__ import annotations

import random

import pytest

from roomful_media.delay import CALL, STREAM, DelayControl, DelayRange


def observed(control: DelayControl, lateness_us: list[float], begin_us: int = 0) -> int:
    now = begin_us
    for late in lateness_us:
        now += 20_000
        control.observe(late, now)
    return now


def test_fixed_delay_never_changes() -> None:
    control = DelayControl(STREAM)

    observed(control, [900_000.0] * 100)

    assert control.delay_us == STREAM.least_us


def test_calm_network_keeps_the_least() -> None:
    control = DelayControl(CALL)

    observed(control, [1_000.0] * 500)

    assert control.delay_us == CALL.least_us


def test_jitter_lengthens_the_delay_until_nearly_all_come_in_time() -> None:
    control, chance = DelayControl(CALL), random.Random(1)
    late = [chance.uniform(0, 90_000) for _ in range(500)]

    observed(control, late)

    in_time = sum(value <= control.delay_us for value in late) / len(late)
    assert 0.95 <= in_time
    assert control.delay_us <= 95_000


def test_longest_is_the_longest() -> None:
    control = DelayControl(CALL)

    observed(control, [1e9] * 200)

    assert control.delay_us == CALL.most_us


def test_delay_falls_little_by_little() -> None:
    control = DelayControl(CALL)
    now = observed(control, [150_000.0] * 200)
    high = control.delay_us

    later = observed(control, [1_000.0] * 2000, now)
    fallen = control.delay_us

    assert high - fallen <= (later - now) * 0.011
    observed(control, [1_000.0] * 20_000, later)
    assert control.delay_us == CALL.least_us


def test_weights_stay_within_what_numbers_hold() -> None:
    control = DelayControl(CALL)

    observed(control, [10_000.0] * 30_000)

    assert control.delay_us == CALL.least_us


def test_range_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="DelayRange"):
        DelayRange(2, 1)
