"""Which layer of a source a subscriber gets: from what it wants, what is live, what it can take.

Sans-IO. A silent layer is never waited for (`media.md` 7): the publisher may have switched it off
for its own bandwidth, and may never switch it on again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from roomful.model.enums import VideoQuality
from roomful.model.media import ALL_TEMPORAL, Want

__all__ = ["ALL_TEMPORAL", "LayerState", "Want", "best_live", "wanted_spatial"]

_ENOUGH = 0.9


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
