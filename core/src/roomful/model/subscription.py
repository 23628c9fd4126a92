"""One participant's interest in one publication."""

from __future__ import annotations

from dataclasses import dataclass, field

from roomful.model.enums import VideoQuality
from roomful.model.track import Publication


@dataclass(frozen=True, slots=True)
class TrackSettings:
    """What a subscriber wants of a video track; `width` and `height` win over `quality`."""

    disabled: bool = False
    quality: VideoQuality = VideoQuality.HIGH
    width: int = 0
    height: int = 0
    fps: int = 0
    priority: int = 0


@dataclass(slots=True, eq=False)
class Subscription:
    """Active when the subscriber wants it and both sides' permissions allow it."""

    subscriber_identity: str
    publication: Publication
    settings: TrackSettings = field(default_factory=TrackSettings)

    @property
    def track_sid(self) -> str:
        return self.publication.sid
