"""Deadlines of ticks."""

from __future__ import annotations

from fractions import Fraction

from roomful_media.pace import Due, Metronome, ticks

PERIOD = Fraction(1, 50)


def test_deadlines_do_not_wander() -> None:
    metronome = Metronome(PERIOD, 100.0)
    now = 100.0
    for n in range(50_000):
        now = metronome.deadline_s + 0.004
        assert metronome.due(now) == Due(1, 0), n

    assert metronome.deadline_s == 100.0 + 1000.0


def test_nothing_is_due_before_its_time() -> None:
    metronome = Metronome(PERIOD, 100.0)

    assert metronome.due(99.999) == Due(0, 0)
    assert metronome.due(100.0) == Due(1, 0)
    assert metronome.due(100.0) == Due(0, 0)


def test_a_short_stall_is_caught_up_with_and_a_long_one_dropped() -> None:
    metronome = Metronome(PERIOD, 0.0)
    assert metronome.due(0.07) == Due(4, 0)
    assert metronome.due(1.0751) == Due(4, 46)
    assert metronome.dropped == 46
    assert metronome.deadline_s == 1.08


def test_lateness_is_told_as_quantiles() -> None:
    metronome = Metronome(PERIOD, 0.0)
    assert metronome.lateness_s(0.5) == 0.0
    for n in range(100):
        metronome.due(n * 0.02 + (0.010 if n >= 98 else 0.001))

    assert round(metronome.lateness_s(0.5), 6) == 0.001
    assert round(metronome.lateness_s(0.99), 6) == 0.010


class SteppedClock:
    """Goes 8 ms each time it is read."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 0.008
        return self.now

    def wall_ms(self) -> int:
        return 0


async def test_the_loop_yields_what_is_due() -> None:
    found = []
    async for due in ticks(Metronome(PERIOD, 0.0), SteppedClock()):
        found.append(due.run + due.dropped)
        if len(found) == 3:
            break

    assert found == [1, 1, 1]
