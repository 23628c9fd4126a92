"""Only what stays late, everywhere, and is still reported keeps work out."""

import pytest

from roomful.limits.lateness import FORGOTTEN_S, LATE_MS, PERSISTS_S, Lateness

LATE = LATE_MS * 2


@pytest.fixture
def lateness() -> Lateness:
    return Lateness()


def test_kind_that_reports_is_real_time(lateness):
    lateness.report("call", 1.0, 0.0)

    assert lateness.is_realtime("call")
    assert not lateness.is_realtime("composite")
    assert lateness.newest() == {"call": 1.0}


def test_hiccup_is_forgiven(lateness):
    lateness.report("call", LATE, 0.0)
    lateness.report("call", LATE, PERSISTS_S - 1)

    assert lateness.late_ms(PERSISTS_S - 1) is None


def test_lateness_that_persists_counts_until_somebody_is_on_time(lateness):
    lateness.report("call", LATE, 0.0)
    lateness.report("call", LATE + 1, PERSISTS_S)
    assert lateness.late_ms(PERSISTS_S) == LATE + 1

    lateness.report("call", LATE_MS / 2, PERSISTS_S + 1)
    assert lateness.late_ms(PERSISTS_S + 1) is None


def test_one_late_loop_among_punctual_ones_is_its_own_trouble(lateness):
    for now in range(20):
        lateness.report("call", LATE, now)
        lateness.report("call", 1.0, now + 0.5)
        lateness.report("call", LATE, now + 0.6)

    assert lateness.late_ms(20.0) is None


def test_the_latest_kind_speaks_for_all(lateness):
    for kind, late_ms in (("call", LATE), ("bridge", LATE * 2), ("music", 1.0)):
        lateness.report(kind, late_ms, 0.0)
        lateness.report(kind, late_ms, PERSISTS_S)

    assert lateness.late_ms(PERSISTS_S) == LATE * 2


def test_work_that_ended_keeps_nobody_out(lateness):
    lateness.report("call", LATE, 0.0)
    lateness.report("call", LATE, PERSISTS_S)

    assert lateness.late_ms(PERSISTS_S + FORGOTTEN_S + 1) is None


def test_lateness_after_a_silence_has_to_persist_anew(lateness):
    lateness.report("call", LATE, 0.0)
    lateness.report("call", LATE, FORGOTTEN_S + 1)

    assert lateness.late_ms(FORGOTTEN_S + 1) is None
