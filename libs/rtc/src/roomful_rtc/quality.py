"""Connection quality of a peer from loss, round-trip time and congestion. Sans-IO.

The score is a shortened E-model (ITU-T G.107: a rating from delay and loss, turned into an opinion
score) stretched to 1…5. It falls at once and recovers half the way at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

from roomful.model.enums import ConnectionQuality

EXCELLENT_FROM, GOOD_FROM = 4.6, 3.6
_BEST_RATING = 93.2
_BEST_OPINION = 4.41
_DEGRADED_SCORE, _PAUSED_SCORE = 4.0, 3.0


@dataclass(frozen=True, slots=True)
class PeerQuality:
    """One reading, every 5 s while connected."""

    quality: ConnectionQuality
    score: float
    """1 (worst) to 5"""
    loss_up: float = 0.0
    """share of the peer's packets that did not reach us, 0 to 1"""
    loss_down: float = 0.0
    """share of our packets that did not reach the peer, 0 to 1"""
    rtt_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Conditions:
    """What was seen since the last reading."""

    expected_up: int = 0
    lost_up: int = 0
    """packets, of `expected_up`"""
    loss_down: float = 0.0
    """0 to 1, of the worst kind of stream"""
    rtt_s: float | None = None
    degraded: bool = False
    """a stream is below what is wanted, for congestion"""
    paused: bool = False
    """a stream is stopped, for congestion"""
    connected: bool = True


def score_of(loss: float, rtt_s: float) -> float:
    """Return 1 to 5 for a share of lost packets and a round trip."""
    delay_ms = rtt_s * 1000 / 2
    rating = _BEST_RATING - (delay_ms / 40 if delay_ms < 160 else (delay_ms - 120) / 10)
    rating = max(0.0, rating - 250 * loss)
    opinion = 1 + 0.035 * rating + 7e-6 * rating * (rating - 60) * (100 - rating)
    return max(1.0, min(5.0, 1 + (opinion - 1) * 4 / (_BEST_OPINION - 1)))


class QualityScorer:
    """The readings of one peer."""

    __slots__ = ("_score",)

    def __init__(self) -> None:
        self._score = 5.0

    def read(self, conditions: Conditions) -> PeerQuality:
        """Return the quality of the interval that ends now."""
        if not conditions.connected:
            self._score = 1.0
            return PeerQuality(ConnectionQuality.LOST, 1.0)
        loss_up = conditions.lost_up / conditions.expected_up if conditions.expected_up else 0.0
        score = score_of(max(loss_up, conditions.loss_down), conditions.rtt_s or 0.0)
        if conditions.paused:
            score = min(score, _PAUSED_SCORE)
        elif conditions.degraded:
            score = min(score, _DEGRADED_SCORE)
        self._score = score if score <= self._score else (score + self._score) / 2
        return PeerQuality(
            quality=_name(self._score),
            score=round(self._score, 2),
            loss_up=loss_up,
            loss_down=conditions.loss_down,
            rtt_ms=None if conditions.rtt_s is None else conditions.rtt_s * 1000,
        )


def _name(score: float) -> ConnectionQuality:
    if score >= EXCELLENT_FROM:
        return ConnectionQuality.EXCELLENT
    return ConnectionQuality.GOOD if score >= GOOD_FROM else ConnectionQuality.POOR
