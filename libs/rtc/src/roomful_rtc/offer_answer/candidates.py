"""Host candidates of an ICE-lite server (RFC 8445, RFC 6544, RFC 8839)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class HostCandidate:
    """One address this server can be reached at, as told to the peer."""

    host: str
    """literal IPv4 or IPv6 address"""
    port: int
    protocol: Literal["udp", "tcp"] = "udp"
    """tcp: passive (the peer connects)"""
    rank: int = 0
    """0 is preferred; at most 8191; orders candidates of one protocol"""

    @property
    def priority(self) -> int:
        """RFC 8445 section 5.1.2.1; for TCP RFC 6544 section 4.2 (below every UDP one)."""
        if self.protocol == "udp":
            type_preference, local_preference = 126, 65535 - self.rank
        else:
            type_preference, local_preference = 90, (4 << 13) + 8191 - self.rank
        return (type_preference << 24) + (local_preference << 8) + 255

    @property
    def line(self) -> str:
        """`candidate:…`, as in an `a=` line and in a trickled candidate."""
        foundation = self.rank * 2 + (1 if self.protocol == "udp" else 2)
        tail = "" if self.protocol == "udp" else " tcptype passive"
        return (
            f"candidate:{foundation} 1 {self.protocol} {self.priority} "
            f"{self.host} {self.port} typ host{tail}"
        )


def candidate_init(candidate: HostCandidate, mid: str, index: int = 0, ufrag: str = "") -> str:
    """Render JSON for `TrickleRequest.candidateInit` (RTCIceCandidateInit).

    `mid` and `index` must name a section of the current description: clients ignore others.
    """
    init: dict[str, str | int] = {
        "candidate": candidate.line,
        "sdpMid": mid,
        "sdpMLineIndex": index,
    }
    if ufrag:
        init["usernameFragment"] = ufrag
    return json.dumps(init, separators=(",", ":"))
