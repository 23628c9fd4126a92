"""Results as JSON lines while they come, and as a table at the end."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .servers import OTHER, OURS


@dataclass(slots=True)
class Figure:
    """One measured quantity over the repeats of a run."""

    name: str
    unit: str
    values: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    """server → one value per repeat"""
    bare: float | None = None
    """the bare operation, in the same unit"""
    lower_is_better: bool = True

    def median(self, server: str) -> float | None:
        """The median of one server's values."""
        values = self.values.get(server)
        return statistics.median(values) if values else None


class Report:
    """Collects the figures of one verb."""

    def __init__(self, verb: str) -> None:
        self._verb = verb
        self._figures: dict[str, Figure] = {}
        self._problems: list[str] = []

    def line(self, **values: object) -> None:
        """Print one JSON line."""
        sys.stdout.write(json.dumps({"bench": self._verb, **values}) + "\n")
        sys.stdout.flush()

    def add(self, server: str, name: str, unit: str, value: float) -> None:
        """Add one repeat's value of a figure."""
        figure = self._figures.setdefault(name, Figure(name, unit))
        figure.values.setdefault(server, []).append(value)

    def set_bare(self, name: str, value: float) -> None:
        """Say what the bare operation takes."""
        self._figures[name].bare = value

    def fail(self, problem: str) -> None:
        """Note that something did not hold: the run ends with status 1."""
        self._problems.append(problem)
        self.line(problem=problem)

    def finish(self) -> int:
        """Print the table; return the exit status."""
        for figure in self._figures.values():
            self.line(figure=figure.name, unit=figure.unit, bare=figure.bare, **figure.values)
        rows = [_HEAD, *(_row(figure) for figure in self._figures.values())]
        widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
        sys.stdout.write(f"\n{machine()}\n")
        for row in rows:
            cells = (
                cell.ljust(width) if column == 0 else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            sys.stdout.write("  ".join(cells).rstrip() + "\n")
        for problem in self._problems:
            sys.stdout.write(f"FAILED: {problem}\n")
        return 1 if self._problems else 0


_HEAD = ("figure", "unit", OURS, "spread", "bare", "× bare", OTHER, f"× {OTHER}")


def _row(figure: Figure) -> tuple[str, ...]:
    ours, other = figure.median(OURS), figure.median(OTHER)
    values = figure.values.get(OURS, [])
    spread = f"{_text(min(values))}–{_text(max(values))}" if len(values) > 1 else ""
    return (
        figure.name,
        figure.unit,
        _text(ours),
        spread,
        _text(figure.bare),
        _ratio(ours, figure.bare),
        _text(other),
        _ratio(ours, other),
    )


def _text(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _ratio(ours: float | None, other: float | None) -> str:
    return f"{ours / other:.2f}" if ours is not None and other else ""


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """Median, p95, p99 and the largest; nothing of nothing."""
    if not values:
        return {}
    ordered = sorted(values)

    def at(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 3)

    return {"median": at(0.5), "p95": at(0.95), "p99": at(0.99), "max": round(ordered[-1], 3)}


def machine() -> str:
    """The machine in one line."""
    name = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            name = line.partition(":")[2].strip()
            break
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"{os.cpu_count()} × {name}, Linux {platform.release().partition('-')[0]}, "
        f"Python {platform.python_version()}; load {load}"
    )
