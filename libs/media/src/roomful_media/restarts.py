"""What becomes of a job whose worker ended: the one restart table, as data; sans-IO.

An orderly end (`stop`, `done`, `failed` that is not retryable) is no crash and asks nothing here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

FIRST_PAUSE_S, LAST_PAUSE_S = 0.2, 10.0
MANY_ENDS, MANY_ENDS_S = 5, 60.0
"""The general rule: the fifth end within 60 s fails the job."""
RESTARTS_MOST = 3
"""what a job of a kind without a row may ask for"""


@dataclass(frozen=True, slots=True)
class RestartRow:
    """How often a kind of job gets a new worker."""

    times: int | None = 0
    """in the life of a job; None: as often as needed"""
    general_rule: bool = True
    shortest_run_s: float = 0.0
    """a worker that ended sooner is not replaced"""
    rest_s: float = 0.0
    """where the general rule would fail the job, it waits so long instead"""


ROWS: Mapping[str, RestartRow] = {
    "recorder": RestartRow(times=3),
    "uploader": RestartRow(times=None, general_rule=False),
    "transcoder": RestartRow(times=None, general_rule=False, shortest_run_s=10.0),
    "audio_bridge": RestartRow(times=0),
    "spare": RestartRow(times=None, rest_s=60.0),
    "test_source": RestartRow(times=0),
    "test_sink": RestartRow(times=0),
}
"""Kind of job → row."""


def row_of(kind: str, asked: int) -> RestartRow:
    """Return the row of a kind, or one by what a job of a kind without a row asks for."""
    return ROWS.get(kind) or RestartRow(times=max(0, min(asked, RESTARTS_MOST)))


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a new worker starts."""

    pause_s: float | None
    """until it does; None: the job fails"""
    why: str
    """for the log, and for whoever asks why the job failed"""
    rests: bool = False
    """the pause is a rest of the row: worth a warning"""


class Restarts:
    """Counts the ends of one job's workers."""

    def __init__(self, row: RestartRow) -> None:
        self._row = row
        self._ends: deque[float] = deque(maxlen=MANY_ENDS)
        self._streak = 0
        self.count = 0
        """new workers so far"""

    def ended(self, now: float, ran_s: float) -> Verdict:
        """Decide after a worker that ran for `ran_s` ended in disorder."""
        row = self._row
        self._ends.append(now)
        self._streak = 1 if ran_s >= MANY_ENDS_S else self._streak + 1
        if row.times is not None and self.count >= row.times:
            why = f"was restarted {row.times} times" if row.times else "is not restarted"
            return Verdict(None, why)
        if ran_s < row.shortest_run_s:
            return Verdict(None, f"ended before it ran for {row.shortest_run_s:g} s")
        if row.general_rule and self._too_many(now):
            self._ends.clear()
            if not row.rest_s:
                return Verdict(None, f"ended {MANY_ENDS} times within {MANY_ENDS_S:g} s")
            self.count += 1
            return Verdict(row.rest_s, "ends all the time", rests=True)
        self.count += 1
        pause_s = min(FIRST_PAUSE_S * 2 ** min(self._streak - 1, 16), LAST_PAUSE_S)
        return Verdict(pause_s, "is restarted")

    def _too_many(self, now: float) -> bool:
        return len(self._ends) == MANY_ENDS and now - self._ends[0] < MANY_ENDS_S
