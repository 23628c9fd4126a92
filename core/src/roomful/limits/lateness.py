"""Whether what runs in real time keeps its time: the last judge of a machine that is too full.

Pacing loops (the 20 ms ticks of audio bridges) report how late they run. A kind of work that
reports is real-time work. A kind is late when nothing on time came from any of its loops for a
while: one late worker among punctual ones has a trouble of its own, all of them lack CPU.
"""

from __future__ import annotations

from dataclasses import dataclass

LATE_MS = 10.0
"""half a tick of audio: the jitter buffers at the other end are made for less"""
PERSISTS_S = 5.0
"""late for this long is no hiccup"""
FORGOTTEN_S = 15.0
"""without a report, nothing is known: work that ended keeps nobody out"""


@dataclass(slots=True)
class _Reports:
    late_since: float | None = None
    newest: float = 0.0
    p99_ms: float = 0.0


class Lateness:
    """By kind of work. Time is an argument, in monotonic seconds."""

    def __init__(self) -> None:
        self._reports: dict[str, _Reports] = {}

    def report(self, kind: str, p99_ms: float, now: float) -> None:
        """Take the 99th percentile of a loop's ticks since its last report."""
        reports = self._reports.setdefault(kind, _Reports())
        if p99_ms < LATE_MS:
            reports.late_since = None
        elif reports.late_since is None or now - reports.newest > FORGOTTEN_S:
            reports.late_since = now
        reports.newest, reports.p99_ms = now, p99_ms

    def is_realtime(self, kind: str) -> bool:
        """Whether a kind of work has ever reported."""
        return kind in self._reports

    def late_ms(self, now: float) -> float | None:
        """Return how late real-time work runs; None while it keeps its time."""
        late = [
            reports.p99_ms
            for reports in self._reports.values()
            if reports.late_since is not None
            and now - reports.newest <= FORGOTTEN_S
            and now - reports.late_since >= PERSISTS_S
        ]
        return max(late, default=None)

    def newest(self) -> dict[str, float]:
        """Return kind → the newest report, in milliseconds."""
        return {kind: reports.p99_ms for kind, reports in self._reports.items()}
