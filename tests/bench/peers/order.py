"""What one participant of a worker shall do; comes as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class Reading(Enum):
    """How packets are read once the transport is connected."""

    IN_TURNS = "in turns"
    AT_ONCE = "at once"
    TIMED = "timed"
    """at once, all decrypted, with the kernel's arrival time"""


@dataclass(frozen=True, slots=True)
class Order:
    """One participant."""

    identity: str
    token: str
    publish: list[str] = field(default_factory=list[str])
    """audio, camera (720p) or small (180p)"""
    audios: int = 3
    videos: int = 3
    """sections to receive in, of the first offer"""
    reading: str = Reading.IN_TURNS.value
    feedback: bool = True
    """reports of reception and of bandwidth once a second"""
    hertz: float = 440.0
