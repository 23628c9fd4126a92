"""States of an ingress, in their order.

    INACTIVE ──key accepted──▶ BUFFERING ──first track──▶ PUBLISHING ──publisher gone──▶ INACTIVE
                                   └──────────── error ───────┴────────────────────────▶ ERROR

Times are Unix time in ns. Every session has a resource id of its own; a change that names another
one than the present comes from a session that was replaced, and is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

MAX_ERROR = 500
"""characters of an error's text"""


class Status(IntEnum):
    """Numbers of livekit.IngressState.Status."""

    INACTIVE = 0
    BUFFERING = 1
    PUBLISHING = 2
    ERROR = 3
    COMPLETE = 4


LIVE = frozenset({Status.BUFFERING, Status.PUBLISHING})


@dataclass(frozen=True, slots=True)
class VideoState:
    """What comes in; 0 and empty are not known yet."""

    mime_type: str = ""
    average_bitrate: int = 0
    """bit/s"""
    width: int = 0
    height: int = 0
    framerate: float = 0.0


@dataclass(frozen=True, slots=True)
class AudioState:
    """What comes in; 0 and empty are not known yet."""

    mime_type: str = ""
    average_bitrate: int = 0
    """bit/s"""
    channels: int = 0
    sample_rate: int = 0


@dataclass(frozen=True, slots=True)
class State:
    """One ingress as it stands; kept in the store without its tracks."""

    ingress_id: str
    status: Status = Status.INACTIVE
    error: str = ""
    resource_id: str = ""
    room_id: str = ""
    started_at_ns: int = 0
    ended_at_ns: int = 0
    updated_at_ns: int = 0
    video: VideoState | None = None
    audio: AudioState | None = None

    @property
    def is_live(self) -> bool:
        """Whether a publisher is there."""
        return self.status in LIVE


def begun(ingress_id: str, resource_id: str, now_ns: int) -> State:
    """A publisher's key was accepted: everything of the session before is forgotten."""
    return State(
        ingress_id, Status.BUFFERING, resource_id=resource_id, started_at_ns=now_ns,
        updated_at_ns=now_ns,
    )  # fmt: skip


def publishing(state: State, room_id: str, now_ns: int) -> State:
    """The first track is in the room."""
    return replace(state, status=Status.PUBLISHING, room_id=room_id, updated_at_ns=now_ns)


def ended(state: State, error: str, now_ns: int) -> State:
    """The publisher is gone; a session that is over already stays as it is."""
    if not state.is_live:
        return state
    status = Status.ERROR if error else Status.INACTIVE
    return replace(
        state, status=status, error=error[:MAX_ERROR], ended_at_ns=now_ns, updated_at_ns=now_ns
    )


def supersedes(new: State, stored: State | None) -> bool:
    """Whether `new` may replace what is stored: late words of a replaced session may not."""
    if stored is None:
        return True
    return new.started_at_ns >= stored.started_at_ns and new.updated_at_ns >= stored.updated_at_ns
