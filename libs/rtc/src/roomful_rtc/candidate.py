"""Host candidates of the server, as they stand in a description (RFC 8839 5.1, RFC 6544 4.5)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_HOST_UDP, _HOST_TCP = 126, 90
"""Type preferences: UDP first; 90 is what browsers give their own TCP candidates."""
_PASSIVE = 4 << 13
"""Direction preference of a passive TCP host candidate within its local preference."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One address that clients may check; `str()` is the `candidate:…` string."""

    foundation: str
    transport: str
    """udp or tcp (passive)"""
    priority: int
    host: str
    port: int

    def __str__(self) -> str:
        tcp = " tcptype passive" if self.transport == "tcp" else ""
        return (
            f"candidate:{self.foundation} 1 {self.transport} {self.priority} "
            f"{self.host} {self.port} typ host{tcp}"
        )


def host_candidates(
    udp: Iterable[tuple[str, int]], tcp: Iterable[tuple[str, int]] = ()
) -> tuple[Candidate, ...]:
    """Rank advertised addresses: UDP before TCP, each in the order given."""
    candidates: list[Candidate] = []
    for order, (host, port) in enumerate(udp):
        priority = _priority(_HOST_UDP, 0xFFFF - order)
        candidates.append(Candidate(str(len(candidates) + 1), "udp", priority, host, port))
    for order, (host, port) in enumerate(tcp):
        priority = _priority(_HOST_TCP, _PASSIVE | (0x1FFF - order))
        candidates.append(Candidate(str(len(candidates) + 1), "tcp", priority, host, port))
    return tuple(candidates)


def _priority(type_preference: int, local_preference: int) -> int:
    """RFC 8445 5.1.2.1, component 1."""
    return (type_preference << 24) | (local_preference << 8) | 255
