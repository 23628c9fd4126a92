"""What the machine has, and what is used of it beside leases: by others and by the server itself."""

from __future__ import annotations

from collections.abc import Mapping

from roomful.limits.meter import Spent
from roomful.limits.sample import MACHINE, Sample
from roomful.limits.use import Level, Pace, Window


class Totals:
    """Averages over what samples told; sums of no lease in particular."""

    def __init__(self, machine_cores: float, pace: Pace) -> None:
        """`machine_cores`: what is there, until the first sample says it better."""
        self._pace = pace
        self._cores: Mapping[str, float] = {MACHINE: machine_cores}
        self._others: dict[str, Window] = {}
        self._own, self._main = Window(pace.window_s), Window(pace.window_s)
        self._level = Level(0.0, 0.0, pace)

    @property
    def used(self) -> float:
        """Cores that the server and all its processes use."""
        return self._own.cores

    @property
    def inside(self) -> float:
        """Cores that the server counts with: its own process, and children that no lease watches."""
        return self._level.cores

    @property
    def foreign(self) -> float:
        """Cores that other programs of the machine use."""
        return self._foreign(MACHINE)

    @property
    def left(self) -> float:
        """Cores that others leave us: of the machine, and of each quota; the least counts."""
        return max(0.0, min(cores - self._foreign(name) for name, cores in self._cores.items()))

    def bound(self, sample: Sample) -> None:
        """Take what there is: CPUs and quotas may change while we run."""
        self._cores = {budget.name: budget.cores for budget in sample.budgets}

    def spend(self, spent: Spent, inside_s: float, now: float, elapsed_s: float) -> None:
        """Take CPU seconds since the last call; `inside_s`: of ours, what no lease answers for."""
        self._others = {name: self._window(name) for name in spent.by_others}
        for name, seconds in spent.by_others.items():
            self._others[name].add(seconds, now)
        self._own.add(spent.ours, now)
        self._main.add(inside_s, now)
        self._level.follow(self._main.cores, elapsed_s)

    def _window(self, budget: str) -> Window:
        return self._others.get(budget) or Window(self._pace.window_s)

    def _foreign(self, budget: str) -> float:
        others = self._others.get(budget)
        return max(0.0, others.cores) if others else 0.0
