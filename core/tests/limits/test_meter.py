"""Every CPU second between two samples has one owner, also when processes end."""

import pytest

from roomful.limits import Budget, Process, Sample
from roomful.limits.meter import CpuMeter, owners_of

MAIN = 100


def look(*rows: tuple[int, int, float, float], machine: float | None = None) -> Sample:
    """Rows: pid, parent, CPU seconds of its own, of children that ended."""
    family = {
        pid: Process(pid, started=1, parent=parent, session=pid, used=used, waited=waited)
        for pid, parent, used, waited in rows
    }
    return Sample(MAIN, family, (Budget("machine", 2.0, machine),))


@pytest.fixture
def meter() -> CpuMeter:
    return CpuMeter()


def test_first_sample_tells_nothing(meter):
    assert meter.take(look((MAIN, 1, 500.0, 0.0)), {7}) is None


def test_use_is_the_nearest_watched_ancestors(meter):
    meter.take(look((MAIN, 1, 1.0, 0.0), (7, MAIN, 1.0, 0.0), (8, 7, 1.0, 0.0)), {7, 8})
    spent = meter.take(
        look((MAIN, 1, 1.1, 0.0), (7, MAIN, 1.2, 0.0), (8, 7, 1.4, 0.0), (9, 8, 0.8, 0.0)), {7, 8}
    )

    assert spent.by_owner == pytest.approx({MAIN: 0.1, 7: 0.2, 8: 1.2})
    assert spent.ours == pytest.approx(1.5)


def test_what_others_used_is_the_rest_of_each_budget(meter):
    meter.take(look((MAIN, 1, 1.0, 0.0), machine=10.0), ())
    spent = meter.take(look((MAIN, 1, 1.5, 0.0), machine=12.0), ())

    assert spent.by_others == pytest.approx({"machine": 1.5})


def test_budget_nobody_tells_the_use_of_has_no_others(meter):
    meter.take(look((MAIN, 1, 1.0, 0.0)), ())

    assert meter.take(look((MAIN, 1, 1.5, 0.0), machine=12.0), ()).by_others == {}


def test_process_that_ended_leaves_what_no_sample_saw_to_its_owner(meter):
    meter.take(look((MAIN, 1, 1.0, 50.0), (7, MAIN, 600.0, 20.0)), {7})
    spent = meter.take(look((MAIN, 1, 1.0, 670.25)), {7})

    assert spent.by_owner == pytest.approx({MAIN: 0.0, 7: 0.25})


def test_whole_branch_that_ended_is_not_counted_again(meter):
    meter.take(look((MAIN, 1, 1.0, 0.0), (7, MAIN, 5.0, 0.0), (8, 7, 600.0, 0.0)), {7})
    spent = meter.take(look((MAIN, 1, 1.0, 605.5)), {7})

    assert spent.by_owner == pytest.approx({MAIN: 0.0, 7: 0.5})


def test_process_that_ended_unwaited_leaves_nothing(meter):
    meter.take(look((MAIN, 1, 1.0, 0.0), (7, MAIN, 600.0, 0.0)), {7})
    spent = meter.take(look((MAIN, 1, 1.5, 0.0)), {7})

    assert spent.by_owner == pytest.approx({MAIN: 0.5, 7: 0.0})


def test_child_that_came_and_went_between_samples_is_its_parents(meter):
    meter.take(look((MAIN, 1, 1.0, 0.0), (7, MAIN, 1.0, 3.0)), {7})
    spent = meter.take(look((MAIN, 1, 1.0, 0.0), (7, MAIN, 1.0, 3.75)), {7})

    assert spent.by_owner == pytest.approx({MAIN: 0.0, 7: 0.75})


def test_stranger_that_becomes_ours_begins_with_what_it_has_used(meter):
    meter.take(look((MAIN, 1, 1.0, 0.0)), ())
    strangers = ((60, 1, 900.0, 0.0), (61, 60, 900.0, 0.0))
    spent = meter.take(look((MAIN, 1, 1.0, 0.0), *strangers), {60})

    assert spent.by_owner == pytest.approx({MAIN: 0.0, 60: 0.0})


def test_orphan_whose_watched_ancestor_is_gone_is_the_servers():
    sample = look((MAIN, 1, 1.0, 0.0), (9, 1, 1.0, 0.0))

    assert owners_of(sample, {7}) == {MAIN: MAIN, 9: MAIN}


def test_orphan_in_the_session_of_a_worker_is_the_workers():
    family = {
        MAIN: Process(MAIN, 1, 1, 50, 0.0, 0.0),
        7: Process(7, 1, MAIN, 7, 0.0, 0.0),
        9: Process(9, 1, 1, 7, 0.0, 0.0),
    }

    assert owners_of(Sample(MAIN, family, ()), {7}) == {MAIN: MAIN, 7: 7, 9: 7}


def test_parents_in_a_circle_are_the_servers():
    assert owners_of(look((8, 9, 1.0, 0.0), (9, 8, 1.0, 0.0)), ()) == {8: MAIN, 9: MAIN}
