"""The sections of our own offers: which one a track may take, and what the client calls it there.

Clients on libwebrtc keep the track id of a section's first description for good, whatever later
ones say; some tell of a track only the first time that its stream id comes up in a section. For
those a track that returns gets another stream id, and returns only to a section that its own track
id opened.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from roomful_rtc.offer_answer.decisions import Subscribe

KEPT_NAMES = 64
"""stream ids a section remembers; tracks come and go, so an older one hardly comes back"""

Rename = Callable[[Subscribe, int], Subscribe]
"""How a track is called that returns to its section for the nth time (from 1)."""


@dataclass(slots=True)
class Slot:
    """One section of the list."""

    kind: str
    mid: str
    track: Subscribe | None = None
    free: bool = False
    """the peer knows it as inactive"""
    dead: bool = False
    """the peer rejected it"""
    opened_by: str | None = None
    """track id of the first offer with this section, '' where that had none"""
    returns: int = 0
    names: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_NAMES))
    """stream ids of the tracks it carried, newest last"""

    def take(self, track: Subscribe, rename: Rename | None) -> None:
        """Carry the track from the next offer on, under a name that is new here if need be."""
        if track.stream_id not in self.names:
            self.names.append(track.stream_id)
        elif rename is not None:
            self.returns += 1
            track = rename(track, self.returns)
        self.track, self.free = track, False

    def note_offered(self) -> None:
        """Remember what the client is told first."""
        if self.opened_by is None:
            self.opened_by = self.track.track_id if self.track is not None else ""


def free_slot(
    slots: Iterable[Slot], kind: str, track: Subscribe, rename: Rename | None
) -> Slot | None:
    """The first free section of its kind in which the client will notice the track."""
    free = [slot for slot in slots if slot.free and slot.kind == kind]
    if rename is None:
        return next(iter(free), None)
    unheard = (slot for slot in free if track.stream_id not in slot.names)
    return next(unheard, None) or next((s for s in free if s.opened_by == track.track_id), None)
