"""Which layer of a source a subscriber gets: from what it wants, what is live, what it can take.

Sans-IO. A silent layer is never waited for (`media.md` 7): the publisher may have switched it off
for its own bandwidth, and may never switch it on again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from roomful.model.enums import VideoQuality

ALL_TEMPORAL = 255
_FULL_RATE_FPS = 30
_ENOUGH = 0.9
_TEMPORAL_SHARES = (0.25, 0.5)
"""Share of the frames in temporal layer 0, and in 0 and 1, of the usual three (L1T3)."""


class LayerState(Protocol):
    """What the choice looks at; `source.Layer` answers to it."""

    @property
    def spatial(self) -> int: ...
    @property
    def quality(self) -> VideoQuality: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def live(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Want:
    """What the subscriber wants; `width` and `height` win over `quality`."""

    enabled: bool = True
    quality: VideoQuality = VideoQuality.HIGH
    width: int = 0
    height: int = 0
    fps: int = 0
    """0: all frames; else the smallest temporal layer that reaches it, where the codec has some"""
    priority: int = 0
    """higher gets bandwidth first"""

    @property
    def area(self) -> int:
        """Pixels, for the order in which bandwidth is given; a quality counts as a usual size."""
        if self.width and self.height:
            return self.width * self.height
        return _USUAL_AREA[self.quality]

    @property
    def max_temporal(self) -> int:
        """Highest temporal layer worth sending."""
        if not self.fps:
            return ALL_TEMPORAL
        for temporal, share in enumerate(_TEMPORAL_SHARES):
            if self.fps <= share * _FULL_RATE_FPS:
                return temporal
        return ALL_TEMPORAL


_USUAL_AREA = {
    VideoQuality.LOW: 320 * 180,
    VideoQuality.MEDIUM: 640 * 360,
    VideoQuality.HIGH: 1280 * 720,
    VideoQuality.OFF: 0,
}


def wanted_spatial(layers: Sequence[LayerState], want: Want) -> int:
    """Return the spatial index that serves `want`, whether it is live or not.

    By size: the lowest layer whose short side is at least nine tenths of the wanted one (pictures
    turn, and elements are a few pixels larger than the usual sizes), else the highest. By quality:
    the highest that is not above it, else the lowest. `layers`: not empty, lowest first.
    """
    if want.width and want.height:
        if not all(layer.width and layer.height for layer in layers):
            return _by_quality(layers, VideoQuality.HIGH)
        needed = _ENOUGH * min(want.width, want.height)
        large = [one.spatial for one in layers if min(one.width, one.height) >= needed]
        return large[0] if large else layers[-1].spatial
    return _by_quality(layers, want.quality)


def _by_quality(layers: Sequence[LayerState], quality: VideoQuality) -> int:
    below = [layer.spatial for layer in layers if layer.quality <= quality]
    return below[-1] if below else layers[0].spatial


def best_live(layers: Sequence[LayerState], spatial: int) -> int | None:
    """Return the best live index at or below `spatial`, else the lowest live above, else None."""
    live = [layer.spatial for layer in layers if layer.live]
    below = [index for index in live if index <= spatial]
    if below:
        return max(below)
    return min(live, default=None)
