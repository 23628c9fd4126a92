"""From CPU seconds to the cores that admission counts: an average, and a level that falls slowly."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import exp

_POINTS = 64
"""samples a window holds at most; one a second fills few of them"""


@dataclass(frozen=True, slots=True)
class Pace:
    """How quickly what is seen counts, in seconds."""

    window_s: float = 5.0
    """use is averaged over this long"""
    young_s: float = 5.0
    """work keeps its estimate this long after its process began: loading code is no measure"""
    give_back_s: float = 30.0
    """of what work was seen to use and no longer uses, this long gives back 63 %"""
    floor: float = 0.5
    """part of the estimate that work counts with at least, however little it uses"""


class Window:
    """CPU seconds over a sliding window. Time is an argument, in monotonic seconds."""

    def __init__(self, length_s: float) -> None:
        self._length_s = length_s
        self._total_s = 0.0
        self._points: deque[tuple[float, float]] = deque(maxlen=_POINTS)

    def add(self, seconds: float, now: float) -> None:
        """Take the CPU seconds spent since the last call; the first call only begins."""
        if self._points and now <= self._points[-1][0]:
            return
        self._total_s += seconds if self._points else 0.0
        self._points.append((now, self._total_s))
        while len(self._points) > 2 and self._points[1][0] <= now - self._length_s:
            self._points.popleft()

    @property
    def cores(self) -> float:
        """The average; before a whole window has been seen, as if nothing had been before."""
        if not self._points:
            return 0.0
        (begin, before), (end, after) = self._points[0], self._points[-1]
        return (after - before) / max(self._length_s, end - begin)


class Level:
    """Follows use up at once and down slowly, so that a quiet moment gives nothing away."""

    def __init__(self, cores: float, floor: float, pace: Pace) -> None:
        self.cores, self._floor = cores, floor
        self._give_back_s = pace.give_back_s

    def follow(self, used: float, elapsed_s: float) -> None:
        """Take the cores in use now, and the time since the last call."""
        used = max(used, self._floor)
        if used < self.cores:
            used += (self.cores - used) * exp(-elapsed_s / self._give_back_s)
        self.cores = used
