"""How often one source address may knock: `limits.joins_per_s`, with a burst of 2.5 seconds' worth.

This machine itself is not counted: on loopback are tests, benches, and proxies that the settings do
not name as trusted, behind which everybody has one address.
"""

from __future__ import annotations

from ipaddress import ip_address

from roomful.errors import ResourceExhausted
from roomful.token_bucket import BucketTable

BURST_S = 2.5


class JoinRate:
    """Counts joins by source address."""

    def __init__(self, per_s: float) -> None:
        self._buckets = BucketTable(per_s, max(1.0, per_s * BURST_S))

    def admit(self, source: str, now: float) -> None:
        """Raise `ResourceExhausted` when this address knocks too often; `now` is monotonic."""
        if not _is_this_machine(source) and not self._buckets.take(source, now):
            raise ResourceExhausted("too many joins from this address; try again in a second")


def _is_this_machine(source: str) -> bool:
    try:
        return ip_address(source).is_loopback
    except ValueError:
        return False
