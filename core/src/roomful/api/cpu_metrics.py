"""The part of `/metrics` about CPU: what `server.limits` sees, sets aside and refuses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from roomful.limits import Limits

CORES: tuple[tuple[str, str, Callable[[Limits], float]], ...] = (
    ("leased", "Cores set aside, by estimate", lambda limits: limits.leased),
    ("counted", "Cores that admission counts as taken", lambda limits: limits.counted),
    ("used", "Cores that the server and its workers use", lambda limits: limits.used),
    ("foreign", "Cores that other programs use", lambda limits: limits.foreign),
    ("usable", "Cores that leases may take together", lambda limits: limits.usable),
    ("free", "Cores that could still be set aside", lambda limits: limits.free),
)
"""`roomful_cpu_<name>_cores`: text, and where it comes from"""


def cpu_metrics(limits: Limits) -> Iterator[Metric]:
    """Yield the metrics of one server; kinds of work are names that plugins give."""
    for name, text, value in CORES:
        yield GaugeMetricFamily(f"roomful_cpu_{name}_cores", text, value(limits))
    leases = GaugeMetricFamily("roomful_leases", "Admitted work by kind", labels=("kind",))
    for kind, count in Counter(lease.kind for lease in limits.leases()).items():
        leases.add_metric((kind,), count)
    yield leases
    refused = CounterMetricFamily("roomful_not_admitted", "Work refused by kind", labels=("kind",))
    for kind, count in limits.refused.items():
        refused.add_metric((kind,), count)
    yield refused
    late = GaugeMetricFamily(
        "roomful_tick_late_seconds",
        "How late ticks of real-time work are, 99th percentile of the newest report",
        labels=("kind",),
    )
    for kind, late_ms in limits.lateness().items():
        late.add_metric((kind,), late_ms / 1000)
    yield late
