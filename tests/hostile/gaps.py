"""What a witness heard in a window: packets lost, and how long it was without one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

PACKET_MS = 20.0


@dataclass(frozen=True, slots=True)
class Hearing:
    """One window; times in ms.

    A gap is the time between two packets as the kernel took them, less what the sender itself was
    late: what is left was caused on the way. It is 20 where nothing happened.
    """

    sent: int
    lost: int
    gap_p99: float
    gap_max: float
    delay_p50: float
    sender_late_p99: float
    """how late the witness's own sender was: what else the machine was doing"""
    signal_open: bool = True
    leaves: int = 0
    offers: int = 0
    """negotiations after the join, which the witness never asks for"""

    def record(self) -> dict[str, object]:
        return asdict(self)


def hearing(sent_ns: Sequence[int], came_ns: Sequence[int | None]) -> Hearing:
    """Judge a window: when packets were sent, and when each arrived (None: never)."""
    heard = [(s, c) for s, c in zip(sent_ns, came_ns, strict=True) if c is not None]
    gaps = [
        PACKET_MS + ((came - before_came) - (sent - before_sent)) / 1e6
        for (before_sent, before_came), (sent, came) in pairwise(heard)
    ]
    late = [(after - before) / 1e6 - PACKET_MS for before, after in pairwise(sent_ns)]
    delays = sorted((came - sent) / 1e6 for sent, came in heard)
    return Hearing(
        sent=len(sent_ns),
        lost=len(sent_ns) - len(heard),
        gap_p99=p99(gaps),
        gap_max=max(gaps, default=0.0),
        delay_p50=delays[len(delays) // 2] if delays else 0.0,
        sender_late_p99=p99(late),
    )


def p99(values: Sequence[float]) -> float:
    """The value that at most one in a hundred exceeds, one in a window of fewer."""
    ordered = sorted(values)
    if not ordered:
        return 0.0
    return ordered[max(0, len(ordered) - 1 - max(1, len(ordered) // 100))]
