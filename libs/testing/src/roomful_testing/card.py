"""A test card: colour bars, a burned clock, and a flash; drawn cheaply, read after any codec.

From top to bottom, in parts of the height, so that a card reads the same at every size:

    0.03–0.11   32 blocks: source, and the first 24 bits of the time
    0.13–0.21   32 blocks: the last 16 bits of the time, and a check sum
    0.25–0.79   eight upright bars in `COLOURS`
    0.83–0.97   the flash: white during the first 100 ms of each second, else black

A block is white for 1. The 64 bits are, the highest first: source (8), media time in milliseconds
(40, wraps after 34 years), CRC-16/CCITT (16, polynomial 0x1021, initial value 0xFFFF), all of them
exclusive-or `_MASK`, which keeps blacks and whites mixed whatever they say.

Pictures are yuv420p (I420): uint8, shape (height * 3 // 2, width), planes Y, Cb, Cr one after another,
limited range, BT.601: what libwebrtc assumes where nothing else is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

COLOURS = ("white", "yellow", "cyan", "green", "magenta", "red", "blue", "black")
"""of the bars, from the left, at 75 %"""
SECOND_US = 1_000_000
FLASH_US = 100_000
"""the flash is lit for so long"""
SMALLEST = 64
"""pixels, of either side"""

_BITS = 64
_COLUMNS = _BITS // 2
_MASK = 0xA5C3_5A3C_96E1_69D2
_TIME_MASK = (1 << 40) - 1
_LINES = ((0.03, 0.11), (0.13, 0.21))
_BARS = (0.25, 0.79)
_FLASH = (0.83, 0.97)
_BLACK, _WHITE, _GREY = 16, 235, 128
_CONTRAST = 60
"""least difference of black and white blocks that is no noise"""


def _ycbcr(red: int, green: int, blue: int) -> tuple[int, int, int]:
    """BT.601, limited range; 0 and 1 in, at 75 %."""
    r, g, b = 0.75 * red, 0.75 * green, 0.75 * blue
    luma = 0.299 * r + 0.587 * g + 0.114 * b
    return (
        round(16 + 219 * luma),
        round(128 + 224 * (b - luma) / 1.772),
        round(128 + 224 * (r - luma) / 1.402),
    )


BARS: NDArray[np.uint8] = np.array(
    [_ycbcr(*rgb) for rgb in (
        (1, 1, 1), (1, 1, 0), (0, 1, 1), (0, 1, 0), (1, 0, 1), (1, 0, 0), (0, 0, 1), (0, 0, 0)
    )],
    np.uint8,
)  # fmt: skip
"""Y, Cb, Cr of each bar"""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a card says."""

    time_us: int
    """media time at which it was drawn, to the nearest millisecond, modulo 2**40 ms"""
    source: int
    """whose card it is, 0 to 255"""
    is_lit: bool
    """whether the flash is white"""
    bars: tuple[tuple[float, float, float], ...]
    """mean Y, Cb, Cr in the middle of each bar"""
    error: float
    """the largest distance of one of these from what was drawn, in steps of 255"""


def draw(time_us: int, width: int, height: int, source: int = 0) -> Picture:
    """Return a new card of a media time. `ValueError`: sides odd or too small, source not a byte."""
    if not 0 <= source <= 255:
        raise ValueError(f"source {source!r} is no byte")
    layout = _layout(width, height)
    picture = layout.background.copy()
    luma = picture[:height]
    lines = np.where(_bits(time_us, source), _WHITE, _BLACK).astype(np.uint8)
    for line, (top, bottom) in zip(lines, layout.lines, strict=True):
        luma[top:bottom] = np.repeat(line, layout.widths)
    if time_us % SECOND_US < FLASH_US:
        top, bottom = layout.flash
        luma[top:bottom] = _WHITE
    return picture


def read(picture: Picture) -> Reading | None:
    """Return what a picture says; None for what is no card, or too spoilt to be read."""
    width, height = picture.shape[1], picture.shape[0] * 2 // 3
    if min(width, height) < SMALLEST or width % 2 or height % 2:
        return None
    layout = _layout(width, height)
    word = _word(picture[:height], layout)
    if word is None or _crc(word >> 16) != word & 0xFFFF:
        return None
    top, bottom = _inner(*layout.flash)
    bars = _means(picture, layout)
    return Reading(
        time_us=(word >> 16 & _TIME_MASK) * 1000,
        source=word >> 56,
        is_lit=bool(picture[top:bottom].mean() > _GREY),
        bars=tuple((float(y), float(u), float(v)) for y, u, v in bars),
        error=float(np.abs(bars - BARS).max()),
    )


def crop(picture: Picture, left: int, top: int, width: int, height: int) -> Picture:
    """Return a part of a picture: a card among others in a composition. All numbers even.

    `ValueError` for a part that is not within the picture.
    """
    box = (left, top, width, height)
    rows, columns = picture.shape[0] * 2 // 3, picture.shape[1]
    if min(box) < 0 or left + width > columns or top + height > rows or any(n % 2 for n in box):
        raise ValueError(f"part {box!r} is odd or not within {columns}×{rows}")
    luma, blue, red = _planes(picture)
    half = np.s_[top // 2 : (top + height) // 2, left // 2 : (left + width) // 2]
    chroma = [plane[half].reshape(-1) for plane in (blue, red)]
    whole = luma[top : top + height, left : left + width].reshape(-1)
    return np.concatenate((whole, *chroma)).reshape(height * 3 // 2, width)


@dataclass(frozen=True, slots=True)
class _Layout:
    """What cards of one size have in common; rows and columns in pixels of luma."""

    background: Picture
    widths: NDArray[np.intp]
    """of the blocks of a line; together the picture's"""
    lines: tuple[tuple[int, int], ...]
    bars: tuple[int, int]
    bar_edges: NDArray[np.intp]
    flash: tuple[int, int]


@lru_cache(maxsize=16)
def _layout(width: int, height: int) -> _Layout:
    if min(width, height) < SMALLEST or width % 2 or height % 2:
        raise ValueError(f"{width}×{height}: sides must be even and {SMALLEST} pixels or more")
    edges = np.arange(_COLUMNS + 1) * width // _COLUMNS
    layout = _Layout(
        np.empty((height * 3 // 2, width), np.uint8),
        np.diff(edges),
        tuple(_rows(line, height) for line in _LINES),
        _rows(_BARS, height),
        np.arange(len(BARS) + 1) * (width // 2) // len(BARS) * 2,
        _rows(_FLASH, height),
    )
    _paint(layout)
    layout.background.flags.writeable = False
    return layout


def _paint(layout: _Layout) -> None:
    """Paint what does not change."""
    luma, blue, red = _planes(layout.background)
    luma[:], blue[:], red[:] = _BLACK, _GREY, _GREY
    top, bottom = layout.bars
    for (left, right), (y, cb, cr) in zip(_pairs(layout.bar_edges), BARS, strict=True):
        luma[top:bottom, left:right] = y
        blue[top // 2 : bottom // 2, left // 2 : right // 2] = cb
        red[top // 2 : bottom // 2, left // 2 : right // 2] = cr


def _rows(part: tuple[float, float], height: int) -> tuple[int, int]:
    """Rows of a part, even so that chroma agrees."""
    top, bottom = (round(edge * height / 2) * 2 for edge in part)
    return top, bottom


def _planes(picture: Picture) -> tuple[Picture, Picture, Picture]:
    """Views of Y, Cb, Cr; the latter of half the width and height."""
    width, height = picture.shape[1], picture.shape[0] * 2 // 3
    flat = picture.reshape(-1)
    size = width * height
    chroma = (height // 2, width // 2)
    return (
        picture[:height],
        flat[size : size * 5 // 4].reshape(chroma),
        flat[size * 5 // 4 :].reshape(chroma),
    )


def _pairs(edges: NDArray[np.intp]) -> list[tuple[int, int]]:
    return list(pairwise(map(int, edges)))


def _inner(begin: int, end: int) -> tuple[int, int]:
    """The middle half of a range: codecs blur edges, scalers move them."""
    quarter = (end - begin) // 4
    return begin + quarter, end - quarter


def _bits(time_us: int, source: int) -> NDArray[np.bool_]:
    """Shape (2, 32)."""
    said = source << 40 | (time_us + 500) // 1000 & _TIME_MASK
    word = (said << 16 | _crc(said)) ^ _MASK
    octets = np.frombuffer(word.to_bytes(8, "big"), np.uint8)
    return np.unpackbits(octets).reshape(2, _COLUMNS).astype(np.bool_)


def _word(luma: Picture, layout: _Layout) -> int | None:
    """The 64 bits as they look; None without blacks and whites."""
    edges = np.concatenate(([0], np.cumsum(layout.widths)))
    quarters = layout.widths // 4
    inner = np.stack((edges[:-1] + quarters, edges[1:] - quarters), axis=1).ravel()
    shades: list[NDArray[np.float64]] = []
    for line in layout.lines:
        top, bottom = _inner(*line)
        columns = luma[top:bottom].mean(axis=0)
        sums = np.add.reduceat(columns, inner)[::2]
        shades.append(sums / (inner[1::2] - inner[::2]))
    blocks = np.concatenate(shades)
    darkest, brightest = float(blocks.min()), float(blocks.max())
    if brightest - darkest < _CONTRAST:
        return None
    octets = np.packbits(blocks > (darkest + brightest) / 2)
    return int.from_bytes(octets.tobytes(), "big") ^ _MASK


def _means(picture: Picture, layout: _Layout) -> NDArray[np.float64]:
    """Mean Y, Cb, Cr of each bar's middle; shape (8, 3)."""
    top, bottom = _inner(*layout.bars)
    found = np.empty((len(BARS), 3))
    for plane, pixels in enumerate(_planes(picture)):
        half = 1 if plane == 0 else 2
        columns = pixels[top // half : bottom // half].mean(axis=0)
        for bar, edges in enumerate(_pairs(layout.bar_edges)):
            left, right = _inner(*edges)
            found[bar, plane] = columns[left // half : right // half].mean()
    return found


def _crc(said: int) -> int:
    """CRC-16/CCITT of 48 bits."""
    crc = 0xFFFF
    for octet in said.to_bytes(6, "big"):
        crc ^= octet << 8
        for _ in range(8):
            crc = crc << 1 ^ (0x1021 if crc & 0x8000 else 0)
        crc &= 0xFFFF
    return crc
