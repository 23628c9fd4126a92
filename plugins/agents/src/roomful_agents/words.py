"""Words of agent dispatch with the numbers they have on the wire (livekit_agent.proto)."""

from __future__ import annotations

from enum import IntEnum


class JobType(IntEnum):
    """What a worker takes jobs for; one job a room, a publisher, a participant."""

    ROOM = 0
    PUBLISHER = 1
    PARTICIPANT = 2


class JobStatus(IntEnum):
    PENDING = 0
    RUNNING = 1
    SUCCESS = 2
    FAILED = 3
    CANCELLED = 4

    @property
    def is_end(self) -> bool:
        return self in (JobStatus.SUCCESS, JobStatus.FAILED, JobStatus.CANCELLED)


class RestartPolicy(IntEnum):
    """Whether a job whose worker died before its participant joined goes to another."""

    ON_FAILURE = 0
    NEVER = 1
