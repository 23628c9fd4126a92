"""Jobs, and the workers that are asked to take them: one half of the dispatcher.

A job: ASKED → (yes) ASSIGNED → (its participant joined) PRESENT → (it left) LEFT → ENDED. A no, no
answer in 10 s, or a worker that dies before the participant joined: the next worker is asked, each
once. An `update_job` with an end, the room's end or the dispatch's deletion end it from anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from roomful.errors import ResourceExhausted
from roomful.ids import JOB, new_sid
from roomful.model.participant import ParticipantInfo
from roomful_agents.actions import (
    Action,
    Answer,
    Ask,
    Assign,
    Ended,
    Started,
    Terminate,
    Unserved,
)
from roomful_agents.choice import choose
from roomful_agents.job import AgentRoom, Dispatch, Job, Moment, Phase
from roomful_agents.words import JobStatus, JobType, RestartPolicy
from roomful_agents.worker import Registration, Worker

ANSWER_S = 10.0
MAX_WORKERS = 1_000
MAX_LIVE_JOBS = 1_000
"""in a room"""
MAX_ENDED_JOBS = 100
"""kept in a dispatch's state"""


class Placement:
    """Workers, and which jobs they have."""

    def __init__(self, chance: Callable[[], float], join_s: float) -> None:
        """`chance`: numbers of [0, 1); `join_s`: a job's participant joins within this."""
        self.workers: dict[str, Worker] = {}
        self.rooms: dict[str, AgentRoom] = {}
        """room SID → its dispatches"""
        self._chance, self._join_s = chance, join_s
        self._jobs: dict[str, Job] = {}
        """jobs that have not ended"""
        self._actions: list[Action] = []  # taken after every call

    def take_actions(self) -> list[Action]:
        """Return what is to be done, in order, and forget it."""
        actions, self._actions = self._actions, []
        return actions

    # --- workers -----------------------------------------------------------------------------

    def register(self, worker_id: str, registration: Registration) -> None:
        """Raises `ResourceExhausted`."""
        if len(self.workers) >= MAX_WORKERS:
            raise ResourceExhausted(f"{MAX_WORKERS} workers are registered, no more are taken")
        self.workers[worker_id] = Worker(worker_id, registration)

    def update_worker(self, worker_id: str, available: bool | None, load: float) -> None:
        """`available` None leaves it as it is; `load` 0 to 1."""
        if worker := self.workers.get(worker_id):
            worker.load = load
            if available is not None:
                worker.available = available

    def jobs_of(self, worker_id: str) -> list[Job]:
        """Return the jobs that a worker was asked about or has."""
        worker = self.workers.get(worker_id)
        ids = sorted(worker.jobs) if worker else []
        return [self._jobs[job_id] for job_id in ids if job_id in self._jobs]

    def worker_gone(self, worker_id: str, at: Moment) -> None:
        """Its jobs without a participant go to others; agents that are there may go on."""
        jobs = self.jobs_of(worker_id)
        self.workers.pop(worker_id, None)
        for job in jobs:
            if job.phase is Phase.ASKED:
                self._ask_next(job, at)
            elif job.phase is Phase.ASSIGNED:
                self._retry(job, "its worker went away before the agent joined", at)
            elif job.phase is Phase.LEFT:
                self._end(job, JobStatus.FAILED, "its worker and the agent went away", at)

    def adopt(self, worker_id: str, job_ids: Iterable[str], at: Moment) -> None:
        """A worker that lost its connection is back and has these jobs still."""
        worker = self.workers.get(worker_id)
        for job_id in job_ids:
            job = self._jobs.get(job_id)
            if worker and job and job.phase is Phase.PRESENT and job.worker_id not in self.workers:
                job.worker_id, job.updated_ns = worker_id, at.wall_ns
                worker.jobs.add(job_id)

    def answer(self, worker_id: str, job_id: str, answer: Answer, at: Moment) -> None:
        """A worker takes a job or does not; an answer that comes too late is passed over."""
        job = self._jobs.get(job_id)
        if job is None or job.worker_id != worker_id or job.phase is not Phase.ASKED:
            return
        if answer.terminate:
            job.dispatch.jobs[job_id] = job
            self._end(job, JobStatus.SUCCESS, "", at)
        elif not answer.available:
            self._release(job)
            self._ask_next(job, at)
        elif self.rooms[job.room.sid].has_caller(answer.identity):
            # who joins under the identity of somebody puts that one out
            job.error = f"its worker wanted the identity of a participant, {answer.identity!r}"
            self._release(job)
            self._ask_next(job, at)
        else:
            self._assign(job, answer, at)

    def update_job(
        self, worker_id: str, job_id: str, status: JobStatus, error: str, at: Moment
    ) -> None:
        """A worker tells how one of its jobs is."""
        job = self._jobs.get(job_id)
        if job is None or job.worker_id != worker_id or job.phase is Phase.ASKED:
            return
        if status.is_end:
            self._end(job, status, error, at)
        elif job.phase is not Phase.LEFT:
            job.status, job.error, job.updated_ns = status, error, at.wall_ns

    # --- inside ------------------------------------------------------------------------------

    def _launch(
        self,
        room: AgentRoom,
        dispatch: Dispatch,
        job_type: JobType,
        who: ParticipantInfo | None,
        at: Moment,
    ) -> None:
        """One job for every name space that workers of this name and type are in."""
        spec = dispatch.spec
        namespaces = {
            worker.registration.namespace
            for worker in self.workers.values()
            if worker.serves(spec.agent_name, spec.deployment, job_type)
        }
        for namespace in sorted(namespaces):
            job = Job(new_sid(JOB), dispatch, job_type, room.info, who, namespace)
            if len(room.live) >= MAX_LIVE_JOBS:
                self._actions.append(Unserved(job, f"the room has {MAX_LIVE_JOBS} jobs"))
                continue
            room.live[job.job_id] = self._jobs[job.job_id] = job
            self._ask_next(job, at)

    def _ask_next(self, job: Job, at: Moment) -> None:
        spec = job.dispatch.spec
        worker = choose(
            (
                w
                for w in self.workers.values()
                if w.serves(spec.agent_name, spec.deployment, job.job_type)
                and w.registration.namespace == job.namespace
                and w.worker_id not in job.tried
            ),
            self._chance,
        )
        if worker is None:
            why = "no worker that has room left takes it"
            self._actions.append(Unserved(job, why))
            self._end(job, JobStatus.FAILED, job.error or why, at)
            return
        job.tried.add(worker.worker_id)
        job.phase, job.due_s, job.worker_id = Phase.ASKED, at.s + ANSWER_S, worker.worker_id
        job.status, job.updated_ns = JobStatus.PENDING, at.wall_ns
        worker.jobs.add(job.job_id)
        self._actions.append(Ask(worker.worker_id, job))

    def _assign(self, job: Job, answer: Answer, at: Moment) -> None:
        room = self.rooms[job.room.sid]
        before = room.agents.get(answer.identity)
        if before is not None and before is not job:
            self._terminate(before)
            self._end(before, JobStatus.FAILED, "another job took its identity", at)
        job.phase, job.due_s = Phase.ASSIGNED, at.s + self._join_s
        job.identity, job.status, job.error = answer.identity, JobStatus.RUNNING, ""
        job.started_ns = job.updated_ns = at.wall_ns
        room.agents[answer.identity] = job
        room.leaving.pop(answer.identity, None)
        is_new = job.job_id not in job.dispatch.jobs
        job.dispatch.jobs[job.job_id] = job
        self._actions.append(Assign(job.worker_id, job, answer))
        if is_new:
            self._actions.append(Started(job))

    def _retry(self, job: Job, why: str, at: Moment) -> None:
        """A worker took the job and nobody came: the next one, where the dispatch allows it."""
        self._release(job)
        if job.dispatch.spec.restart_policy is RestartPolicy.NEVER:
            self._end(job, JobStatus.FAILED, why, at)
        else:
            job.error = why
            self._ask_next(job, at)

    def _terminate(self, job: Job) -> None:
        if job.worker_id in self.workers and job.phase in (Phase.ASSIGNED, Phase.PRESENT):
            self._actions.append(Terminate(job.worker_id, job))

    def _release(self, job: Job) -> None:
        """The worker has nothing to do with the job any more."""
        if worker := self.workers.get(job.worker_id):
            worker.jobs.discard(job.job_id)
        room = self.rooms.get(job.room.sid)
        if room is not None and room.agents.get(job.identity) is job:
            del room.agents[job.identity]

    def _end(self, job: Job, status: JobStatus, error: str, at: Moment) -> None:
        self._release(job)
        job.phase, job.status, job.error = Phase.ENDED, status, error
        job.updated_ns = job.ended_ns = at.wall_ns
        self._jobs.pop(job.job_id, None)
        if room := self.rooms.get(job.room.sid):
            room.live.pop(job.job_id, None)
        kept = job.dispatch.jobs
        if job.started_ns:
            self._actions.append(Ended(job))
        over = [job_id for job_id, one in kept.items() if not one.is_live]
        for job_id in over[: len(over) - MAX_ENDED_JOBS if len(over) > MAX_ENDED_JOBS else 0]:
            del kept[job_id]
