"""What one look gives: CPUs, quotas, and this machine as it is."""

import os

import pytest

from roomful.limits import Machine, usable_cores
from roomful.limits.machine import busy_seconds
from roomful.limits.sample import MACHINE

from .proc_tree import TICKS_PER_S, ProcTree
from .test_cgroups import container

STAT = """\
cpu  800 100 60 5000 70 10 20 40 30 0
cpu0 500 100 60 2000 50 10 20 40 30 0
cpu1 300 0 0 3000 20 0 0 0 0 0
intr 12345 0 0
"""


def test_all_but_idle_and_waiting_for_a_disk_is_busy():
    assert busy_seconds(STAT, (0, 1)) * TICKS_PER_S == 1030


def test_cpus_we_may_not_run_on_do_not_count():
    assert busy_seconds(STAT, (1,)) * TICKS_PER_S == 300


def test_cpus_counted_anew_by_a_container_are_taken_together():
    assert busy_seconds(STAT, (17, 18)) * TICKS_PER_S == 1030


@pytest.mark.parametrize("text", ["", "nonsense", "cpu  1 2", "cpu  a b c d e f g h"])
def test_text_that_is_no_stat_is_an_error(text):
    with pytest.raises(ValueError):
        busy_seconds(text, (0,))


def test_sample_holds_processes_and_budgets(tmp_path):
    tree = ProcTree(tmp_path)
    tree.spawn(100, 1, used=3.0)
    container(tmp_path, tmp_path / "sys", **{"cpu.max": "150000 100000"})

    sample = Machine(100, tmp_path, lambda: (0, 1)).sample(())

    assert sample is not None
    assert sample.main == 100
    assert sample.family[100].used == 3.0
    assert [(budget.cores, budget.used) for budget in sample.budgets] == [(2.0, 3.0), (1.5, None)]


def test_machine_without_proc_is_not_measured(tmp_path):
    assert Machine(100, tmp_path).sample(()) is None
    (tmp_path / "stat").write_text("nonsense")
    assert Machine(100, tmp_path).sample(()) is None


def test_quota_below_the_cpus_is_what_can_be_used(tmp_path):
    assert usable_cores(tmp_path, lambda: range(64)) == 64
    container(tmp_path, tmp_path / "sys", **{"cpu.max": "100000 100000"})
    assert usable_cores(tmp_path, lambda: range(64)) == 1


def test_this_machine_can_be_read_and_its_times_grow():
    machine = Machine()
    before = machine.sample(())
    assert sum(range(2_000_000))
    after = machine.sample(())

    assert before is not None
    assert after is not None
    mine = [sample.family[os.getpid()] for sample in (before, after)]
    assert mine[1].used >= mine[0].used > 0
    assert mine[1].parent == os.getppid()
    budget = after.budgets[0]
    assert budget.name == MACHINE
    assert budget.used is not None
    assert budget.used >= mine[1].used / 2
    assert usable_cores() <= budget.cores == len(os.sched_getaffinity(0))
