"""What is reported is what was done to pictures and sound on their way."""

import pytest

from roomful_testing import card, tone
from roomful_testing.measure import Measure
from roomful_testing.report import Sync, spread

RATE = 8_000
BEGIN_US = 100_400_000
STEP_US = 33_333


def show(
    measure: Measure, begin_us: int = BEGIN_US, seconds: float = 4.0, *, shift_us: int = 0,
    stretch: float = 1.0, latency_us: int | None = None,
) -> None:  # fmt: skip
    """Pictures at 30 a second, presented `shift_us` late and slower by `stretch`."""
    for number in range(round(seconds * 30)):
        at = begin_us + number * STEP_US
        shown = BEGIN_US + round((at - BEGIN_US) * stretch) + shift_us
        now = None if latency_us is None else at + latency_us
        measure.see(card.read(card.draw(at, 160, 90)), shown, now)


def play(measure: Measure, begin_us: int = BEGIN_US, seconds: float = 4.0, **how: float) -> None:
    for number in range(round(seconds * 50)):
        at = begin_us + number * 20_000
        measure.hear(tone.samples(at, 160, RATE, **how), RATE, at)


def test_nothing_is_reported_of_nothing():
    report = Measure().report()

    assert (report.pictures, report.fps, report.heard, report.hertz) == (0, 0.0, 0, 0.0)
    assert report.sync is None
    assert report.latency_ms is None
    assert "not known" in str(report)


def test_all_is_well_with_what_is_untouched():
    measure = Measure()
    show(measure, latency_us=120_000)
    play(measure, hertz=330.0)

    report = measure.report()

    assert report.fps == pytest.approx(30, abs=0.01)
    assert (report.freezes, report.wrong_colours, report.unreadable) == (0, 0, 0)
    assert report.latency_ms is not None
    assert report.latency_ms.median == pytest.approx(120, abs=0.6)
    assert report.hertz == pytest.approx(330, abs=0.1)
    assert (report.heard, report.silent) == (4, 0)
    assert report.level_dbfs == pytest.approx(tone.TONE_LEVEL_DBFS, abs=0.2)
    assert report.sync is not None
    assert report.sync.pairs == report.flashes == report.beeps == 4
    assert report.sync.offset_ms.median == pytest.approx(0, abs=0.6)


@pytest.mark.parametrize("shift_us", [-180_000, -20_000, 45_000, 300_000])
def test_pictures_that_are_late_are_late_by_as_much(shift_us):
    measure = Measure()
    show(measure, shift_us=shift_us)
    play(measure)

    sync = measure.report().sync

    assert sync is not None
    assert sync.offset_ms.lowest == pytest.approx(shift_us / 1000, abs=0.6)
    assert sync.offset_ms.highest == pytest.approx(shift_us / 1000, abs=0.6)


def test_drift_is_told_per_minute():
    measure = Measure()
    show(measure, seconds=12, stretch=1.001)
    play(measure, seconds=12)

    sync = measure.report().sync

    assert sync is not None
    assert sync.drift_ms_per_min == pytest.approx(60, rel=0.1)
    assert sync.last_ms > sync.offset_ms.lowest


def test_gap_is_a_freeze_and_so_is_a_picture_that_is_repeated():
    measure = Measure()
    show(measure, seconds=1)
    show(measure, begin_us=BEGIN_US + 1_500_000, seconds=1)
    last = BEGIN_US + 1_500_000 + 29 * STEP_US
    for number in range(1, 11):
        measure.see(card.read(card.draw(last, 160, 90)), last + number * STEP_US)
    show(measure, begin_us=last + 11 * STEP_US, seconds=1)

    report = measure.report()

    assert report.freezes == 2
    assert report.longest_gap_ms == pytest.approx(533, abs=1)
    assert report.repeated == 10


def test_pictures_out_of_order_and_unreadable_ones_are_counted():
    measure = Measure()
    for at in (1_000_000, 1_100_000, 1_050_000, 1_200_000):
        measure.see(card.read(card.draw(at, 160, 90)), at)
    measure.see(None, 1_300_000)

    report = measure.report()

    assert (report.pictures, report.backward, report.unreadable) == (5, 1, 1)


def test_wrong_colours_are_counted():
    measure = Measure()
    picture = card.draw(1_000_000, 160, 90)
    picture[90:] = 128
    measure.see(card.read(picture), 0)

    report = measure.report()

    assert report.wrong_colours == 1
    assert report.worst_colour > 80


def test_silence_is_told_from_a_tone():
    measure = Measure()
    play(measure, seconds=2)
    for number in range(100):
        at = BEGIN_US + 2_000_000 + number * 20_000
        measure.hear(tone.samples(at, 160, RATE) * 0, RATE, at)

    report = measure.report()

    assert (report.heard, report.silent) == (4, 2)
    assert report.hertz == pytest.approx(440, abs=1)


def test_change_of_rate_goes_on():
    measure = Measure()
    play(measure, seconds=1)
    at = BEGIN_US + 1_000_000
    measure.hear(tone.samples(at, 48_000, 48_000), 48_000, at)

    assert measure.report().beeps == 2


def test_report_can_be_read():
    measure = Measure()
    show(measure, shift_us=20_000, latency_us=80_000)
    play(measure)

    lines = str(measure.report()).splitlines()

    assert lines[0] == "pictures 120, 30.00 new a second; 0 repeated, 0 backward, 0 unreadable"
    assert lines[1] == "freezes  0, longest gap 33 ms"
    assert lines[3].startswith("latency  80.0 (p99")
    assert lines[4] == "tone     440.0 Hz, -12.0 dBFS; 0 of 4 s silent"
    assert lines[5].startswith("sync     picture later than sound by 20")


def test_spread_and_sync_of_nothing_are_none():
    assert spread([]) is None
    assert Sync.of([]) is None


def test_spread_of_values():
    whole = spread([float(n) for n in range(101)])

    assert whole is not None
    assert (whole.median, whole.p99, whole.lowest, whole.highest) == (50.0, 99.0, 0.0, 100.0)


def test_clip_that_begins_again_is_no_step_backward():
    measure = Measure(loop_us=2_000_000)
    play(measure, seconds=6)
    for number in range(180):
        if 70 <= number < 85:
            continue  # half a second is missing
        shown = BEGIN_US + number * STEP_US + 25_000
        at = (BEGIN_US + number * STEP_US) % 2_000_000
        measure.see(card.read(card.draw(at, 160, 90)), shown, shown)
        if number == 100:
            measure.see(card.read(card.draw(at, 160, 90)), shown + STEP_US)

    report = measure.report()

    assert (report.backward, report.repeated, report.freezes) == (0, 1, 1)
    assert report.latency_ms is None
    assert report.sync is not None
    assert report.sync.offset_ms.median == pytest.approx(25, abs=0.6)
