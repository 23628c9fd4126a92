"""Records as messages of the wire (livekit_agent.proto, livekit_agent_dispatch.proto), and back.

`…_from_wire` and `decode` raise `RemoteProtocolError` naming what was wrong.
"""

from __future__ import annotations

import math
from typing import Any, cast

from google.protobuf.message import DecodeError
from livekit.protocol import agent, agent_dispatch, models

from roomful.api.texts import check_attributes, check_metadata
from roomful.api.wire import participant_to_wire, permission_from_wire, room_to_wire
from roomful.auth.grants import Grants
from roomful.errors import InvalidArgument, RemoteProtocolError
from roomful.model.permission import Permission
from roomful_agents.actions import Answer
from roomful_agents.job import Dispatch, Job
from roomful_agents.validation import check_identity, check_text
from roomful_agents.words import JobStatus, JobType
from roomful_agents.worker import Registration

AGENT_PROTOCOL = 1
PROTOCOL = 17
"""of the signalling that this server speaks with the agents themselves"""
COMPATIBLE_VERSION = "1.9.12"
ERROR_BYTES = 4 << 10
"""of what a worker tells about a failed job"""
_EVERYTHING = models.ParticipantPermission(
    can_subscribe=True, can_publish=True, can_publish_data=True, can_update_metadata=True
)


def server_info(node_id: str) -> models.ServerInfo:
    """Who we are, as workers want to know it."""
    return models.ServerInfo(
        edition=models.ServerInfo.Standard,
        version=COMPATIBLE_VERSION,
        protocol=PROTOCOL,
        node_id=node_id,
        agent_protocol=AGENT_PROTOCOL,
    )


def decode(frame: bytes) -> agent.WorkerMessage:
    """Return the message in a frame."""
    try:
        message = agent.WorkerMessage.FromString(frame)
    except DecodeError as error:
        raise RemoteProtocolError("a frame is not a WorkerMessage") from error
    if message.WhichOneof("message") is None:
        raise RemoteProtocolError("a WorkerMessage says nothing that is known here")
    return message


def registration_from_wire(message: agent.RegisterWorkerRequest, grants: Grants) -> Registration:
    """Return the registration; what the worker's token does not allow, its agents may not."""
    stated = message.HasField("allowed_permissions")
    try:
        job_type = JobType(message.type)
        for what in ("agent_name", "namespace", "deployment", "version"):
            check_text(what, getattr(message, what))
        asked = permission_from_wire(message.allowed_permissions if stated else _EVERYTHING)
    except InvalidArgument as error:
        raise RemoteProtocolError(f"register: {error.message}") from error
    except ValueError as error:
        raise RemoteProtocolError(f"register: job type {message.type} is not known") from error
    return Registration(
        agent_name=message.agent_name,
        namespace=message.namespace,
        job_type=job_type,
        deployment=message.deployment,
        permission=_within(asked, grants),
        api_key=grants.issuer,
        version=message.version,
    )


def _within(asked: Permission, grants: Grants) -> Permission:
    sources = asked.can_publish_sources
    if allowed := grants.can_publish_sources:
        sources = tuple(s for s in sources if s in allowed) if sources else allowed
    may_publish = asked.can_publish and grants.can_publish is not False
    return Permission(
        can_subscribe=asked.can_subscribe and grants.can_subscribe is not False,
        can_publish=may_publish,
        can_publish_data=asked.can_publish_data and grants.can_publish_data is not False,
        can_publish_sources=sources if may_publish else (),
        can_update_metadata=asked.can_update_metadata
        and grants.can_update_own_metadata is not False,
        hidden=asked.hidden,
        agent=True,
    )


def answer_from_wire(message: agent.AvailabilityResponse) -> Answer:
    """Return the answer, fit to make a participant of."""
    attributes = dict(message.participant_attributes)
    if message.available and not message.terminate:
        try:
            check_identity(message.participant_identity)
            check_text("participant_name", message.participant_name)
            check_metadata(message.participant_metadata)
            check_attributes(attributes)
            if any(name.startswith("sip.") for name in attributes):
                raise InvalidArgument("attributes sip.* are set by the SIP transport alone")
        except InvalidArgument as error:
            raise RemoteProtocolError(f"availability: {error.message}") from error
    return Answer(
        available=message.available,
        terminate=message.terminate,
        identity=message.participant_identity,
        name=message.participant_name,
        metadata=message.participant_metadata,
        attributes=attributes,
    )


def status_from_wire(message: agent.UpdateWorkerStatus) -> tuple[bool | None, float]:
    """Return whether the worker is available (None: as before), and its load, 0 to 1."""
    load = message.load
    if not math.isfinite(load) or load < 0:
        raise RemoteProtocolError(f"update_worker: load {load!r} is not a number from 0 to 1")
    available: bool | None = None
    if message.HasField("status"):
        available = message.status == agent.WorkerStatus.WS_AVAILABLE
    if message.draining:
        available = False
    return available, min(load, 1.0)


def job_status_from_wire(message: agent.UpdateJobStatus) -> tuple[JobStatus, str]:
    """Return a job's status and its error, cut to a bound."""
    try:
        status = JobStatus(message.status)
    except ValueError as error:
        raise RemoteProtocolError(f"update_job: status {message.status} is not known") from error
    return status, message.error.encode()[:ERROR_BYTES].decode(errors="ignore")


def job_to_wire(job: Job) -> agent.Job:
    """Return the job with its state."""
    spec = job.dispatch.spec
    return agent.Job(
        id=job.job_id,
        dispatch_id=job.dispatch.dispatch_id,
        type=cast(Any, int(job.job_type)),
        room=room_to_wire(job.room),
        participant=participant_to_wire(job.participant) if job.participant else None,
        namespace=job.namespace,
        metadata=spec.metadata,
        agent_name=spec.agent_name,
        deployment=spec.deployment,
        attributes=dict(spec.attributes),
        state=agent.JobState(
            status=cast(Any, int(job.status)),
            error=job.error,
            started_at=job.started_ns,
            ended_at=job.ended_ns,
            updated_at=job.updated_ns,
            participant_identity=job.identity,
            worker_id=job.worker_id,
        ),
    )


def dispatch_to_wire(dispatch: Dispatch) -> agent_dispatch.AgentDispatch:
    """Return the dispatch with the jobs that workers took."""
    spec = dispatch.spec
    return agent_dispatch.AgentDispatch(
        id=dispatch.dispatch_id,
        agent_name=spec.agent_name,
        room=dispatch.room_name,
        metadata=spec.metadata,
        restart_policy=cast(Any, int(spec.restart_policy)),
        deployment=spec.deployment,
        attributes=dict(spec.attributes),
        state=agent_dispatch.AgentDispatchState(
            jobs=[job_to_wire(job) for job in dispatch.jobs.values()],
            created_at=dispatch.created_ns,
            deleted_at=dispatch.deleted_ns,
        ),
    )
