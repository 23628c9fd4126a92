"""Admission: by estimate, less what the rest of the machine uses."""

from dataclasses import dataclass

import pytest

from roomful.errors import ResourceExhausted
from roomful.limits import CpuTimes, Lease, Limits, Refused, read_cpu_times


@dataclass
class Machine:
    """A machine whose CPU times the test moves; also its clock."""

    now: float = 0.0
    machine: float = 0.0
    own: float = 0.0

    def monotonic(self) -> float:
        return self.now

    def wall_ms(self) -> int:
        return 0

    def times(self) -> CpuTimes | None:
        return CpuTimes(self.machine, self.own)


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def limits(machine) -> Limits:
    return Limits(1.6, machine, machine.times, machine_cores=2)


def run(limits, machine, seconds: int, *, foreign: float = 0.0, own: float = 0.0) -> None:
    for _ in range(seconds):
        limits.sample()
        machine.now += 1
        machine.machine += foreign + own
        machine.own += own
    limits.sample()


def test_work_is_admitted_until_the_cores_are_given_away(limits):
    first, second = limits.admit("composite", 1.0), limits.admit("track", 0.6)
    third = limits.admit("track", 0.01)

    assert isinstance(first, Lease)
    assert isinstance(second, Lease)
    assert isinstance(third, Refused)
    assert limits.leases() != []
    assert limits.refused == {"track": 1}


def test_refusal_says_what_it_needed_and_what_was_free(limits):
    limits.admit("composite", 1.0)

    refused = limits.admit("composite", 0.8)

    assert isinstance(refused, Refused)
    assert (refused.need, round(refused.free, 3)) == (0.8, 0.6)
    assert isinstance(refused.error(), ResourceExhausted)
    assert "needs 0.80 cores and 0.60 are free" in refused.error().message


def test_released_cores_are_free_again_once(limits):
    lease = limits.admit("composite", 1.0)
    assert isinstance(lease, Lease)

    with lease:
        assert limits.leased == 1.0
    lease.release()

    assert limits.free == 1.6


def test_foreign_hog_makes_it_refuse_earlier(limits, machine):
    run(limits, machine, 60, foreign=1.0)

    assert limits.foreign == pytest.approx(1.0, abs=0.05)
    assert isinstance(limits.admit("composite", 1.2), Refused)
    assert isinstance(limits.admit("composite", 0.9), Lease)


def test_our_own_work_is_not_foreign(limits, machine):
    lease = limits.admit("composite", 1.0)
    run(limits, machine, 60, own=1.0)

    assert limits.foreign == pytest.approx(0.0, abs=0.01)
    assert limits.free == pytest.approx(0.6, abs=0.01)
    assert lease


def test_short_burst_of_others_is_smoothed(limits, machine):
    run(limits, machine, 30)
    run(limits, machine, 1, foreign=2.0)

    assert limits.foreign < 0.5


def test_hog_that_ends_is_forgotten(limits, machine):
    run(limits, machine, 60, foreign=1.5)
    run(limits, machine, 30)

    assert limits.free == pytest.approx(1.6, abs=0.01)


def test_machine_that_cannot_be_measured_leaves_the_estimate():
    machine = Machine()
    limits = Limits(1.6, machine, lambda: None, machine_cores=2)
    run(limits, machine, 5)

    assert limits.free == 1.6


@pytest.mark.parametrize("cores", [0.0, -1.0, float("nan")])
def test_work_that_costs_nothing_is_a_bug(limits, cores):
    with pytest.raises(ValueError, match="asks for"):
        limits.admit("composite", cores)


def test_this_machines_times_can_be_read_and_grow():
    before = read_cpu_times()
    deadline = sum(range(2_000_000))
    after = read_cpu_times()

    assert deadline
    assert before is not None
    assert after is not None
    assert after.own >= before.own > 0
    assert after.machine >= after.own


def test_machine_without_proc_is_not_measured(tmp_path):
    assert read_cpu_times(tmp_path) is None
    (tmp_path / "stat").write_text("nonsense")
    assert read_cpu_times(tmp_path) is None
