"""Writes to the terminal: a board that lives in place, or plain lines where there is no terminal."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from roomful.logs import configure_logging
from roomful_demo.board import Row
from roomful_demo.scene import Line

REDRAW_S = 0.5
PLAIN_EVERY_S = 10.0
"""without a terminal, figures that change all the time are written this often"""

_COLOUR = re.compile(r"rgb\((\d{1,3}), (\d{1,3}), (\d{1,3})\)")


class Display(Protocol):
    """Where a running demo is shown."""

    def show(self, people: Sequence[Row], lines: Sequence[Line], now_s: float) -> None:
        """Take the newest facts; called every `REDRAW_S`."""
        ...


@contextmanager
def display(console: Console, page: str, note: str) -> Generator[Display, None, None]:
    """Show where to join, and what `show` is told: a board where there is a terminal."""
    if not console.is_terminal:
        console.print(Text(f"join at {page}"), soft_wrap=True)
        if note:
            console.print(Text(note), soft_wrap=True)
        yield PlainLines(console)
        return
    with Live(_head(page, note), console=console, auto_refresh=False) as live:
        live.refresh()
        yield LiveBoard(live, _head(page, note))


def log_to(console: Console) -> None:
    """Write warnings of the whole process to the terminal, above the board."""
    lines: Any = _LogLines(console)
    configure_logging("text", "warning", stream=lines)


@dataclass(frozen=True, slots=True)
class _LogLines:
    """What a log handler needs of a stream."""

    console: Console

    def write(self, text: str) -> None:
        self.console.print(Text(text.rstrip("\n"), style="yellow"), soft_wrap=True)

    def flush(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class LiveBoard:
    """A table that is drawn anew in place."""

    live: Live
    head: RenderableType

    def show(self, people: Sequence[Row], lines: Sequence[Line], now_s: float) -> None:
        """Draw."""
        self.live.update(Group(self.head, _table(people), _lines(lines), _FOOT), refresh=True)


@dataclass(slots=True)
class PlainLines:
    """A line whenever somebody or a track comes or goes; figures now and then."""

    console: Console
    _shown: frozenset[str] = frozenset()
    _figures_at_s: float = field(default=float("-inf"))

    def show(self, people: Sequence[Row], lines: Sequence[Line], now_s: float) -> None:
        """Write what is new."""
        there = frozenset(_facts(people))
        for fact in sorted(there - self._shown):
            self._write(f"+ {fact}")
        for fact in sorted(self._shown - there):
            self._write(f"- {fact}")
        self._shown = there
        if now_s - self._figures_at_s >= PLAIN_EVERY_S:
            self._figures_at_s = now_s
            for label, text in lines:
                self._write(f"{label}: {text}")

    def _write(self, line: str) -> None:
        self.console.print(Text(line), soft_wrap=True)


def coloured(text: str) -> Text:
    """Return the text with a dot of that colour before every `rgb(…)`."""
    shown = Text()
    end = 0
    for match in _COLOUR.finditer(text):
        red, green, blue = (min(255, int(part)) for part in match.groups())
        shown.append(text[end : match.start()])
        shown.append("● ", style=f"rgb({red},{green},{blue})")
        shown.append(match.group())
        end = match.end()
    return shown.append(text[end:])


def _head(page: str, note: str) -> RenderableType:
    """Return what stands above the board: where to join."""
    text = Text("Join at ", style="bold")
    text.append(page, style=f"bold underline cyan link {page}")
    text.append("  with camera and microphone", style="dim")
    if note:
        text.append(f"\n{note}", style="yellow")
    return Padding(text, (1, 0, 0, 1))


def _facts(people: Iterable[Row]) -> Iterable[str]:
    for row in people:
        yield f"{row.name} ({row.kind}) is {row.state}"
        for track in row.tracks:
            flows = "muted" if track.muted else "on"
            yield f"{row.name}: {track.still} is {flows}"


def _table(people: Sequence[Row]) -> RenderableType:
    table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim", pad_edge=False)
    for title in ("Who", "Kind", "Track", "Codec", "Picture"):
        table.add_column(title, no_wrap=True)
    table.add_column("Flow", justify="right", no_wrap=True, min_width=12)
    for row in people:
        who = Text(row.name, style="bold" if row.state == "here" else "dim")
        kind = Text(row.kind if row.state == "here" else row.state)
        if not row.tracks:
            table.add_row(who, kind, Text("–", style="dim"))
        for track in row.tracks:
            style = "dim" if track.muted else ""
            cells = (track.what, track.codec, track.size, track.flow)
            table.add_row(who, kind, *(Text(cell, style=style) for cell in cells))
            who, kind = Text(), Text()
    return Padding(table, (1, 0, 0, 1))


def _lines(lines: Sequence[Line]) -> RenderableType:
    grid = Table.grid(padding=(0, 3, 0, 0))
    for label, text in lines:
        grid.add_row(Text(label, style="dim"), coloured(text))
    return Padding(grid, (1, 0, 0, 1))


_FOOT = Padding(Text("Ctrl-C ends", style="dim"), (1, 0, 0, 1))
