"""Who gets which job: a machine without sockets or clocks.

Every method takes the moment and leaves what is to be done in `take_actions()`. What is unknown
(a worker, a room, a job) is passed over: news cross on the wire. How a job finds its worker:
`placement`.
"""

from __future__ import annotations

from collections.abc import Iterable

from roomful.errors import NotFound, ResourceExhausted
from roomful.ids import DISPATCH, new_sid
from roomful.model.enums import DisconnectReason, ParticipantKind
from roomful.model.events import RoomInfo
from roomful.model.participant import ParticipantInfo
from roomful_agents.actions import Expel
from roomful_agents.job import AgentRoom, Caller, Dispatch, DispatchSpec, Moment, Phase
from roomful_agents.placement import Placement
from roomful_agents.words import JobStatus, JobType

LEAVE_S = 3.0
"""an agent whose dispatch was deleted may say good-bye for so long"""
REPORT_S = 10.0
"""a worker may say how a job ended for so long after its participant left"""
MAX_DISPATCHES = 100
"""in a room"""


class Dispatcher(Placement):
    """All workers and all rooms' dispatches of a server."""

    # --- rooms -------------------------------------------------------------------------------

    def room_started(self, info: RoomInfo, specs: Iterable[DispatchSpec], at: Moment) -> None:
        """Dispatch what the room's options ask for; where they ask for nothing, unnamed workers."""
        if info.sid in self.rooms:
            return
        self.rooms[info.sid] = AgentRoom(info)
        for spec in list(specs) or [DispatchSpec()]:
            self.create_dispatch(info.sid, spec, at)

    def room_finished(self, room_sid: str, at: Moment) -> None:
        """All its jobs are over."""
        room = self.rooms.pop(room_sid, None)
        if room is None:
            return
        for job in list(room.live.values()):
            self._terminate(job)
            self._end(job, JobStatus.SUCCESS, "", at)

    def participant_joined(self, info: RoomInfo, who: ParticipantInfo, at: Moment) -> None:
        """Somebody is there: an agent that was sent, or one for whom agents are wanted."""
        room = self.rooms.get(info.sid)
        if room is None:
            return
        room.info = info
        job = room.agents.get(who.identity)
        if job is not None and job.phase in (Phase.ASSIGNED, Phase.LEFT):
            job.phase, job.updated_ns = Phase.PRESENT, at.wall_ns
        elif job is None and not is_dependent(who) and who.sid not in room.callers:
            caller = room.callers[who.sid] = Caller(who)
            for dispatch in list(room.dispatches.values()):
                self._launch(room, dispatch, JobType.PARTICIPANT, caller.info, at)

    def track_published(self, info: RoomInfo, who: ParticipantInfo, at: Moment) -> None:
        """The first track of somebody makes it a publisher."""
        room = self.rooms.get(info.sid)
        if room is None:
            return
        if who.sid not in room.callers:
            self.participant_joined(info, who, at)  # the news may come in either order
        caller = room.callers.get(who.sid)
        if caller is None:
            return
        room.info, caller.info = info, who
        if not caller.published:
            caller.published = True
            for dispatch in list(room.dispatches.values()):
                self._launch(room, dispatch, JobType.PUBLISHER, who, at)

    def participant_left(self, room_sid: str, who: ParticipantInfo, at: Moment) -> None:
        """Somebody left, or never became active."""
        room = self.rooms.get(room_sid)
        if room is None:
            return
        room.callers.pop(who.sid, None)
        if who.disconnect_reason is DisconnectReason.DUPLICATE_IDENTITY:
            return  # another of its identity is coming in, which may be the agent itself again
        room.leaving.pop(who.identity, None)
        job = room.agents.get(who.identity)
        if job is None or job.phase is not Phase.PRESENT:
            return
        self._terminate(job)
        if job.worker_id in self.workers:
            job.phase, job.due_s = Phase.LEFT, at.s + REPORT_S
        else:
            self._end(job, JobStatus.FAILED, "its worker and the agent went away", at)

    # --- dispatches --------------------------------------------------------------------------

    def create_dispatch(self, room_sid: str, spec: DispatchSpec, at: Moment) -> Dispatch:
        """Raises `NotFound`, `ResourceExhausted`."""
        room = self._room(room_sid)
        if len(room.dispatches) >= MAX_DISPATCHES:
            raise ResourceExhausted(f"room {room.info.name!r} has {MAX_DISPATCHES} dispatches")
        dispatch = Dispatch(new_sid(DISPATCH), room.info.name, spec, at.wall_ns)
        room.dispatches[dispatch.dispatch_id] = dispatch
        self._launch(room, dispatch, JobType.ROOM, None, at)
        for caller in list(room.callers.values()):
            if caller.published:
                self._launch(room, dispatch, JobType.PUBLISHER, caller.info, at)
            self._launch(room, dispatch, JobType.PARTICIPANT, caller.info, at)
        return dispatch

    def delete_dispatch(self, room_sid: str, dispatch_id: str, at: Moment) -> Dispatch:
        """End its jobs; their agents leave, or are put out. Raises `NotFound`."""
        room = self._room(room_sid)
        dispatch = room.dispatches.pop(dispatch_id, None)
        if dispatch is None:
            raise NotFound(f"room {room.info.name!r} has no dispatch {dispatch_id!r}")
        dispatch.deleted_ns = at.wall_ns
        for job in [job for job in room.live.values() if job.dispatch is dispatch]:
            self._terminate(job)
            if job.phase in (Phase.ASSIGNED, Phase.PRESENT):
                room.leaving[job.identity] = at.s + LEAVE_S
            self._end(job, JobStatus.SUCCESS, "", at)
        return dispatch

    # --- time --------------------------------------------------------------------------------

    def advance(self, at: Moment) -> None:
        """Go on where waiting is over; call it often."""
        for job in [j for j in self._jobs.values() if j.awaits and at.s >= j.due_s]:
            if job.phase is Phase.ASKED:
                self._release(job)
                self._ask_next(job, at)
            elif job.phase is Phase.ASSIGNED:
                self._terminate(job)
                self._retry(job, f"its agent did not join within {self._join_s:g} s", at)
            else:
                self._end(job, JobStatus.FAILED, "the agent left the room", at)
        for sid, room in self.rooms.items():
            for identity in [who for who, due_s in room.leaving.items() if at.s >= due_s]:
                del room.leaving[identity]
                self._actions.append(Expel(room.info.name, sid, identity))

    def _room(self, room_sid: str) -> AgentRoom:
        room = self.rooms.get(room_sid)
        if room is None:
            raise NotFound("requested room does not exist")
        return room


def is_dependent(who: ParticipantInfo) -> bool:
    """Whether somebody is there for others only: agents and recorders want no agents."""
    return (
        who.kind in (ParticipantKind.EGRESS, ParticipantKind.AGENT)
        or who.permission.agent
        or who.permission.recorder
    )
