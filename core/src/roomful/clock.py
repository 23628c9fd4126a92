"""The only place that reads time. Machines get time as an argument; shells ask a `Clock`."""

import time
from typing import Protocol


class Clock(Protocol):
    """Two clocks that are never mixed: one for intervals, one for people and the wire."""

    def monotonic(self) -> float:
        """Seconds that never jump; only differences mean something."""
        ...

    def wall_ms(self) -> int:
        """Milliseconds since the Unix epoch, UTC; may jump."""
        ...


class SystemClock:
    """The machine's clocks."""

    def monotonic(self) -> float:
        return time.monotonic()

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000
