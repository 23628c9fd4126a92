"""What is drawn over pictures again and again: name labels, avatars; made once, blended cheaply."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from roomful_media.colour import AVATARS, BLACK, RED, WHITE, Yuv
from roomful_media.label import Ink, Lettering
from roomful_media.name_text import initials

Alpha = NDArray[np.float32]
"""shape (height, width), 0 to 1"""
_LABEL_SHADE = 0.58
_BOLD = 650
_SHADES = 4
"""subpixels each way"""


@dataclass(frozen=True, slots=True)
class Layer:
    """One plane of a stamp: pixel → (pixel · keep >> 8) + add."""

    keep: NDArray[np.uint16]
    add: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Stamp:
    """Something with transparency; sides are even."""

    layers: tuple[Layer, Layer, Layer]

    @property
    def width(self) -> int:
        return self.layers[0].add.shape[1]

    @property
    def height(self) -> int:
        return self.layers[0].add.shape[0]


def layered(*coats: tuple[Alpha, Yuv]) -> Stamp:
    """Return coats of colour, the first lowest, all of one even size."""
    keep = np.ones_like(coats[0][0])
    mixed = [np.zeros_like(keep) for _ in range(3)]
    for alpha, colour in coats:
        mixed = [
            under * (1 - alpha) + over * alpha for under, over in zip(mixed, colour, strict=True)
        ]
        keep = keep * (1 - alpha)
    half = _halved(keep)
    luma, u, v = mixed
    return Stamp((_layer(keep, luma), _layer(half, _halved(u)), _layer(half, _halved(v))))


def label(
    lettering: Lettering, name: str, size: int, most_width: int, *, muted: bool = False
) -> Stamp | None:
    """Return a name on a dark strip, with a crossed microphone if muted; None if nothing fits.

    Args:
        lettering: draws the name.
        name: cleaned.
        size: of the text in pixels.
        most_width: of the strip.
        muted: whether there is no sound of them.
    """
    height = _even(size * 1.7)
    side, pad = (_even(size) if muted else 0), _even(size * 0.5)
    room = most_width - 2 * pad - (side + pad // 2 if muted else 0)
    if room < size:
        if not muted or most_width < side + 2 * pad:
            return None
        name = ""
    ink = lettering.draw(name, size, weight=_BOLD, most_width=room) if name else None
    text_width = ink.width if ink else 0
    width = _even(2 * pad + text_width + (side + (pad // 2 if ink else 0) if muted else 0) + 1)
    if not name and not muted:
        return None
    text, icon = np.zeros((2, height, width), np.float32)
    if muted:
        top = (height - side) // 2
        icon[top : top + side, pad : pad + side] = _crossed_microphone(side)
    if ink:
        _place(text, ink, pad + (side + pad // 2 if muted else 0))
    strip = np.full((height, width), _LABEL_SHADE, np.float32)
    return layered((strip, BLACK), (icon, RED), (text, WHITE))


def avatar(lettering: Lettering, name: str, side: int) -> Stamp:
    """Return a disc in the name's own colour with its initials; `side` is even."""
    colour = AVATARS[crc32(name.encode()) % len(AVATARS)]
    places = (np.arange(side * _SHADES) + 0.5) / _SHADES - side / 2
    inside = (places**2 + places[:, None] ** 2 < (side / 2) ** 2).astype(np.float32)
    text = np.zeros((side, side), np.float32)
    letters = initials(name)
    if letters:
        ink = lettering.draw(letters, max(8, int(side * 0.42)), weight=_BOLD, most_width=side)
        _centre(text, ink.alpha)
    return layered((_smooth(inside), colour), (text, WHITE))


def text(lettering: Lettering, words: str, size: int, most_width: int, colour: Yuv) -> Stamp:
    """Return words alone."""
    ink = lettering.draw(words, size, weight=_BOLD, most_width=most_width)
    alpha = np.zeros((_even(ink.height + 1), _even(ink.width + 1)), np.float32)
    _place(alpha, ink, 0)
    return layered((alpha, colour))


def _place(alpha: Alpha, ink: Ink, x: int) -> None:
    """Put a line of text at x, in the middle of the height by its x-height."""
    y = (alpha.shape[0] - ink.height) // 2 - round(ink.height * 0.03)
    top = max(0, -y)
    rows = min(ink.height - top, alpha.shape[0] - y - top)
    columns = min(ink.width, alpha.shape[1] - x)
    part = ink.alpha[top : top + rows, :columns].astype(np.float32) / 255
    alpha[y + top : y + top + rows, x : x + columns] = part


def _centre(alpha: Alpha, ink: NDArray[np.uint8]) -> None:
    """Put what is drawn of a text into the middle, wherever its base line is."""
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if not len(rows):
        return
    part = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1][: len(alpha), : len(alpha)]
    y, x = ((len(alpha) - length) // 2 for length in part.shape)
    alpha[y : y + part.shape[0], x : x + part.shape[1]] = part.astype(np.float32) / 255


@lru_cache(maxsize=32)
def _crossed_microphone(side: int) -> Alpha:
    """Draw a microphone, crossed out, in a square."""
    at = ((np.arange(side * _SHADES) + 0.5) / _SHADES) / side
    x, y = at[None, :] - 0.5, at[:, None]
    body = np.hypot(x, y - np.clip(y, 0.22, 0.46)) < 0.14
    ring = np.hypot(x, np.maximum(0, y - 0.46))
    holder = (ring > 0.21) & (ring < 0.28) & (y > 0.42) & (y < 0.75)
    stand = (np.abs(x) < 0.035) & (y > 0.7) & (y < 0.9) | (np.abs(x) < 0.16) & (
        abs(y - 0.89) < 0.035
    )
    across = np.abs(x + 0.5 - y) / np.sqrt(2)
    inside = (np.abs(x) < 0.4) & (y > 0.1)
    drawn = (body | holder | stand) & (across > 0.1) | (across < 0.042) & inside
    return _smooth(drawn.astype(np.float32))


def _smooth(large: Alpha) -> Alpha:
    height, width = large.shape[0] // _SHADES, large.shape[1] // _SHADES
    return large.reshape(height, _SHADES, width, _SHADES).mean(axis=(1, 3), dtype=np.float32)


def _halved(plane: Alpha) -> Alpha:
    height, width = plane.shape[0] // 2, plane.shape[1] // 2
    return plane.reshape(height, 2, width, 2).mean(axis=(1, 3), dtype=np.float32)


def _layer(keep: Alpha, add: Alpha) -> Layer:
    return Layer(np.rint(keep * 256).astype(np.uint16), np.floor(add).astype(np.uint8))


def _even(value: float) -> int:
    return int(value) // 2 * 2
