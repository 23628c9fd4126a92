"""The one admission for everything that costs CPU: by estimate, then by what is seen to be used.

    lease = server.limits.admit("composite", 0.7 + 0.02 * tiles, room)
    if isinstance(lease, Refused):
        raise lease.error()
    with lease:
        lease.watch(worker.pid)
        ...

`sample` what one look gives · `processes`, `cgroups`, `machine` look · `meter` splits seconds among
owners · `use` makes cores of them · `lease`, `watches`, `totals` keep them · `lateness` of real-time
work · `limits` decides. What decides, with an example: docs/explanation/admission.md.
"""

from roomful.limits.lease import Lease, Refused
from roomful.limits.limits import Limits
from roomful.limits.machine import Machine, usable_cores
from roomful.limits.sample import Budget, Process, Sample
from roomful.limits.use import Pace

__all__ = [
    "Budget",
    "Lease",
    "Limits",
    "Machine",
    "Pace",
    "Process",
    "Refused",
    "Sample",
    "usable_cores",
]
