"""What the dispatcher wants done; `pool` does it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from roomful_agents.job import Job


@dataclass(frozen=True, slots=True)
class Answer:
    """A worker's answer to whether it takes a job."""

    available: bool
    terminate: bool = False
    """nobody shall take it"""
    identity: str = ""
    name: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask a worker whether it takes the job."""

    worker_id: str
    job: Job


@dataclass(frozen=True, slots=True)
class Assign:
    """Give the job to the worker, with a token for the participant it described."""

    worker_id: str
    job: Job
    answer: Answer


@dataclass(frozen=True, slots=True)
class Terminate:
    """Tell the worker to end the job."""

    worker_id: str
    job: Job


@dataclass(frozen=True, slots=True)
class Started:
    """Tell the world: a worker took the job."""

    job: Job


@dataclass(frozen=True, slots=True)
class Ended:
    """Tell the world: a job that was started is over; its status says how."""

    job: Job


@dataclass(frozen=True, slots=True)
class Expel:
    """Put an agent out that stayed after its job was over."""

    room_name: str
    room_sid: str
    identity: str


@dataclass(frozen=True, slots=True)
class Unserved:
    """Note for the operator: nobody took a job."""

    job: Job
    why: str


Action = Ask | Assign | Terminate | Started | Ended | Expel | Unserved
