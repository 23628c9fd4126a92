"""Carries out what the dispatcher decides: messages to workers, tokens, events, departures."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from google.protobuf.json_format import MessageToDict
from livekit.protocol import agent

from roomful.api.wire import room_to_wire
from roomful.errors import RequestError
from roomful.ids import WORKER, new_sid
from roomful.model.enums import DisconnectReason, ParticipantKind
from roomful.model.events import (
    LifeCycleEvent,
    ParticipantConnectionAborted,
    ParticipantJoined,
    ParticipantLeft,
    PluginEvent,
    RoomFinished,
    RoomStarted,
    TrackPublished,
)
from roomful.room.session import RoomSession
from roomful_agents.actions import Action, Ask, Assign, Ended, Expel, Started, Terminate
from roomful_agents.dispatcher import Dispatcher
from roomful_agents.job import Job, Moment, Phase
from roomful_agents.socket import GOING_AWAY, POLICY_VIOLATION, WorkerSocket
from roomful_agents.token import TTL_S, agent_claims
from roomful_agents.validation import specs_of
from roomful_agents.wire import job_to_wire
from roomful_agents.worker import Registration

if TYPE_CHECKING:
    from roomful.server import RoomServer

log = logging.getLogger(__name__)

TICK_S = 0.25


class Pool:
    """The workers of one server; a service (`roomful.plugin.Service`) that keeps time."""

    name = "dispatch"

    def __init__(
        self, server: RoomServer, join_s: float, chance: Callable[[], float] | None = None
    ) -> None:
        """`chance`: numbers of [0, 1), for tests."""
        self._server = server
        self.dispatcher = Dispatcher(chance or random.random, join_s)
        self._sockets: dict[str, WorkerSocket] = {}
        self._assigning: set[asyncio.Task[None]] = set()

    def now(self) -> Moment:
        """The moment, by the server's clock."""
        clock = self._server.clock
        return Moment(clock.monotonic(), clock.wall_ms() * 1_000_000)

    async def run(self, ready: Callable[[], None]) -> None:
        """Keep time until cancelled; then let all workers go, to come back to the next server."""
        ready()
        try:
            while True:
                await asyncio.sleep(TICK_S)
                self.dispatcher.advance(self.now())
                self.act()
        finally:
            for socket in self._sockets.values():
                socket.close_soon(GOING_AWAY, "the server is shutting down")

    # --- workers -----------------------------------------------------------------------------

    def register(self, registration: Registration, socket: WorkerSocket) -> str:
        """Return the worker's new id. Raises `ResourceExhausted`."""
        worker_id = new_sid(WORKER)
        self.dispatcher.register(worker_id, registration)
        self._sockets[worker_id] = socket
        log.info("worker registered", extra=_about(worker_id, registration))
        return worker_id

    def gone(self, worker_id: str) -> None:
        """The worker's connection ended."""
        self._sockets.pop(worker_id, None)
        self._see_agents(worker_id)
        self.dispatcher.worker_gone(worker_id, self.now())
        self.act()
        log.info("worker left", extra={"worker": worker_id})

    def _see_agents(self, worker_id: str) -> None:
        """Note which of its agents are in their rooms; events tell it a little later."""
        for job in self.dispatcher.jobs_of(worker_id):
            session = self._server.rooms.find(job.room.name)
            if session is not None and session.room.sid == job.room.sid:
                there = session.room.participants.get(job.identity)
                if there is not None:
                    self.dispatcher.participant_joined(session.info, there.info, self.now())

    # --- rooms -------------------------------------------------------------------------------

    def adopt(self, session: RoomSession) -> None:
        """Dispatch what a room's options ask for, unless that was done."""
        info = session.info
        if info.sid not in self.dispatcher.rooms and not session.finished:
            self.dispatcher.room_started(info, specs_of(info.options), self.now())
            self.act()

    def note(self, event: LifeCycleEvent) -> None:
        """Something happened in a room."""
        at, dispatcher = self.now(), self.dispatcher
        match event:
            case RoomStarted(room):
                session = self._server.rooms.find(room.name)
                if session is not None and session.room.sid == room.sid:
                    self.adopt(session)
            case RoomFinished(room):
                dispatcher.room_finished(room.sid, at)
            case ParticipantJoined(room, who):
                dispatcher.participant_joined(room, who, at)
            case TrackPublished(room, who, _):
                dispatcher.track_published(room, who, at)
            case ParticipantLeft(room, who) | ParticipantConnectionAborted(room, who):
                dispatcher.participant_left(room.sid, who, at)
            case _:
                return
        self.act()

    # --- doing -------------------------------------------------------------------------------

    def act(self) -> None:
        """Do what the dispatcher wants done."""
        for action in self.dispatcher.take_actions():
            self._do(action)

    def _do(self, action: Action) -> None:
        match action:
            case Ask(worker_id, job):
                request = agent.AvailabilityRequest(job=job_to_wire(job))
                self._send(worker_id, agent.ServerMessage(availability=request))
            case Assign():
                task = asyncio.get_running_loop().create_task(self._assign(action))
                self._assigning.add(task)
                task.add_done_callback(self._assigning.discard)
            case Terminate(worker_id, job):
                termination = agent.JobTermination(job_id=job.job_id)
                self._send(worker_id, agent.ServerMessage(termination=termination))
            case Started(job):
                self._tell("agent_job_started", job)
            case Ended(job):
                self._tell("agent_job_ended", job)
            case Expel():
                self._expel(action)
            case _:
                job = action.job
                log.warning(
                    "nobody took a job",
                    extra={"job": job.job_id, "room": job.room.sid, "why": action.why},
                )

    def _send(self, worker_id: str, message: agent.ServerMessage) -> None:
        if socket := self._sockets.get(worker_id):
            socket.send(message)

    async def _assign(self, action: Assign) -> None:
        worker_id, job = action.worker_id, action.job
        worker = self.dispatcher.workers.get(worker_id)
        if worker is None:
            return
        claims = agent_claims(worker.registration, job.room.name, action.answer)
        try:
            key = worker.registration.api_key
            token = await self._server.tokens.issue(key, claims, ttl_s=TTL_S)
        except RequestError as error:
            # its job goes to the next one when the connection ends
            if socket := self._sockets.get(worker_id):
                socket.close_soon(POLICY_VIOLATION, error.message)
            return
        if job.worker_id == worker_id and job.phase is Phase.ASSIGNED:
            assignment = agent.JobAssignment(job=job_to_wire(job), token=token)
            self._send(worker_id, agent.ServerMessage(assignment=assignment))

    def _expel(self, action: Expel) -> None:
        session = self._server.rooms.find(action.room_name)
        if session is None or session.room.sid != action.room_sid:
            return
        participant = session.room.participants.get(action.identity)
        if participant is not None and participant.kind is ParticipantKind.AGENT:
            session.remove_soon(participant, DisconnectReason.PARTICIPANT_REMOVED)

    def _tell(self, name: str, job: Job) -> None:
        webhook: dict[str, object] = {
            "room": MessageToDict(room_to_wire(job.room)),
            "job": MessageToDict(job_to_wire(job)),
        }
        self._server.events.submit(PluginEvent(name, job.room, webhook))


def _about(worker_id: str, registration: Registration) -> dict[str, object]:
    return {
        "worker": worker_id,
        "agent_name": registration.agent_name,
        "job_type": registration.job_type.name,
        "worker_version": registration.version,
    }
