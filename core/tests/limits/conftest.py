"""A machine whose processes and clock the test moves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from roomful.limits import Limits, Machine, Pace

from .proc_tree import ProcTree

MAIN = 100
PACE = Pace()


class Stage:
    """Two cores, process 1, a shell, and the server started from it."""

    def __init__(self, proc: Path) -> None:
        self.now = 1000.0
        self.tree = ProcTree(proc)
        self.tree.spawn(1, 0)
        self.tree.spawn(50, 1)
        self.tree.spawn(MAIN, 50, session=50)
        machine = Machine(MAIN, proc, lambda: (0, 1))
        self.limits = Limits(1.6, self, machine.sample, machine_cores=2, pace=PACE)

    def monotonic(self) -> float:
        return self.now

    def wall_ms(self) -> int:
        return 0

    def run(self, seconds: float, work: Callable[[], object] | None = None, **cores: float) -> None:
        """Let time pass; `p7=0.5`: process 7 uses half a core. `work` is called every second."""
        self.limits.sample()
        for _ in range(round(seconds)):
            self.now += 1
            for name, share in cores.items():
                self.tree.work(int(name.removeprefix("p")), share)
            if work is not None:
                work()
            self.limits.sample()


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)
