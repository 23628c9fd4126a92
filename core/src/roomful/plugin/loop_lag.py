"""How late the event loop is: a histogram of what `StallWatch` sees at each of its beats."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client.core import HistogramMetricFamily

BOUNDS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0)
"""upper bounds of the buckets"""


class LoopLag:
    """Seconds by which callbacks ran late; twenty samples a second, in a fixed amount of memory."""

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS_S) + 1)
        self._sum_s = 0.0

    def observe(self, late_s: float) -> None:
        """Count one sample; a callback that came early was on time."""
        late_s = max(late_s, 0.0)
        self._counts[bisect_left(BOUNDS_S, late_s)] += 1
        self._sum_s += late_s

    def metric(self) -> HistogramMetricFamily:
        """The histogram as Prometheus knows it."""
        from prometheus_client.core import HistogramMetricFamily

        buckets: list[tuple[str, float]] = []
        seen = 0
        for bound, count in zip((*map(str, BOUNDS_S), "+Inf"), self._counts, strict=True):
            seen += count
            buckets.append((bound, seen))
        return HistogramMetricFamily(
            "roomful_loop_lag_seconds",
            "How late the event loop ran a timer",
            buckets=buckets,
            sum_value=self._sum_s,
        )
