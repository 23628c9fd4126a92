"""The far end of a local sink's row: whom packets are handed to, and what that costs."""

from __future__ import annotations

from roomful.model.media import GapReason
from roomful_rtc.engine import PacketSink
from roomful_rtc.py_engine.extension_set import ExtensionSet

WINDOW_US = 1_000_000
SHARE = 4
"""A sink may take a quarter of the time: everything else on the loop waits for it."""
STRIKES = 2
"""windows in a row with more than that; one alone may be the machine's fault"""


class Outlet:
    """`missed`: packets left out since the last one that was handed over."""

    __slots__ = ("_from_us", "_spent_us", "_strikes", "extensions", "missed", "sink")

    def __init__(self, sink: PacketSink, extensions: ExtensionSet | None, now_us: int) -> None:
        self.sink = sink
        self.extensions = extensions
        """those that are kept, None: none"""
        self.missed = 0
        self._from_us = now_us
        self._spent_us = self._strikes = 0

    def tell_missed(self) -> None:
        """Tell the sink what it did not get while it was paused."""
        missed, self.missed = self.missed, 0
        self.sink.gap(missed, GapReason.PAUSED)

    def is_too_slow(self, took_us: int, now_us: int) -> bool:
        """Note the time that one packet took."""
        self._spent_us += took_us
        elapsed_us = now_us - self._from_us
        if elapsed_us >= WINDOW_US:
            self._strikes = self._strikes + 1 if self._spent_us * SHARE > elapsed_us else 0
            self._from_us, self._spent_us = now_us, 0
        return self._strikes >= STRIKES
