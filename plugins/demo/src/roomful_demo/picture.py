"""The picture that the presenter shows: a ball hops over bars, one for each note of the melody.

Pure: the picture of any moment follows from its time alone. The ball is the marker whose colour
and motion the listener checks; nothing else in the picture is of its colour.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import numpy.typing as npt

from roomful_demo.melody import TUNE, moment

Picture = npt.NDArray[np.uint8]
"""height × width × channels"""
Colour = tuple[int, int, int]
"""red, green, blue"""

WIDTH, HEIGHT = 320, 180
FRAMES_PER_S = 15
MARKER: Colour = (255, 122, 46)
RADIUS = 13

_TOP: Colour = (16, 24, 48)
_BOTTOM: Colour = (30, 48, 84)
_BAR: Colour = (58, 84, 134)
_LIT: Colour = (150, 190, 240)
_GAP, _MARGIN = 6, 22
_FLOOR = HEIGHT - 38
_LOWEST, _HIGHEST = 24, 74
"""heights of the bars"""
_HOP, _LEAP = 32, 0.18
"""height of a hop: a fixed part, and a share of how far it goes"""
_SHADES = 4
"""subpixels each way, for smooth edges"""


def paint(seconds: float) -> Picture:
    """Return the picture of that time as RGBA, `HEIGHT` × `WIDTH` × 4."""
    now = moment(seconds)
    picture = _bars(now.index if now.sounds else None).copy()
    x, y = ball(now.index, now.gone)
    _stamp(picture, x, y)
    return picture


def ball(index: int, gone: float) -> tuple[float, float]:
    """Return where the middle of the ball is, in pixels, `gone` of the way from bar to bar."""
    here, there = _bar(index), _bar((index + 1) % len(TUNE))
    x = _middle(here) + (_middle(there) - _middle(here)) * gone
    ground = here[1] + (there[1] - here[1]) * gone
    hop = _HOP + _LEAP * abs(_middle(there) - _middle(here))
    return x, ground - RADIUS - 1 - hop * 4 * gone * (1 - gone)


def _bar(index: int) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of the bar of a note."""
    step = (WIDTH - 2 * _MARGIN + _GAP) / len(TUNE)
    left = round(_MARGIN + index * step)
    low, high = min(n.midi for n in TUNE), max(n.midi for n in TUNE)
    tall = _LOWEST + (_HIGHEST - _LOWEST) * (TUNE[index].midi - low) / (high - low)
    return left, round(_FLOOR - tall), round(left + step - _GAP), _FLOOR


def _middle(bar: tuple[int, int, int, int]) -> float:
    return (bar[0] + bar[2]) / 2


@cache
def _bars(lit: int | None) -> Picture:
    """Return the picture without the ball, with this note's bar lit."""
    picture = np.full((HEIGHT, WIDTH, 4), 255, np.uint8)
    shade = np.linspace(0, 1, HEIGHT)[:, None]
    picture[:, :, :3] = (np.array(_TOP) * (1 - shade) + np.array(_BOTTOM) * shade)[:, None, :]
    for note in range(len(TUNE)):
        left, top, right, bottom = _bar(note)
        picture[top:bottom, left:right, :3] = _LIT if note == lit else _BAR
    return picture


def _stamp(picture: Picture, x: float, y: float) -> None:
    """Draw the ball with smooth edges."""
    left, top = math.floor(x) - RADIUS - 1, math.floor(y) - RADIUS - 1
    side = 2 * RADIUS + 3
    offsets = (np.arange(side * _SHADES) + 0.5) / _SHADES
    inside = (offsets + left - x) ** 2 + ((offsets + top - y) ** 2)[:, None] < RADIUS**2
    cover = inside.reshape(side, _SHADES, side, _SHADES).mean(axis=(1, 3))[:, :, None]
    under = picture[top : top + side, left : left + side, :3]
    under[:] = under * (1 - cover) + np.array(MARKER) * cover
