"""Lag of the event loop is counted in buckets, for `/metrics`."""

import asyncio
import time

from roomful.plugin.loop_lag import LoopLag
from roomful.plugin.stalls import BEAT_S, StallWatch

from .conftest import Manage


def cumulative(lag: LoopLag) -> dict[str, float]:
    """Upper bound → samples at or below it."""
    return {
        sample.labels["le"]: sample.value
        for sample in lag.metric().samples
        if sample.name.endswith("_bucket")
    }


def test_samples_are_counted_up_to_their_bound() -> None:
    lag = LoopLag()
    for late_s in (-0.01, 0.0, 0.01, 0.0101, 0.06, 7.0):
        lag.observe(late_s)

    counts = cumulative(lag)
    assert (counts["0.001"], counts["0.01"], counts["0.02"]) == (2, 3, 4)
    assert (counts["0.05"], counts["0.075"], counts["1.0"], counts["+Inf"]) == (4, 5, 5, 6)
    total = next(s.value for s in lag.metric().samples if s.name.endswith("_sum"))
    assert abs(total - 7.0801) < 1e-9


async def test_watch_counts_a_late_loop(manage: Manage) -> None:
    manager = manage()
    async with StallWatch(manager):
        while cumulative(manager.counters.loop_lag)["+Inf"] < 1:
            await asyncio.sleep(BEAT_S / 10)
        time.sleep(2.5 * BEAT_S)
        while cumulative(manager.counters.loop_lag)["+Inf"] < 2:
            await asyncio.sleep(BEAT_S / 10)

    counts = cumulative(manager.counters.loop_lag)
    assert counts["+Inf"] >= 2
    assert counts["0.05"] < counts["+Inf"]
