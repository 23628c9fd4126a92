"""Recognises the moving marker in decoded pictures.

Sans-IO: pictures go in, what was seen comes out. Places are shares of width and height, 0 to 1.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from roomful_demo.picture import FRAMES_PER_S, HEIGHT, MARKER, RADIUS, WIDTH, Colour, Picture

COLOUR_TOLERANCE = 40
"""per channel, of 255: limited range, halved colour resolution and a low bit-rate cost that much"""
WARMTH = 60
"""red over blue: what is this much warmer than grey can only be the marker"""
SHARE_NEEDED = 0.4 * 3.1416 * RADIUS**2 / (WIDTH * HEIGHT)
TRAVEL_NEEDED = 0.2
BLACK = 20
"""mean brightness up to which a picture counts as black (video black is 16)"""
FRAMES_NEEDED = 10

_KEPT = 60


@dataclass(frozen=True, slots=True)
class Sighting:
    """The marker in one picture."""

    x: float
    y: float
    colour: Colour


def find_marker(picture: Picture) -> Sighting | None:
    """Find the marker in an RGB picture (height × width × 3) by its warmth; None if not there."""
    picture = picture[::2, ::2]
    warm = picture[:, :, 0].astype(np.int16) - picture[:, :, 2] > WARMTH
    rows, columns = np.nonzero(warm)
    height, width = warm.shape
    if len(rows) < SHARE_NEEDED * height * width:
        return None
    red, green, blue = np.sort(picture[warm], axis=0)[len(rows) // 2]
    return Sighting(
        float(np.mean(columns)) / width,
        float(np.mean(rows)) / height,
        (int(red), int(green), int(blue)),
    )


def distance(colour: Colour, wanted: Colour = MARKER) -> int:
    """Return by how much the worst channel is off."""
    return max(abs(a - b) for a, b in zip(colour, wanted, strict=True))


class Eye:
    """Looks at one track."""

    def __init__(self) -> None:
        self.first_at_s: float | None = None
        self.frames = 0
        self.size = (0, 0)
        """width and height of the newest picture"""
        self.sightings: deque[Sighting] = deque(maxlen=_KEPT)
        self.brightness = 0.0
        """mean of the newest picture that was looked at, of 255"""
        self._times: deque[float] = deque(maxlen=_KEPT)

    def take(self, picture: Picture, now_s: float) -> None:
        """See an RGB picture (height × width × 3) that came at `now_s`."""
        if self.first_at_s is None:
            self.first_at_s = now_s
        self.frames += 1
        self._times.append(now_s)
        self.size = (picture.shape[1], picture.shape[0])
        self.brightness = float(picture[::4, ::4].mean())
        if (sighting := find_marker(picture)) is not None:
            self.sightings.append(sighting)

    @property
    def newest(self) -> Sighting | None:
        """Where the marker was seen last."""
        return self.sightings[-1] if self.sightings else None

    @property
    def travel(self) -> float:
        """How far apart the farthest two places of the marker were, as a share of the width."""
        across = [sighting.x for sighting in self.sightings]
        return max(across) - min(across) if across else 0.0

    @property
    def frames_per_s(self) -> float:
        """Of the newest pictures; 0 while there are fewer than two."""
        if len(self._times) < 2 or self._times[-1] == self._times[0]:
            return 0.0
        return (len(self._times) - 1) / (self._times[-1] - self._times[0])

    def missing(self) -> str | None:
        """Say what is not as it was shown; None when all is well."""
        if self.frames < FRAMES_NEEDED:
            return f"{self.frames} frames were decoded"
        marker = self.newest
        if marker is None:
            if self.brightness <= BLACK:
                return f"it is black (brightness {self.brightness:.0f} of 255)"
            return "the marker is not in it"
        if distance(marker.colour) > COLOUR_TOLERANCE:
            return f"the marker is rgb{marker.colour} instead of rgb{MARKER}"
        if self.travel < TRAVEL_NEEDED:
            return "the marker does not move"
        if self.frames_per_s < FRAMES_PER_S / 2:
            return f"{self.frames_per_s:.1f} frames/s instead of {FRAMES_PER_S}"
        return None
