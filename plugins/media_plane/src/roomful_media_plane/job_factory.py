"""The transport `job`: participants that a media worker embodies.

    ticket = JobTicket(JobSpec(kind="recorder", job_id="EG_…", spec={…}), lease)
    await server.join(JoinRequest("job", room, identity, grants, auto_subscribe=False, context=ticket))
    async for event in ticket.job.messages(): ...

A plugin with a transport of its own makes its connections by `embody`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from roomful.errors import LocalProtocolError
from roomful.limits import Lease
from roomful.model.enums import DisconnectReason, ParticipantKind
from roomful.model.participant import Participant
from roomful.room.factories import JoinRequest
from roomful.room.local_connection import LocalConnection
from roomful.room.session import RoomSession
from roomful_media.job import Job, JobExit, JobSpec
from roomful_media.worker_exit import EndReason
from roomful_media_plane.media_plane import ServerMediaPlane
from roomful_media_plane.worker_participant import WorkerParticipant

if TYPE_CHECKING:
    from roomful.server import RoomServer


@dataclass(slots=True)
class JobTicket:
    """The `context` of a join request: the job that shall be the participant."""

    spec: JobSpec
    """`room` and `participant` are filled in"""
    lease: Lease | None = None
    """what the job was admitted with; watched while it runs, released at its end and when it does
    not begin; where the join itself is refused, whoever asked releases it (harmless in any case)"""
    taken: Job | None = None

    @property
    def job(self) -> Job:
        """The job, once the participant is in the room."""
        assert self.taken is not None, "the participant has not joined"
        return self.taken


class JobFactory:
    """Answers to `ParticipantFactory`."""

    transport = "job"
    kinds = frozenset(ParticipantKind)

    def __init__(self, server: RoomServer) -> None:
        self._server = server

    async def create(
        self, session: RoomSession, participant: Participant, request: JoinRequest
    ) -> LocalConnection:
        """Start the job; return once its worker listens and the participant is active.

        Raises:
            Unavailable: its worker did not come up.
        """
        ticket = request.context
        if not isinstance(ticket, JobTicket):
            raise LocalProtocolError("transport 'job' needs a JobTicket as the request's context")
        return await self.embody(session, participant, ticket)

    async def embody(
        self, session: RoomSession, participant: Participant, ticket: JobTicket
    ) -> LocalConnection:
        """Make a job the participant."""
        plane = self._server.media
        assert isinstance(plane, ServerMediaPlane), "the plugin that offers this offers the plane"
        guest = WorkerParticipant(ticket.spec.queue)
        limit = self._server.settings.limits.tracks_per_participant
        connection = guest.connection = LocalConnection(
            plane, session, participant, guest, max_tracks=limit
        )
        spec = replace(ticket.spec, room=session.name, participant=participant.identity)
        ticket.taken = await plane.start_job(
            spec,
            guest,
            ticket.lease,
            on_end=lambda exit_: connection.leave(_left(exit_)),
        )
        guest.embody(ticket.taken)
        return connection


def _left(exit_: JobExit) -> DisconnectReason:
    """Why the participant leaves whose job ended so."""
    orderly = exit_.reason in (EndReason.DONE, EndReason.STOPPED)
    return DisconnectReason.CLIENT_INITIATED if orderly else DisconnectReason.MEDIA_FAILURE
