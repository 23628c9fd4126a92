"""What a sink is made with, and what it counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SendParameters:
    """What was signalled to the subscriber about one section."""

    mid: str
    ssrc: int
    pts: Mapping[str, int]
    """codec name → the subscriber's payload type, all that were negotiated in the section"""
    rtx_ssrc: int = 0
    """0: no RTX stream, packets are repeated byte by byte"""
    rtx_pts: Mapping[int, int] = field(default_factory=dict[int, int])
    """payload type → its RTX payload type"""
    extensions: Mapping[str, int] = field(default_factory=dict[str, int])
    """kind → id of those that forwarded packets may carry"""
    may_pause: bool = False
    """congestion may stop this track altogether (the client allows pause); else it gets the lowest
    layer at least"""
    cname: str = ""
    """sent with sender reports when given (RFC 3550 section 6.5.1)"""


@dataclass(frozen=True, slots=True)
class SinkStats:
    """Of one outgoing stream, since it began; loss and RTT by the last receiver report."""

    packets: int = 0
    bytes: int = 0
    resent: int = 0
    dropped: int = 0
    fraction_lost: float = 0.0
    """0 to 1"""
    rtt_ms: float | None = None
    jitter_ms: float = 0.0
