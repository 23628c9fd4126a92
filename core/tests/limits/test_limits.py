"""Admission: by estimate, then by what is seen to be used; no second of CPU counts twice."""

import asyncio
import math
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomful.errors import ResourceExhausted
from roomful.limits import Budget, Lease, Limits, Process, Refused, Sample

from .conftest import MAIN, PACE, Stage

SETTLED_S = 60
"""long enough for every average, and for nearly all of what is given back slowly"""


def admit(stage: Stage, cores: float, *pids: int, kind: str = "composite") -> Lease:
    """Admit work, and start its processes below the server where they are not there."""
    lease = stage.limits.admit(kind, cores)
    assert isinstance(lease, Lease)
    for pid in pids:
        stage.tree.spawn(pid, MAIN)
        lease.watch(pid)
    return lease


def about(cores: float) -> object:
    return pytest.approx(cores, abs=0.02)


# --- by estimate ---------------------------------------------------------------------------------


def test_work_is_admitted_until_the_cores_are_given_away(stage):
    limits = stage.limits

    first, second = limits.admit("composite", 1.0), limits.admit("track", 0.6)
    third = limits.admit("track", 0.01)

    assert isinstance(first, Lease)
    assert isinstance(second, Lease)
    assert isinstance(third, Refused)
    assert set(limits.leases()) == {first, second}
    assert limits.refused == {"track": 1}


def test_refusal_says_what_it_needed_and_what_was_free(stage):
    stage.limits.admit("composite", 1.0)

    refused = stage.limits.admit("composite", 0.8)

    assert isinstance(refused, Refused)
    assert (refused.need, round(refused.free, 3)) == (0.8, 0.6)
    assert isinstance(refused.error(), ResourceExhausted)
    assert "needs 0.80 cores and 0.60 are free" in refused.error().message


def test_released_cores_are_free_again_once(stage):
    lease = admit(stage, 1.0)

    with lease:
        assert stage.limits.leased == 1.0
    lease.release()

    assert stage.limits.free == 1.6


@pytest.mark.parametrize("cores", [0.0, -1.0, math.nan, math.inf])
def test_work_that_costs_nothing_or_everything_is_a_bug(stage, cores):
    with pytest.raises(ValueError, match="asks for"):
        stage.limits.admit("composite", cores)


# --- others --------------------------------------------------------------------------------------


def test_foreign_hog_makes_it_refuse_earlier_until_it_ends(stage):
    stage.tree.spawn(60, 50)
    stage.run(10, p60=1.0)

    assert stage.limits.foreign == about(1.0)
    assert isinstance(stage.limits.admit("composite", 1.2), Refused)
    admit(stage, 0.9).release()

    stage.tree.end(60)
    stage.run(10)
    assert stage.limits.foreign == about(0.0)
    admit(stage, 1.2)


def test_hog_outside_of_what_proc_shows_is_foreign_too(stage):
    stage.run(10, work=lambda: stage.tree.burn(0.7))

    assert stage.limits.foreign == about(0.7)


def test_short_burst_of_others_is_smoothed(stage):
    stage.tree.spawn(60, 50)
    stage.run(30)
    stage.run(1, p60=2.0)

    assert stage.limits.foreign < 0.5


# --- what work is seen to use --------------------------------------------------------------------


def test_job_that_costs_twice_its_estimate_makes_it_refuse_earlier_until_it_ends(stage):
    lease = admit(stage, 0.5, 7)
    stage.run(12, p7=1.0)

    assert lease.counted == about(1.0)
    assert isinstance(stage.limits.admit("composite", 0.8), Refused)

    lease.release()
    assert stage.limits.free == about(1.6)
    stage.tree.end(7)
    stage.run(10)
    assert stage.limits.free == about(1.6)


def test_young_job_keeps_its_estimate(stage):
    lease = admit(stage, 0.5, 7)
    stage.run(PACE.young_s - 1, p7=1.0)

    assert lease.counted == 0.5
    assert lease.used_s == about(4.0)


def test_start_of_a_process_is_not_held_against_its_job(stage):
    lease = admit(stage, 0.1, 7)
    stage.run(PACE.young_s - 1, p7=1.0)
    stage.run(SETTLED_S, p7=0.1)

    assert lease.counted == about(0.1)


def test_job_that_uses_less_gives_back_slowly_and_not_all(stage):
    lease = admit(stage, 0.8, 7)
    stage.run(PACE.young_s + PACE.window_s)
    assert lease.counted > 0.65

    stage.run(300)

    assert lease.counted == about(0.4)


def test_quiet_moment_gives_nothing_away(stage):
    lease = admit(stage, 0.8, 7)
    stage.run(30, p7=0.8)
    stage.run(3)

    assert lease.counted > 0.7


def test_what_a_job_uses_is_neither_foreign_nor_the_servers(stage):
    admit(stage, 0.8, 7)
    stage.run(SETTLED_S, p7=0.8)

    assert stage.limits.foreign == about(0.0)
    assert stage.limits.used == about(0.8)
    assert stage.limits.free == about(0.8)


def test_descendants_at_any_depth_in_sessions_of_their_own_are_the_jobs(stage):
    lease = admit(stage, 0.8, 7)
    for pid, parent in ((8, 7), (9, 8), (10, 9)):
        stage.tree.spawn(pid, parent)
    stage.run(SETTLED_S, p7=0.1, p9=0.2, p10=0.4)

    assert lease.used == about(0.7)
    assert stage.limits.foreign == about(0.0)


def test_process_that_is_no_descendant_can_be_watched(stage):
    stage.tree.spawn(60, 1, used=500.0)
    stage.tree.spawn(61, 60, used=500.0)
    stage.run(3)
    lease = admit(stage, 0.8)
    lease.watch(60)
    stage.run(SETTLED_S, p60=0.3, p61=0.3)

    assert lease.used == about(0.6)
    assert lease.used_s == pytest.approx(0.6 * SETTLED_S, abs=0.7)
    assert stage.limits.foreign == about(0.0)


def test_restarted_process_goes_on_under_the_same_lease(stage):
    lease = admit(stage, 0.5, 7)
    stage.run(30, p7=1.0)
    stage.tree.end(7)
    stage.run(2)
    stage.tree.spawn(8, MAIN)
    lease.watch(8)
    stage.run(20, p8=1.0)

    assert lease.counted == about(1.0)
    assert lease.used_s == about(50.0)
    assert stage.limits.free == about(0.6)


def test_process_that_vanished_without_a_word_gives_back_slowly(stage):
    lease = admit(stage, 0.5, 7)
    stage.run(30, p7=0.5)
    stage.tree.end(7, is_waited=False)

    stage.run(5)
    assert lease.counted > 0.4
    stage.run(300)
    assert lease.counted == about(0.25)


def test_pid_that_is_used_again_is_another_process(stage):
    lease = admit(stage, 0.5, 7)
    stage.run(12, p7=0.5)
    stage.tree.end(7)
    stage.run(1)
    stage.tree.spawn(7, 50)
    stage.run(10, p7=0.9)

    assert lease.used == about(0.0)
    assert stage.limits.foreign == about(0.9)


def test_calls_that_share_a_worker_share_its_use_by_estimate(stage):
    small, large = admit(stage, 0.1, 7), admit(stage, 0.3)
    large.watch(7)
    stage.run(20, p7=0.8)

    assert small.counted == about(0.2)
    assert large.counted == about(0.6)


def test_released_call_leaves_the_workers_use_to_the_others(stage):
    first, second = admit(stage, 0.2, 7), admit(stage, 0.2)
    second.watch(7)
    stage.run(20, p7=0.4)
    first.release()
    stage.run(20, p7=0.4)

    assert second.counted == about(0.4)
    assert stage.limits.free == about(1.2)


def test_unwatched_work_counts_its_estimate_again(stage):
    lease = admit(stage, 0.5, 7, 8)
    stage.run(20, p7=0.5, p8=0.5)

    lease.unwatch(8)
    assert lease.counted == about(1.0)
    lease.unwatch()
    assert lease.counted == 0.5


def test_process_that_outlives_its_lease_is_counted_as_the_servers_after_a_while(stage):
    lease = admit(stage, 0.5, 7)
    stage.run(20, p7=0.5)
    lease.release()

    stage.run(PACE.young_s - 1, p7=0.5)
    assert stage.limits.free == about(1.6)
    stage.run(20, p7=0.5)
    assert stage.limits.free == about(1.1)
    assert stage.limits.foreign == about(0.0)


def test_released_lease_hears_no_more(stage):
    lease = admit(stage, 0.5, 7)
    lease.release()
    lease.watch(8)
    lease.unwatch()
    stage.run(10, p7=0.5)

    assert stage.limits.leases() == []


@pytest.mark.parametrize("pid", [0, 1, -5])
def test_watching_what_is_no_worker_is_a_bug(stage, pid):
    with pytest.raises(ValueError, match="does not do a lease's work"):
        admit(stage, 0.5).watch(pid)


# --- the server itself ---------------------------------------------------------------------------


def test_work_inside_the_server_is_not_counted_beside_its_estimates(stage):
    admit(stage, 0.3)
    stage.run(SETTLED_S, p100=0.3)

    assert stage.limits.free == about(1.3)


def test_server_that_uses_more_than_its_leases_is_seen(stage):
    admit(stage, 0.3)
    stage.run(SETTLED_S, p100=0.5)

    assert stage.limits.free == about(1.1)
    assert stage.limits.foreign == about(0.0)


def test_young_work_inside_counts_on_top_of_what_the_server_is_seen_to_use(stage):
    stage.run(SETTLED_S, p100=0.5)
    admit(stage, 0.3)

    assert stage.limits.free == about(0.8)


def test_helpers_without_a_lease_are_the_servers(stage):
    stage.tree.spawn(7, MAIN)
    stage.run(SETTLED_S, p7=0.5)

    assert stage.limits.free == about(1.1)
    assert stage.limits.foreign == about(0.0)


def test_programs_beside_the_server_in_its_session_are_foreign(stage):
    stage.tree.spawn(60, 50, session=50)
    stage.run(10, p60=0.5)

    assert stage.limits.foreign == about(0.5)


# --- real time -----------------------------------------------------------------------------------


def test_late_loops_keep_more_real_time_work_out_and_nothing_else(stage):
    for _ in range(7):
        stage.limits.late("call", 25.0)
        stage.now += 1

    refused = stage.limits.admit("call", 0.01)
    assert isinstance(refused, Refused)
    assert "0.01 cores and 1.60 are free, but" in refused.error().message
    assert "25 ms late" in refused.error().message
    assert stage.limits.lateness() == {"call": 25.0}
    assert isinstance(stage.limits.admit("composite", 0.01), Lease)

    stage.limits.late("call", 1.0)
    assert isinstance(stage.limits.admit("call", 0.01), Lease)


@pytest.mark.parametrize("late_ms", [-1.0, math.nan])
def test_lateness_that_is_none_is_a_bug(stage, late_ms):
    with pytest.raises(ValueError, match="is late by"):
        stage.limits.late("call", late_ms)


# --- what bounds it all --------------------------------------------------------------------------


def test_machine_that_cannot_be_read_leaves_the_estimate_and_says_so_once(stage, caplog):
    limits = Limits(1.6, stage, lambda pids: None, machine_cores=2)
    lease = limits.admit("composite", 0.5)
    assert isinstance(lease, Lease)
    lease.watch(7)
    for _ in range(5):
        limits.sample()
        stage.now += 10

    assert limits.free == about(1.1)
    assert [record.message for record in caplog.records] == ["CPU use cannot be read"]


def test_quota_bounds_what_the_machine_has_and_others_in_it_count(stage):
    used = 0.0

    def look(pids: object) -> Sample:
        return Sample(MAIN, {}, (Budget("machine", 64.0, 0.0), Budget("group", 1.0, used)))

    limits = Limits(51.2, stage, look, machine_cores=64)
    limits.sample()
    assert limits.free == 1.0

    for _ in range(10):
        stage.now += 1
        used += 0.4
        limits.sample()
    assert limits.free == about(0.6)


async def test_machine_is_read_in_a_thread_of_its_own(stage):
    threads: set[int] = set()

    def look(pids: object) -> Sample:
        threads.add(threading.get_ident())
        return Sample(MAIN, {}, (Budget("machine", 1.0, 0.0),))

    limits = Limits(1.6, stage, look, machine_cores=2)
    running = asyncio.create_task(limits.run())
    async with asyncio.timeout(30):
        while limits.free != 1.0:
            await asyncio.sleep(0)
    running.cancel()

    assert threads
    assert threading.get_ident() not in threads


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["admit", "release", "watch", "unwatch", "sample"]),
            st.integers(0, 5),
            st.floats(0.01, 3.0),
        ),
        max_size=60,
    )
)
def test_free_is_never_negative_never_more_than_the_machine_and_given_back_exactly(steps):
    used: dict[int, float] = {}

    def look(pids: object) -> Sample:
        family = {pid: Process(pid, 1, MAIN, pid, s, 0.0) for pid, s in used.items()}
        family[MAIN] = Process(MAIN, 1, 1, 1, 0.0, 0.0)
        return Sample(MAIN, family, (Budget("machine", 2.0, sum(used.values())),))

    class Clock:
        now = 0.0

        def monotonic(self) -> float:
            return self.now

        def wall_ms(self) -> int:
            return 0

    clock = Clock()
    limits = Limits(1.6, clock, look, machine_cores=2)
    for step, number, cores in steps:
        leases = sorted(limits.leases(), key=lambda lease: (lease.since, lease.cores))
        lease = leases[number % len(leases)] if leases else None
        match step:
            case "admit":
                before = limits.free
                admitted = limits.admit("composite", cores)
                if isinstance(admitted, Lease) and number % 2:
                    admitted.release()
                    assert limits.free == before
            case "release" if lease:
                lease.release()
            case "watch" if lease:
                used.setdefault(number + 2, 0.0)
                lease.watch(number + 2)
            case "unwatch" if lease:
                lease.unwatch()
            case "sample":
                clock.now += cores
                for pid in used:
                    used[pid] += cores * number / 10
                limits.sample()
            case _:
                pass
        assert 0.0 <= limits.free <= limits.usable <= 1.6
        assert all(lease.counted >= lease.cores / 2 for lease in limits.leases())
    for lease in limits.leases():
        lease.release()
    assert limits.leased == 0.0
