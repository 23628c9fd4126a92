"""Connection quality of a peer from loss, round-trip time and what it gets of what it wants."""

from __future__ import annotations

from dataclasses import dataclass

from roomful.model.enums import ConnectionQuality


@dataclass(frozen=True, slots=True)
class PeerQuality:
    """One reading, every 5 s while connected."""

    quality: ConnectionQuality
    score: float
    """1 (worst) to 5"""
    loss_up: float = 0.0
    """share of the peer's packets that did not reach us, 0 to 1"""
    loss_down: float = 0.0
    rtt_ms: float | None = None
