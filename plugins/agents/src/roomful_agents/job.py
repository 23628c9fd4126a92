"""Jobs, the dispatches they come of, and the rooms these are in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from roomful.model.events import RoomInfo
from roomful.model.participant import ParticipantInfo
from roomful_agents.words import JobStatus, JobType, RestartPolicy


@dataclass(frozen=True, slots=True)
class Moment:
    """Now, by both clocks: seconds that never jump, and nanoseconds since the epoch."""

    s: float
    wall_ns: int


@dataclass(frozen=True, slots=True)
class DispatchSpec:
    """What a dispatch was asked for with, checked (`validation`)."""

    agent_name: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    deployment: str = ""
    restart_policy: RestartPolicy = RestartPolicy.ON_FAILURE


class Phase(Enum):
    """Where a job stands between the server and a worker."""

    ASKED = auto()
    """a worker was asked whether it takes the job"""
    ASSIGNED = auto()
    """a worker has it; its participant has not joined"""
    PRESENT = auto()
    LEFT = auto()
    """its participant left; the worker has not said how it ended"""
    ENDED = auto()


@dataclass(slots=True, eq=False)
class Job:
    """One piece of work for one worker at a time."""

    job_id: str
    dispatch: Dispatch
    job_type: JobType
    room: RoomInfo
    participant: ParticipantInfo | None
    namespace: str
    phase: Phase = Phase.ASKED
    due_s: float = 0.0
    """when waiting in this phase ends (ASKED, ASSIGNED, LEFT)"""
    worker_id: str = ""
    tried: set[str] = field(default_factory=set[str])
    status: JobStatus = JobStatus.PENDING
    error: str = ""
    identity: str = ""
    """of its participant"""
    started_ns: int = 0
    ended_ns: int = 0
    updated_ns: int = 0

    @property
    def is_live(self) -> bool:
        return self.phase is not Phase.ENDED

    @property
    def awaits(self) -> bool:
        """Whether `due_s` means something."""
        return self.phase in (Phase.ASKED, Phase.ASSIGNED, Phase.LEFT)


@dataclass(slots=True, eq=False)
class Dispatch:
    """A standing order for an agent in one room; `jobs` are those a worker took, by id."""

    dispatch_id: str
    room_name: str
    spec: DispatchSpec
    created_ns: int
    deleted_ns: int = 0
    jobs: dict[str, Job] = field(default_factory=dict[str, Job])


@dataclass(slots=True, eq=False)
class Caller:
    """A participant that agents may be wanted for."""

    info: ParticipantInfo
    published: bool = False


@dataclass(slots=True, eq=False)
class AgentRoom:
    """A room's dispatches, and who is in it."""

    info: RoomInfo
    dispatches: dict[str, Dispatch] = field(default_factory=dict[str, Dispatch])
    callers: dict[str, Caller] = field(default_factory=dict[str, Caller])
    """participant SID → one that counts (no agent, no recorder)"""
    agents: dict[str, Job] = field(default_factory=dict[str, Job])
    """identity → the job whose participant has it, or will"""
    leaving: dict[str, float] = field(default_factory=dict[str, float])
    """identity of an agent whose job is over → when it is put out, if it is still there"""
    live: dict[str, Job] = field(default_factory=dict[str, Job])
    """jobs that have not ended, of dispatches that were deleted, too"""

    def has_caller(self, identity: str) -> bool:
        """Whether somebody who counts has this identity."""
        return any(caller.info.identity == identity for caller in self.callers.values())
