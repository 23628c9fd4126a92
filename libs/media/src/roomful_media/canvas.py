"""One yuv420p picture that is drawn on for as long as a composite lives."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import av
import numpy as np
from numpy.typing import NDArray

from roomful_media.colour import BT709, LIMITED, Yuv
from roomful_media.layout import Rect

if TYPE_CHECKING:
    from roomful_media.stamp import Stamp

Plane = NDArray[np.uint8]


def planes_of(frame: av.VideoFrame) -> tuple[Plane, Plane, Plane]:
    """Return views of the planes of a yuv420p frame, without the padding of their lines."""
    views: list[Plane] = []
    for index, plane in enumerate(frame.planes):
        height = frame.height if index == 0 else (frame.height + 1) // 2
        width = frame.width if index == 0 else (frame.width + 1) // 2
        lines = np.frombuffer(cast("bytes", plane), np.uint8).reshape(-1, plane.line_size)
        views.append(lines[:height, :width])
    y, u, v = views
    return y, u, v


class Canvas:
    """Three planes; what is drawn stays until something is drawn over it. Places are even."""

    def __init__(self, width: int, height: int) -> None:
        """Sides are even."""
        self.width, self.height = width, height
        self._planes = (
            np.empty((height, width), np.uint8),
            np.empty((height // 2, width // 2), np.uint8),
            np.empty((height // 2, width // 2), np.uint8),
        )

    def fill(self, area: Rect, colour: Yuv) -> None:
        """Paint an area in one colour."""
        for plane, value, scale in zip(self._planes, colour, (1, 2, 2), strict=True):
            plane[_slices(area, scale)] = value

    def border(self, area: Rect, colour: Yuv, thickness: int) -> None:
        """Paint the inner edge of an area; the thickness is even."""
        x, y, width, height = area.x, area.y, area.width, area.height
        inner = max(0, height - 2 * thickness)
        for edge in (
            Rect(x, y, width, thickness),
            Rect(x, area.bottom - thickness, width, thickness),
            Rect(x, y + thickness, thickness, inner),
            Rect(area.right - thickness, y + thickness, thickness, inner),
        ):
            self.fill(edge, colour)

    def blit(self, frame: av.VideoFrame, x: int, y: int, cut: Rect) -> None:
        """Copy the part `cut` of a yuv420p frame to a place."""
        target = Rect(x, y, cut.width, cut.height)
        for plane, source, scale in zip(self._planes, planes_of(frame), (1, 2, 2), strict=True):
            plane[_slices(target, scale)] = source[_slices(cut, scale)]

    def dim(self, area: Rect) -> None:
        """Darken an area and take most of its colour."""
        luma = self._planes[0][_slices(area, 1)]
        luma[:] = (luma.astype(np.uint16) * 3 >> 3) + 10
        for plane in self._planes[1:]:
            chroma = plane[_slices(area, 2)]
            chroma[:] = (chroma.astype(np.uint16) * 3 >> 3) + 80

    def stamp(self, stamp: Stamp, x: int, y: int) -> None:
        """Draw with transparency; what lies beyond the canvas is left away."""
        for plane, layer, scale in zip(self._planes, stamp.layers, (1, 2, 2), strict=True):
            part = plane[y // scale :, x // scale :][: layer.keep.shape[0], : layer.keep.shape[1]]
            height, width = part.shape
            kept = part * layer.keep[:height, :width]
            part[:] = (kept >> 8) + layer.add[:height, :width]

    def frame(self) -> av.VideoFrame:
        """Return a copy as a frame, tagged as BT.709 of limited range."""
        frame = av.VideoFrame(self.width, self.height, "yuv420p")
        for view, plane in zip(planes_of(frame), self._planes, strict=True):
            view[:] = plane
        frame.color_range, frame.colorspace = LIMITED, BT709
        frame.color_primaries = frame.color_trc = BT709
        return frame


def _slices(area: Rect, scale: int) -> tuple[slice, slice]:
    rows = slice(area.y // scale, area.bottom // scale)
    return rows, slice(area.x // scale, area.right // scale)
