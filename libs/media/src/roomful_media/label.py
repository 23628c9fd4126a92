"""Names as they are drawn: cleaned, shaped in every script, cut to a width, cached as alpha.

HarfBuzz shapes and rasters; its wheel needs nothing of the machine. The order of right-to-left text is
that of the Unicode bidirectional algorithm (UAX #9), applied to runs before they are shaped.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import uharfbuzz
from numpy.typing import NDArray

from roomful_media.bidi_order import in_sight, levels
from roomful_media.fonts import Typefaces
from roomful_media.name_text import clusters, drawn_characters, is_picture

if TYPE_CHECKING:
    from roomful_media.fonts import Typeface

# a Cython module without types
_hb: Any = uharfbuzz

_KEPT = 512
"""drawn texts that are kept"""
_ELLIPSIS = "…"
_LINE = 1.4
"""height of a line of text, in its size"""
_ASCENT = 1.08


@dataclass(frozen=True, slots=True)
class Ink:
    """A drawn text: how much of each pixel it covers."""

    alpha: NDArray[np.uint8]
    """shape (height, width); the height depends on the size alone"""

    @property
    def width(self) -> int:
        return self.alpha.shape[1]

    @property
    def height(self) -> int:
        return self.alpha.shape[0]


class Lettering:
    """Draws texts, and remembers them."""

    def __init__(self, typefaces: Typefaces | None = None) -> None:
        """Take these fonts; all that are there, if none are given."""
        self._typefaces = typefaces or Typefaces()
        self._drawn: OrderedDict[tuple[str, int, int, int], Ink] = OrderedDict()
        self._raster = _hb.RasterDraw()

    def draw(self, text: str, size: int, *, weight: int = 500, most_width: int = 4096) -> Ink:
        """Draw a line of text.

        Args:
            text: cleaned.
            size: in pixels.
            weight: 400 is regular, 700 bold.
            most_width: in pixels; what is longer ends in an ellipsis.
        """
        key = text, size, weight, most_width
        ink = self._drawn.get(key)
        if ink is None:
            ink = self._drawn[key] = Ink(self._cut(text, size, weight, most_width))
            while len(self._drawn) > _KEPT:
                self._drawn.popitem(last=False)
        self._drawn.move_to_end(key)
        return ink

    def _cut(self, text: str, size: int, weight: int, most_width: int) -> NDArray[np.uint8]:
        parts = list(clusters(text))
        line = _Line(self._typefaces, text, size, weight)
        low, high = 0, len(parts)
        while line.width > most_width and low < high:
            middle = (low + high) // 2
            shorter = "".join(parts[:middle]).rstrip() + _ELLIPSIS
            candidate = _Line(self._typefaces, shorter, size, weight)
            if candidate.width > most_width:
                high = middle
            else:
                low = middle + 1
        if line.width > most_width:
            shorter = "".join(parts[: max(0, low - 1)]).rstrip() + _ELLIPSIS
            line = _Line(self._typefaces, shorter, size, weight)
        return line.drawn(self._raster, size)


class _Line:
    """A text shaped: its runs in the order in which they are seen."""

    def __init__(self, typefaces: Typefaces, text: str, size: int, weight: int) -> None:
        runs = _runs(typefaces, text)
        self._runs = [
            (face.font(size, weight), _shaped(face.font(size, weight), part, level))
            for face, part, level in in_sight(runs, [level for _, _, level in runs])
        ]
        advance = sum(p.x_advance for _, run in self._runs for p in run.glyph_positions or ())
        self.width = -(-advance // 64)

    def drawn(self, raster: Any, size: int) -> NDArray[np.uint8]:
        """Return alpha of shape (height, width)."""
        alpha = np.zeros((round(size * _LINE), max(1, self.width)), np.uint8)
        pen = 0
        for font, run in self._runs:
            for info, position in zip(run.glyph_infos, run.glyph_positions or (), strict=True):
                x, y = pen + position.x_offset, position.y_offset
                raster.transform = (1 / 64, 0, 0, 1 / 64, x / 64, y / 64)
                raster.draw_glyph(font, info.codepoint)
                pen += position.x_advance
        image = raster.render()
        if image is None or not image.buffer:
            return alpha
        area = image.extents
        rows = np.frombuffer(image.buffer, np.uint8).reshape(area.height, area.stride)
        # rows come from below, with the base line at zero
        top = round(size * _ASCENT) - (area.y_origin + area.height)
        _paste(alpha, rows[::-1, : area.width], area.x_origin, top)
        return alpha


def _paste(alpha: NDArray[np.uint8], part: NDArray[np.uint8], x: int, y: int) -> None:
    """Copy what lies inside."""
    height, width = alpha.shape
    left, top = max(0, -x), max(0, -y)
    right, bottom = min(part.shape[1], width - x), min(part.shape[0], height - y)
    if left < right and top < bottom:
        alpha[y + top : y + bottom, x + left : x + right] = part[top:bottom, left:right]


def _shaped(font: Any, text: str, level: int) -> Any:
    buffer = _hb.Buffer()
    buffer.add_str(text)
    buffer.guess_segment_properties()
    buffer.direction = "rtl" if level % 2 else "ltr"
    _hb.shape(font, buffer)
    return buffer


def _runs(typefaces: Typefaces, text: str) -> list[tuple[Typeface, str, int]]:
    """Split a text where font or direction change, in the order in which it is read."""
    found = iter(levels(text))
    pieces: list[tuple[Typeface, str, int]] = []
    for cluster in clusters(text):
        level, *_ = [next(found) for _ in cluster]
        face = typefaces.pick(drawn_characters(cluster), emoji=is_picture(cluster))
        pieces.append((face, cluster, level))
    return [
        (face, "".join(part for _, part, _ in group), level)
        for (face, level), group in groupby(pieces, key=lambda piece: (piece[0], piece[2]))
    ]
