"""`server.limits`: keeps the leases, looks at the machine every second, says yes or no."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Collection
from math import fsum, inf

from roomful.clock import Clock
from roomful.limits.lateness import Lateness
from roomful.limits.lease import Lease, Refused
from roomful.limits.machine import Machine, usable_cores
from roomful.limits.meter import CpuMeter, Spent
from roomful.limits.sample import Sample
from roomful.limits.totals import Totals
from roomful.limits.use import Pace
from roomful.limits.watches import Watches

log = logging.getLogger(__name__)

SAMPLE_S = 1.0
_ROUNDING = 1e-9


class Limits:
    """What is admitted, what is refused, and why."""

    def __init__(
        self,
        max_cpu: float,
        clock: Clock,
        look: Callable[[Collection[int]], Sample | None] | None = None,
        machine_cores: float | None = None,
        pace: Pace | None = None,
    ) -> None:
        """`look`: takes a sample, given the pids that leases watch; may be called in a thread."""
        self._max_cpu, self._clock = max_cpu, clock
        self._look = look or Machine().sample
        self._pace = pace or Pace()
        self._totals = Totals(machine_cores or usable_cores(), self._pace)
        self._meter = CpuMeter()
        self._lateness = Lateness()
        self._leases: set[Lease] = set()
        self._watches = Watches(self._pace.young_s)
        self._sampled_at: float | None = None
        self._is_blind = False
        self.refused: Counter[str] = Counter()
        """refusals by kind"""

    # --- what there is -----------------------------------------------------------------------

    @property
    def leased(self) -> float:
        """Cores set aside, by estimate."""
        return fsum(lease.cores for lease in self._leases)

    @property
    def counted(self) -> float:
        """Cores that count as taken: leases by what they are seen to use, and the server's own.

        Work inside the server counts with its estimates, or with what the server is seen to use
        where that is more; a young lease comes on top, as its use cannot be seen yet.
        """
        settled_at = self._clock.monotonic() - self._pace.young_s
        inside = [lease for lease in self._leases if not lease.is_watched]
        settled = fsum(lease.cores for lease in inside if lease.since <= settled_at)
        young = (lease.cores for lease in inside if lease.since > settled_at)
        workers = (lease.counted for lease in self._leases if lease.is_watched)
        return fsum((max(settled, self._totals.inside), *young, *workers))

    @property
    def used(self) -> float:
        """Cores that the server and its workers use, averaged."""
        return self._totals.used

    @property
    def foreign(self) -> float:
        """Cores that other programs of the machine use, averaged."""
        return self._totals.foreign

    @property
    def usable(self) -> float:
        """Cores that leases may take together: `max_cpu`, or what others leave of the machine."""
        return min(self._max_cpu, self._totals.left)

    @property
    def free(self) -> float:
        """Cores that could still be set aside."""
        return max(0.0, self.usable - self.counted)

    def leases(self) -> list[Lease]:
        """What runs now."""
        return list(self._leases)

    def lateness(self) -> dict[str, float]:
        """Return kind of real-time work → the newest report of its pacing, milliseconds."""
        return self._lateness.newest()

    # --- admission ---------------------------------------------------------------------------

    def admit(self, kind: str, cores: float, room: str = "") -> Lease | Refused:
        """Set `cores` aside for work of a kind (`composite`, `call`), or say why not.

        `room` is for whoever asks what runs; it decides nothing.
        """
        if not 0 < cores < inf:
            raise ValueError(f"{kind!r} asks for {cores!r} cores")
        now, free = self._clock.monotonic(), self.free
        late_ms = self._lateness.late_ms(now) if self._lateness.is_realtime(kind) else None
        if late_ms is not None or cores > free + _ROUNDING:
            return self._refuse(Refused(kind, cores, free, late_ms))
        lease = Lease(self, kind, cores, room, now, self._pace)
        self._leases.add(lease)
        return lease

    def late(self, kind: str, p99_ms: float) -> None:
        """Take a report of a pacing loop: how late its ticks were, 99th percentile.

        Kinds that report are real-time work; while it stays late, no more of it is admitted.
        """
        if not p99_ms >= 0:
            raise ValueError(f"{kind!r} is late by {p99_ms!r} ms")
        self._lateness.report(kind, p99_ms, self._clock.monotonic())

    def _refuse(self, refused: Refused) -> Refused:
        self.refused[refused.kind] += 1
        log.warning(
            "not admitted",
            extra={
                "kind": refused.kind,
                "need": refused.need,
                "free": refused.free,
                "foreign": self.foreign,
                "late_ms": refused.late_ms,
            },
        )
        return refused

    # --- called by leases --------------------------------------------------------------------

    def watch(self, lease: Lease, pid: int) -> None:
        """Called by a lease that is told its process."""
        if self._watches.add(pid, lease):
            lease.begin(self._clock.monotonic())

    def unwatch(self, lease: Lease, pid: int | None) -> None:
        """Called by a lease whose process is no longer its own."""
        if self._watches.remove(lease, pid, self._clock.monotonic()):
            lease.end()

    def forget(self, lease: Lease) -> None:
        """Called by a lease that is released."""
        self._leases.discard(lease)
        self._watches.remove(lease, None, self._clock.monotonic())

    # --- looking -----------------------------------------------------------------------------

    def sample(self) -> None:
        """Look at the machine once; where that cannot be done, estimates alone decide."""
        watched = self._watches.pids()
        self._take(watched, *self._measure(watched))

    async def run(self) -> None:
        """Look at the machine every second, until cancelled.

        Reading /proc and splitting what it tells is done in a thread, which lets the loop go on at
        every file; the loop itself only adds the seconds to the leases.
        """
        while True:
            watched = self._watches.pids()
            self._take(watched, *await asyncio.to_thread(self._measure, watched))
            await asyncio.sleep(SAMPLE_S)

    def _measure(self, watched: frozenset[int]) -> tuple[float, Sample | None, Spent | None]:
        now = self._clock.monotonic()
        sample = self._look(watched)
        return now, sample, self._meter.take(sample, watched) if sample else None

    def _take(
        self, watched: frozenset[int], now: float, sample: Sample | None, spent: Spent | None
    ) -> None:
        if (sample is None) != self._is_blind:
            self._is_blind = sample is None
            log.warning("CPU use cannot be read" if self._is_blind else "CPU use can be read again")
        if sample is None:
            return
        self._totals.bound(sample)
        last, self._sampled_at = self._sampled_at, now
        if spent is not None and last is not None and now > last:
            self._spend(spent, now, now - last)
        self._watches.vanish(watched - sample.family.keys(), now)

    def _spend(self, spent: Spent, now: float, elapsed_s: float) -> None:
        shares, inside_s = self._watches.share(spent.by_owner)
        self._totals.spend(spent, inside_s, now, elapsed_s)
        for lease in self._leases:
            if lease.is_watched:
                lease.spend(shares.get(lease, 0.0), now, elapsed_s)
