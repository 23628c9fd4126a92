"""What one subscriber's downlink can carry, and who gets it. Sans-IO.

The estimate is the receiver's own (REMB). It follows what the receiver gets: it climbs slowly up to
about 1.5 times that, so it neither proves that a higher layer fits nor means congestion by being
low. Congestion is an estimate below what is sent **that does not climb**, or heavy loss: then down
at once. Up again is a trial of one layer of one stream:

    steady ──5 s of head-room──▶ trial ──10 s without congestion──▶ steady
       ▲                            │ congestion
       └── back-off 10…60 s ◀───────┘

Order: audio always, video by priority, then by area; a tenth stays in reserve.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

MIN_ESTIMATE, MAX_ESTIMATE = 10_000, 100_000_000
"""Reports are clamped to this (`security.md` 4.5)."""
RESERVE = 0.1
HEAD_ROOM = 1.2
UP_AFTER_S = 5.0
TRIAL_S = 10.0
_PROVEN_USE = 1.25
"""An estimate this much above what is sent is bounded by what is sent, not by the link."""
_CLIMBS, _FALLS = 1.01, 0.97
_STANDS = 2
"""Reports in a row without a climb that make a low estimate count; a fall counts at once."""
_HEAVY_LOSS = 0.10
_FIRST_BACK_OFF_S, _LONGEST_BACK_OFF_S = 10.0, 60.0
_STALE_S = 15.0
"""Receivers repeat their estimate each second; one this old says nothing any more."""
PAUSED = -1


@dataclass(frozen=True, slots=True)
class Demand:
    """One video stream that is to be sent."""

    key: Hashable
    rates: tuple[int, ...]
    """bit/s of the layers it may get, lowest first, up to the one that is wanted; not empty"""
    priority: int = 0
    area: int = 0
    may_pause: bool = False

    @property
    def top(self) -> int:
        """Level of what is wanted."""
        return len(self.rates) - 1


class Downlink:
    """The estimate of one subscriber and the allocation that follows from it.

    A stream that congestion has not touched gets what is wanted at once; one that it has lowered
    goes up by trials only.
    """

    def __init__(self) -> None:
        self._estimate: int | None = None
        self._at = 0.0
        self._standing = 0
        self._loss = 0.0
        self._caps: dict[Hashable, int] = {}
        self._room_since: float | None = None
        self._trial_until: float | None = None
        self._back_off_s = _FIRST_BACK_OFF_S
        self._not_before = 0.0

    @property
    def estimate(self) -> int | None:
        """Last report, clamped; None before the first."""
        return self._estimate

    @property
    def limits(self) -> bool:
        """Whether `allocate` may have anything to say."""
        return self._estimate is not None or bool(self._caps)

    def report(self, bitrate: int, now: float) -> None:
        """Take an estimate of the receiver, bit/s."""
        bitrate = max(MIN_ESTIMATE, min(MAX_ESTIMATE, bitrate))
        before = self._estimate or 0
        if bitrate > before * _CLIMBS:
            self._standing = 0
        elif bitrate < before * _FALLS:
            self._standing = _STANDS
        else:
            self._standing += 1
        self._estimate, self._at = bitrate, now

    def loss(self, fraction: float) -> None:
        """Take the share of packets that the receiver lost lately, 0 to 1."""
        self._loss = fraction

    def forget(self, key: Hashable) -> None:
        """The stream ended."""
        self._caps.pop(key, None)

    def allocate(
        self, demands: Sequence[Demand], audio_rate: int, now: float
    ) -> dict[Hashable, int]:
        """Return key → index into `rates`, or `PAUSED`. Call it each second and after each report.

        `audio_rate`: what audio takes, bit/s.
        """
        estimate = self._current(now)
        ordered = sorted(demands, key=lambda demand: (-demand.priority, -demand.area))
        levels = {demand.key: self._level(demand) for demand in ordered}
        if estimate is None:
            return levels
        sent = audio_rate + _spent(ordered, levels)
        usable = int(estimate * (1 - RESERVE)) - audio_rate
        if self._congested(estimate, sent):
            self._ease(now)
            levels = _fit(ordered, levels, usable)
        elif self._may_try(ordered, levels, usable, estimate >= _PROVEN_USE * sent, now):
            raised = next(d for d in ordered if levels[d.key] < d.top)
            levels[raised.key] += 1
            self._trial_until, self._room_since = now + TRIAL_S, None
        self._keep_caps(ordered, levels)
        return levels

    def _level(self, demand: Demand) -> int:
        level = min(self._caps.get(demand.key, demand.top), demand.top)
        return level if demand.may_pause else max(level, 0)

    def _keep_caps(self, ordered: Sequence[Demand], levels: dict[Hashable, int]) -> None:
        for demand in ordered:
            limited = levels[demand.key] < demand.top
            if limited or (demand.key in self._caps and self._trial_until is not None):
                self._caps[demand.key] = levels[demand.key]
            else:
                self._caps.pop(demand.key, None)

    def _current(self, now: float) -> int | None:
        if self._estimate is not None and now - self._at > _STALE_S:
            self._estimate, self._standing, self._trial_until = None, 0, None
            self._caps.clear()
        return self._estimate

    def _congested(self, estimate: int, sent: int) -> bool:
        if self._loss > _HEAVY_LOSS:
            return True
        return estimate < sent and self._standing >= _STANDS

    def _ease(self, now: float) -> None:
        """Note that it was too much."""
        if self._trial_until is not None:
            self._back_off_s = min(2 * self._back_off_s, _LONGEST_BACK_OFF_S)
        self._trial_until = self._room_since = None
        self._not_before = now + self._back_off_s
        self._loss = 0.0

    def _may_try(
        self,
        ordered: Sequence[Demand],
        levels: dict[Hashable, int],
        usable: int,
        bounded_by_use: bool,
        now: float,
    ) -> bool:
        if self._trial_until is not None:
            if now < self._trial_until:
                return False
            self._trial_until, self._back_off_s = None, _FIRST_BACK_OFF_S
        demand = next((d for d in ordered if levels[d.key] < d.top), None)
        if demand is None or not (bounded_by_use or _head_room(demand, ordered, levels, usable)):
            self._room_since = None
            return False
        if self._room_since is None:
            self._room_since = now
        return now - self._room_since >= UP_AFTER_S and now >= self._not_before


def _spent(demands: Sequence[Demand], levels: dict[Hashable, int]) -> int:
    return sum(d.rates[levels[d.key]] for d in demands if levels[d.key] >= 0)


def _head_room(
    demand: Demand, demands: Sequence[Demand], levels: dict[Hashable, int], usable: int
) -> bool:
    """Whether the next layer of `demand` fits with room to spare."""
    others = _spent([d for d in demands if d is not demand], levels)
    return usable - others >= HEAD_ROOM * demand.rates[levels[demand.key] + 1]


def _fit(
    ordered: Sequence[Demand], present: dict[Hashable, int], usable: int
) -> dict[Hashable, int]:
    """Return levels that fit: everybody's lowest, then up in order, never above the present."""
    levels: dict[Hashable, int] = {}
    for demand in ordered:
        if demand.may_pause and (present[demand.key] == PAUSED or demand.rates[0] > usable):
            levels[demand.key] = PAUSED
            continue
        levels[demand.key] = 0
        usable -= demand.rates[0]
    for demand in ordered:
        while 0 <= levels[demand.key] < present[demand.key]:
            more = demand.rates[levels[demand.key] + 1] - demand.rates[levels[demand.key]]
            if more > usable:
                break
            usable -= more
            levels[demand.key] += 1
    return levels


class UplinkAdvice:
    """What a publisher without transport-wide feedback is told it may send (REMB), bit/s.

    Up by 8 % a second while it loses little, bounded by 1.5 times what comes (so that it is never
    far from proven); down by half the loss above a tenth, as loss-based control does
    (draft-ietf-rmcat-gcc-02 section 6).
    """

    __slots__ = ("_advice", "_ceiling")

    FLOOR, START = 100_000, 1_000_000

    def __init__(self, ceiling: int) -> None:
        self._ceiling = ceiling
        self._advice = float(min(self.START, ceiling))

    def advise(self, received: int, fraction_lost: float) -> int:
        """Return the advice for the next second from the last one's rate and loss."""
        if fraction_lost > 0.1:
            self._advice = max(received, self.FLOOR) * (1 - 0.5 * fraction_lost)
        elif fraction_lost < 0.02:
            grown = 1.08 * self._advice + 1000
            self._advice = max(self._advice, min(grown, max(1.5 * received, self.START)))
        self._advice = max(self.FLOOR, min(self._advice, self._ceiling))
        return int(self._advice)
