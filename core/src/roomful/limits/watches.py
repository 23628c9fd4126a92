"""Which leases a process works for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from math import fsum

from roomful.limits.lease import Lease


class Watches:
    """pid → leases. A process whose lease was released has a while to end."""

    def __init__(self, ending_s: float) -> None:
        self._leases: defaultdict[int, set[Lease]] = defaultdict(set)
        self._ending_s = ending_s
        self._ending: dict[int, float] = {}
        """pid → monotonic seconds from when on it is the server's own affair"""

    def pids(self) -> frozenset[int]:
        """Return the processes to be told apart from the server's own."""
        return frozenset((*self._leases, *self._ending))

    def add(self, pid: int, lease: Lease) -> bool:
        """Whether that is new."""
        is_new = lease not in self._leases[pid]
        self._leases[pid].add(lease)
        self._ending.pop(pid, None)
        return is_new

    def remove(self, lease: Lease, pid: int | None, now: float) -> bool:
        """Take a lease away from a process (None: from all); whether it has none left."""
        for one in list(self._leases) if pid is None else [pid]:
            leases = self._leases.get(one, set())
            if lease in leases:
                leases.discard(lease)
                if not leases:
                    del self._leases[one]
                    self._ending[one] = now + self._ending_s
        return not any(lease in leases for leases in self._leases.values())

    def vanish(self, pids: Collection[int], now: float) -> None:
        """Forget processes that ended, and those that had time enough to end."""
        for pid in pids:
            self._leases.pop(pid, None)
        late = [pid for pid, until in self._ending.items() if until <= now]
        for pid in (*pids, *late):
            self._ending.pop(pid, None)

    def share(self, by_owner: Mapping[int, float]) -> tuple[Mapping[Lease, float], float]:
        """Share CPU seconds out: to each lease its part by estimate; and what is nobody's.

        What a process uses while it ends is neither: its lease is gone, and soon it is too.
        """
        shares: defaultdict[Lease, float] = defaultdict(float)
        nobodys = 0.0
        for pid, seconds in by_owner.items():
            leases = self._leases.get(pid, set())
            estimates = fsum(lease.cores for lease in leases)
            for lease in leases:
                shares[lease] += seconds * lease.cores / estimates
            if not leases and pid not in self._ending:
                nobodys += seconds
        return shares, nobodys
