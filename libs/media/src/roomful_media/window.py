"""The lowest value of a sliding window of time, for a value a packet. Sans-IO."""

from __future__ import annotations

from collections import deque

_SLOTS = 10


class WindowMinimum:
    """Keeps one value per tenth of the window; what a slot lost counts until the slot has passed."""

    __slots__ = ("_current", "_lowest", "_slot", "_slot_us", "_slots")

    def __init__(self, window_us: int) -> None:
        self._slot_us = max(1, window_us // _SLOTS)
        self._slots: deque[tuple[int, float]] = deque(maxlen=_SLOTS)
        self._slot: int | None = None
        self._current = self._lowest = 0.0

    @property
    def lowest(self) -> float | None:
        """None before the first value."""
        return None if self._slot is None else self._lowest

    def add(self, value: float, now_us: int) -> None:
        """Count a value; `now_us` does not go back by more than a slot."""
        slot = now_us // self._slot_us
        if self._slot is None or slot > self._slot:
            self._turn(slot, value)
        elif value < self._current:
            self._current = value
            self._lowest = min(self._lowest, value)

    def clear(self) -> None:
        """Forget everything."""
        self._slots.clear()
        self._slot = None

    def _turn(self, slot: int, value: float) -> None:
        if self._slot is not None:
            self._slots.append((self._slot, self._current))
        while self._slots and self._slots[0][0] <= slot - _SLOTS:
            self._slots.popleft()
        self._slot, self._current = slot, value
        self._lowest = min([value, *(old for _, old in self._slots)])
