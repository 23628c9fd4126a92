"""A worker as the dispatcher knows it."""

from __future__ import annotations

from dataclasses import dataclass, field

from roomful.model.permission import Permission
from roomful_agents.words import JobType


@dataclass(frozen=True, slots=True)
class Registration:
    """What a worker said of itself, checked; `permission` is within what its token allows."""

    agent_name: str
    """empty: jobs come without being asked for (automatic dispatch)"""
    namespace: str
    job_type: JobType
    deployment: str
    permission: Permission
    api_key: str
    """signed the worker's token, and signs those of its participants"""
    version: str = ""


@dataclass(slots=True, eq=False)
class Worker:
    """Where it stands: `load` is 0 (idle) to 1 (full)."""

    worker_id: str
    registration: Registration
    available: bool = True
    load: float = 0.0
    jobs: set[str] = field(default_factory=set[str])
    """ids of jobs it was asked about or has"""

    def serves(self, agent_name: str, deployment: str, job_type: JobType) -> bool:
        mine = self.registration
        return (mine.agent_name, mine.deployment, mine.job_type) == (
            agent_name,
            deployment,
            job_type,
        )
