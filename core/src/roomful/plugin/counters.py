"""Counts of what plugins do wrong, and how late the loop is, kept for `/metrics` and for tests."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from roomful.plugin.loop_lag import LoopLag

if TYPE_CHECKING:
    from prometheus_client.core import Metric


class PluginCounters:
    """One set per server. Register it with a prometheus registry: it is a collector."""

    def __init__(self) -> None:
        self.failures: Counter[tuple[str, str]] = Counter()
        """(plugin, hook or service) → errors and time limits exceeded"""
        self.dropped: Counter[str] = Counter()
        """plugin → events its full queue dropped"""
        self.stalls: Counter[str] = Counter()
        """plugin (or `core`) → times it blocked the event loop"""
        self.stalled_s: defaultdict[str, float] = defaultdict(float)
        """plugin (or `core`) → seconds it blocked the event loop"""
        self.leaked_tasks: Counter[str] = Counter()
        """plugin → tasks it left behind at shutdown"""
        self.loop_lag = LoopLag()

    def collect(self) -> Iterator[Metric]:
        """Yield the counts as metrics; labels are names of plugins and hooks only."""
        from prometheus_client.core import CounterMetricFamily

        failures = CounterMetricFamily(
            "roomful_plugin_failures", "Errors of plugins", labels=("plugin", "hook")
        )
        for (plugin, hook), count in self.failures.items():
            failures.add_metric((plugin, hook), count)
        yield failures
        for name, help_text, counts in (
            ("roomful_plugin_events_dropped", "Events dropped by a full queue", self.dropped),
            ("roomful_loop_stalls", "Blocks of the event loop over 100 ms", self.stalls),
            ("roomful_loop_stalled_seconds", "Time the event loop was blocked", self.stalled_s),
            ("roomful_plugin_leaked_tasks", "Tasks left at shutdown", self.leaked_tasks),
        ):
            family = CounterMetricFamily(name, help_text, labels=("plugin",))
            for plugin, count in counts.items():
                family.add_metric((plugin,), count)
            yield family
        yield self.loop_lag.metric()
