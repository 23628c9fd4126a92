"""Who is seen where: rectangles for grid, speaker and single speaker; sans-IO.

All rectangles are even and inside the canvas. A layout knows any number of tiles: those that would be
too small to recognise anybody are counted instead (`more`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from roomful.errors import MediaError

WIDE, NARROW, NARROWEST = 16 / 9, 4 / 3, 1.1
"""what shape a tile of a camera may have; the last where the canvas stands upright"""
MOST_IN_GRID = 49
LIGHT = "-light"
_STRIPS = ((1, 0.2), (1, 0.16), (2, 0.13))
"""lines beside who is in focus, and the share of the canvas that each takes: the first that fits"""


@dataclass(frozen=True, slots=True)
class Rect:
    """An area of the canvas, in pixels."""

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        return self.x + self.width

    @property
    def bottom(self) -> int:
        return self.y + self.height


@dataclass(frozen=True, slots=True)
class Seat:
    """Somebody, or a screen that somebody shares, to be placed."""

    key: str
    screen: bool = False
    aspect: float = WIDE
    """width by height of what is shown"""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each is seen."""

    places: dict[str, Rect]
    """key → area, in order of drawing"""
    focus: str | None = None
    """who has the large tile"""
    more: tuple[Rect, int] | None = None
    """where the number of those who are not seen stands"""

    def hidden(self, seats: Sequence[Seat]) -> list[str]:
        """Return the keys that have no place: their video need not be subscribed to."""
        return [seat.key for seat in seats if seat.key not in self.places]


Arrangement = Callable[[int, int, Sequence[Seat], "str | None"], Layout]
"""width, height, seats in order, key of the active speaker"""


def arrange(
    name: str, width: int, height: int, seats: Sequence[Seat], speaker: str | None = None
) -> Layout:
    """Place everybody.

    Args:
        name: of `LAYOUTS`, with or without `-light`; an unknown one is a grid (`known` tells).
        width: of the canvas, even.
        height: of the canvas, even.
        seats: in the order in which they are to be seen, those who spoke last first where not
            everybody fits.
        speaker: key of the active speaker, None before anybody spoke.

    Raises:
        MediaError: the canvas is odd or too small for anything.
    """
    if width % 2 or height % 2 or min(width, height) < 16:
        raise MediaError(f"a canvas of {width}x{height}: sides are even, at least 16")
    if not seats:
        return Layout({})
    plain = name.removesuffix(LIGHT)
    if plain not in LAYOUTS:
        plain = "grid"
    if plain == "grid" and any(seat.screen for seat in seats):
        plain = "speaker"
    return LAYOUTS[plain](width, height, seats, speaker)


def known(name: str) -> bool:
    """Whether a layout of this name exists."""
    return name.removesuffix(LIGHT) in LAYOUTS


def is_light(name: str) -> bool:
    """Whether it is drawn dark on light."""
    return name.endswith(LIGHT)


def grid(width: int, height: int, seats: Sequence[Seat], speaker: str | None) -> Layout:
    """All of one size, as large as they can be; alone one has all of it."""
    shown, left = _cut(seats, MOST_IN_GRID)
    if len(seats) == 1:
        return Layout({seats[0].key: Rect(0, 0, width, height)})
    return _filled(shown, left, _cells(Rect(0, 0, width, height), len(shown) + bool(left)))


def speaker_view(width: int, height: int, seats: Sequence[Seat], speaker: str | None) -> Layout:
    """One large, a screen before a speaker; the others in a strip beside or below."""
    focus = _focus(seats, speaker)
    others = [seat for seat in seats if seat is not focus]
    if not others:
        return Layout({focus.key: Rect(0, 0, width, height)}, focus.key)
    upright = height > width
    gap = _gap(width, height)
    area = Rect(0, 0, width, height)
    room, cells = area, list[Rect]()
    for lines, share in _STRIPS:
        room, cells = (_below if upright else _beside)(area, gap, lines, share)
        if len(cells) >= len(others):
            break
    shown, left = _cut(others, len(cells))
    used = len(shown) + bool(left)
    strip = _filled(shown, left, _centred(cells[:used], cells, area, upright=upright))
    shape = min(WIDE, max(NARROWEST, room.width / room.height))
    large = _fitted(room, focus.aspect if focus.screen else shape)
    return Layout({focus.key: large, **strip.places}, focus.key, strip.more)


def single_speaker(width: int, height: int, seats: Sequence[Seat], speaker: str | None) -> Layout:
    """The shared screen or the active speaker, nobody else."""
    focus = _focus(seats, speaker)
    return Layout({focus.key: Rect(0, 0, width, height)}, focus.key)


LAYOUTS: dict[str, Arrangement] = {
    "grid": grid,
    "speaker": speaker_view,
    "single-speaker": single_speaker,
}


def _focus(seats: Sequence[Seat], speaker: str | None) -> Seat:
    screens = [seat for seat in seats if seat.screen]
    speakers = [seat for seat in seats if seat.key == speaker]
    return (screens or speakers or [*seats])[0]


def _cut(seats: Sequence[Seat], most: int) -> tuple[Sequence[Seat], int]:
    """Return those who fit, and how many do not; their number takes a tile as well."""
    if len(seats) <= most:
        return seats, 0
    return seats[: most - 1], len(seats) - most + 1


def _filled(shown: Sequence[Seat], left: int, cells: Sequence[Rect]) -> Layout:
    places = {seat.key: cell for seat, cell in zip(shown, cells, strict=False)}
    return Layout(places, None, (cells[len(shown)], left) if left else None)


def _gap(width: int, height: int) -> int:
    """Space between tiles: 12 of 720."""
    return max(2, _even(min(width, height) / 60))


def _cells(area: Rect, count: int) -> list[Rect]:
    """Return a grid with the largest cells; the last line is centred."""
    gap = _gap(area.width, area.height)
    narrow = NARROW if area.width >= area.height else NARROWEST
    best, columns = (0, 0), 1
    for number in range(1, count + 1):
        lines = -(-count // number)
        cell = _shaped(
            (area.width - gap * (number + 1)) / number,
            (area.height - gap * (lines + 1)) / lines,
            narrow,
        )
        if cell[0] * cell[1] > best[0] * best[1]:
            best, columns = cell, number
    width, height = best
    lines = -(-count // columns)
    top = area.y + (area.height - lines * height - (lines - 1) * gap) // 2
    cells: list[Rect] = []
    for line in range(lines):
        inside = min(columns, count - line * columns)
        left = area.x + (area.width - inside * width - (inside - 1) * gap) // 2
        for column in range(inside):
            x, y = left + column * (width + gap), top + line * (height + gap)
            cells.append(Rect(x // 2 * 2, y // 2 * 2, width, height))
    return cells


def _shaped(width: float, height: float, narrow: float) -> tuple[int, int]:
    """Return the largest even tile in a cell whose shape is neither too wide nor too narrow."""
    width = max(2.0, min(width, height * WIDE))
    height = max(2.0, min(height, width / narrow))
    return max(2, _even(width)), max(2, _even(height))


def _beside(area: Rect, gap: int, lines: int, share: float) -> tuple[Rect, list[Rect]]:
    """Return the room at the left, and columns of tiles at the right, filled line by line."""
    width = max(2, _even(area.width * share))
    height = max(2, _even(width / WIDE))
    rows = max(1, (area.height - gap) // (height + gap))
    left = area.width - lines * (width + gap)
    cells = [
        Rect(left + column * (width + gap), gap + row * (height + gap), width, height)
        for row in range(rows)
        for column in range(lines)
    ]
    return Rect(gap, gap, max(2, left - 2 * gap), max(2, area.height - 2 * gap)), cells


def _below(area: Rect, gap: int, lines: int, share: float) -> tuple[Rect, list[Rect]]:
    """Return the room above, and lines of tiles below it."""
    columns = 2 + lines
    width = max(2, _even((area.width - gap * (columns + 1)) / columns))
    height = max(2, _even(min(area.height * share, width / NARROW)))
    top = area.height - lines * (height + gap)
    cells = [
        Rect(gap + column * (width + gap), top + line * (height + gap), width, height)
        for line in range(lines)
        for column in range(columns)
    ]
    return Rect(gap, gap, max(2, area.width - 2 * gap), max(2, top - 2 * gap)), cells


def _centred(
    used: Sequence[Rect], cells: Sequence[Rect], area: Rect, *, upright: bool
) -> list[Rect]:
    """Move a strip that is not full into the middle of its side."""
    if len(used) == len(cells):
        return list(used)
    if upright:
        end = max(cell.right for cell in used)
        move = _even((area.width - used[0].x - end) / 2)
        return [Rect(c.x + move, c.y, c.width, c.height) for c in used]
    end = max(cell.bottom for cell in used)
    move = _even((area.height - used[0].y - end) / 2)
    return [Rect(c.x, c.y + move, c.width, c.height) for c in used]


def _fitted(room: Rect, aspect: float) -> Rect:
    """Return the largest area of that shape in the middle of a room."""
    width = max(2, _even(min(room.width, room.height * aspect)))
    height = max(2, _even(min(room.height, room.width / aspect)))
    x, y = room.x + (room.width - width) // 2, room.y + (room.height - height) // 2
    return Rect(x // 2 * 2, y // 2 * 2, width, height)


def _even(value: float) -> int:
    return int(value) // 2 * 2
