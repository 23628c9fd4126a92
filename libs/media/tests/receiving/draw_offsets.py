"""Draws how far picture and sound are apart, for docs/explanation/clocks.md.

    cd libs/media/tests && ../../../.venv/bin/python -m receiving.draw_offsets

A panel per scenario, with the recorded trace as the last. Seconds to the right; up: picture behind
sound. The green band is ±40 ms; the vertical line is where both clocks were locked first.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from .offsets import SCENARIOS, Offset, offsets, worst_once_locked
from .recorded import TRACE, replayed

TARGET = Path(__file__).parents[4] / "docs/images/clock-offset.png"
COLUMNS, WIDTH, HEIGHT = 2, 560, 190
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 30, 24
MOST_MS, BAR_MS, GRID_MS = 80, 40, 20
SCALE = 2
INK, FAINT, BAND, LINE, UNLOCKED = "#222222", "#d8d8d8", "#e4f3e4", "#1f5fbf", "#c07a1f"


class Panel:
    """One chart on the sheet."""

    def __init__(self, draw: ImageDraw.ImageDraw, place: int, seconds: float) -> None:
        self._draw, self._seconds = draw, seconds
        self._left = (place % COLUMNS) * WIDTH + LEFT
        self._top = (place // COLUMNS) * HEIGHT + TOP
        self._wide, self._high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
        self._font = ImageFont.load_default(11 * SCALE)

    def at(self, second: float, ms: float) -> tuple[float, float]:
        """Pixels of a point."""
        x = self._left + self._wide * second / self._seconds
        y = self._top + self._high * (MOST_MS - max(-MOST_MS, min(MOST_MS, ms))) / (2 * MOST_MS)
        return x * SCALE, y * SCALE

    def frame(self, title: str) -> None:
        """Band, grid, axis labels and title."""
        self._draw.rectangle((*self.at(0, BAR_MS), *self.at(self._seconds, -BAR_MS)), fill=BAND)
        for ms in range(-MOST_MS, MOST_MS + 1, GRID_MS * 2):
            self._draw.line((*self.at(0, ms), *self.at(self._seconds, ms)), fill=FAINT)
            x, y = self.at(0, ms)
            self._draw.text((x - 8, y), f"{ms} ms", INK, self._font, anchor="rm")
        step = 5 if self._seconds < 40 else 15
        for second in range(step, int(self._seconds) + 1, step):
            x, y = self.at(second, -MOST_MS)
            self._draw.text((x, y + 6), f"{second} s", INK, self._font, anchor="mt")
        x, y = self.at(0, MOST_MS)
        self._draw.text((x, y - 8), title, INK, self._font, anchor="ls")

    def curve(self, found: list[Offset]) -> None:
        """The offset: orange while a clock is not locked."""
        for before, after in pairwise(found):
            ends = (*self.at(before.at_s, before.offset_ms), *self.at(after.at_s, after.offset_ms))
            self._draw.line(ends, fill=LINE if after.locked else UNLOCKED, width=SCALE)

    def mark(self, second: float) -> None:
        """Where both clocks were locked first."""
        self._draw.line((*self.at(second, MOST_MS), *self.at(second, -MOST_MS)), fill=INK)


def main() -> None:
    """Run all and draw."""
    runs = [(scenario.name, offsets(scenario)) for scenario in SCENARIOS]
    runs.append((f"recorded: {TRACE.stem}", replayed(TRACE)))
    rows = -(-len(runs) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * WIDTH * SCALE, rows * HEIGHT * SCALE), "white")
    draw = ImageDraw.Draw(sheet)
    for place, (name, found) in enumerate(runs):
        locked_s, worst_ms = worst_once_locked(found)
        panel = Panel(draw, place, found[-1].at_s)
        panel.frame(f"{name}: locked after {locked_s:.1f} s, then at most {worst_ms:.0f} ms")
        panel.curve(found)
        panel.mark(locked_s)
        sys.stdout.write(f"{name}: {locked_s:.2f} s, {worst_ms:.1f} ms\n")
    small = sheet.resize((sheet.width // SCALE, sheet.height // SCALE), Image.Resampling.LANCZOS)
    small.quantize(128, Image.Quantize.MAXCOVERAGE).save(TARGET, optimize=True)


if __name__ == "__main__":
    main()
