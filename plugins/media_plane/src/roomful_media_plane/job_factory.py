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
from roomful_media.job import Job, JobSpec
from roomful_media_plane.worker_participant import WorkerParticipant

if TYPE_CHECKING:
    from roomful_media_plane.media_plane import ServerMediaPlane


@dataclass(slots=True)
class JobTicket:
    """The `context` of a join request: the job that shall be the participant."""

    spec: JobSpec
    """`room` and `participant` are filled in"""
    lease: Lease | None = None
    """what the job was admitted with; watched while it runs, released at its end"""
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

    def __init__(self, plane: ServerMediaPlane, max_tracks: int) -> None:
        self._plane, self._max_tracks = plane, max_tracks

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
        guest = WorkerParticipant(ticket.spec.queue)
        connection = guest.connection = LocalConnection(
            self._plane, session, participant, guest, max_tracks=self._max_tracks
        )
        spec = replace(ticket.spec, room=session.name, participant=participant.identity)
        job = guest.job = ticket.taken = await self._plane.start_job(spec, guest, ticket.lease)
        self._plane.when_ended(job, lambda: connection.leave(DisconnectReason.MEDIA_FAILURE))
        return connection
