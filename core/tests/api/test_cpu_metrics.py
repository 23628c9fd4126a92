"""What admission sees is there to be read, kinds of work as the only label."""

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.registry import Collector

from roomful.api.cpu_metrics import cpu_metrics
from roomful.clock import SystemClock
from roomful.limits import Limits


def test_cores_leases_refusals_and_lateness_are_metrics():
    limits = Limits(1.5, SystemClock(), lambda pids: None, machine_cores=2)
    limits.admit("composite", 1.0, "secret room")
    limits.admit("composite", 1.0, "secret room")
    limits.late("call", 2.5)

    class Collected(Collector):
        def collect(self):
            return cpu_metrics(limits)

    registry = CollectorRegistry()
    registry.register(Collected())
    text = generate_latest(registry).decode()

    for line in (
        "roomful_cpu_leased_cores 1.0",
        "roomful_cpu_counted_cores 1.0",
        "roomful_cpu_used_cores 0.0",
        "roomful_cpu_foreign_cores 0.0",
        "roomful_cpu_usable_cores 1.5",
        "roomful_cpu_free_cores 0.5",
        'roomful_leases{kind="composite"} 1.0',
        'roomful_not_admitted_total{kind="composite"} 1.0',
        'roomful_tick_late_seconds{kind="call"} 0.0025',
    ):
        assert line in text.splitlines()
    assert "secret" not in text
