"""Who gets which job, with time and chance in the test's hands."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count

import pytest

from roomful.errors import NotFound, ResourceExhausted
from roomful.model.enums import DisconnectReason, ParticipantKind, ParticipantState
from roomful.model.events import RoomInfo, RoomOptions
from roomful.model.participant import ParticipantInfo
from roomful.model.permission import Permission
from roomful_agents import dispatcher as machine
from roomful_agents import placement
from roomful_agents.actions import (
    Action,
    Answer,
    Ask,
    Assign,
    Ended,
    Expel,
    Started,
    Terminate,
    Unserved,
)
from roomful_agents.dispatcher import Dispatcher
from roomful_agents.job import Dispatch, DispatchSpec, Job, Moment, Phase
from roomful_agents.words import JobStatus, JobType, RestartPolicy
from roomful_agents.worker import Registration

JOIN_S = 60.0
ROOM = RoomInfo("RM_1", "room", RoomOptions(), "", 0)


def registration(name: str = "", kind: JobType = JobType.ROOM, namespace: str = "") -> Registration:
    return Registration(name, namespace, kind, "", Permission(agent=True), "key")


def participant(identity: str, kind: ParticipantKind = ParticipantKind.STANDARD) -> ParticipantInfo:
    return ParticipantInfo(
        sid=f"PA_{identity}", identity=identity, name="", kind=kind,
        state=ParticipantState.ACTIVE, metadata="", attributes={},
        permission=Permission(agent=kind is ParticipantKind.AGENT), joined_at_ms=0, version=0,
    )  # fmt: skip


@dataclass
class Desk:
    """A dispatcher and the clock of the test."""

    chance: Callable[[], float] = lambda: 0.0
    s: float = 100.0
    machine: Dispatcher = field(init=False)
    identities: count[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.machine = Dispatcher(self.chance, JOIN_S)

    @property
    def at(self) -> Moment:
        return Moment(self.s, int(self.s * 1e9))

    def worker(self, worker_id: str, *args: object, load: float = 0.0) -> None:
        self.machine.register(worker_id, registration(*args))  # type: ignore[arg-type]
        self.machine.update_worker(worker_id, True, load)

    def start(self, *specs: DispatchSpec) -> list[Action]:
        self.machine.room_started(ROOM, specs, self.at)
        return self.actions()

    def actions(self) -> list[Action]:
        return self.machine.take_actions()

    def asked(self) -> tuple[str, Job]:
        """The one worker that was asked just now."""
        asks = [a for a in self.actions() if isinstance(a, Ask)]
        assert len(asks) == 1
        return asks[0].worker_id, asks[0].job

    def say(self, worker_id: str, job: Job, available: bool = True) -> list[Action]:
        answer = Answer(available, identity=f"agent-{next(self.identities)}")
        self.machine.answer(worker_id, job.job_id, answer, self.at)
        return self.actions()

    def join(self, who: ParticipantInfo) -> list[Action]:
        self.machine.participant_joined(ROOM, who, self.at)
        return self.actions()

    def leave(self, who: ParticipantInfo) -> list[Action]:
        self.machine.participant_left(ROOM.sid, who, self.at)
        return self.actions()

    def wait(self, seconds: float) -> list[Action]:
        self.s += seconds
        self.machine.advance(self.at)
        return self.actions()

    @property
    def dispatches(self) -> list[Dispatch]:
        return list(self.machine.rooms[ROOM.sid].dispatches.values())


def kinds(actions: list[Action]) -> list[type]:
    return [type(action) for action in actions]


def agent_of(job: Job) -> ParticipantInfo:
    return participant(job.identity, ParticipantKind.AGENT)


def present(desk: Desk, worker_id: str = "a") -> Job:
    """A room with one job, whose agent is there."""
    desk.worker(worker_id)
    (ask,) = desk.start()
    assert isinstance(ask, Ask)
    desk.say(worker_id, ask.job)
    desk.join(agent_of(ask.job))
    assert ask.job.phase is Phase.PRESENT
    return ask.job


def test_a_room_that_starts_goes_to_an_unnamed_worker() -> None:
    desk = Desk()
    desk.worker("a")
    desk.worker("named", "helper")
    (ask,) = desk.start()
    assert isinstance(ask, Ask) and ask.worker_id == "a"
    assert ask.job.status is JobStatus.PENDING and not desk.dispatches[0].jobs

    assign, started = desk.say("a", ask.job)
    assert isinstance(assign, Assign) and isinstance(started, Started)
    assert ask.job.status is JobStatus.RUNNING
    assert list(desk.dispatches[0].jobs.values()) == [ask.job]


def test_options_that_name_agents_leave_unnamed_workers_alone() -> None:
    desk = Desk()
    desk.worker("a")
    desk.worker("b", "helper")
    (ask,) = desk.start(DispatchSpec("helper", "for you"))
    assert isinstance(ask, Ask) and ask.worker_id == "b"
    assert ask.job.dispatch.spec.metadata == "for you"


def test_each_name_space_gets_a_job() -> None:
    desk = Desk()
    for worker_id, namespace in (("a", "x"), ("b", "y"), ("c", "x")):
        desk.worker(worker_id, "", JobType.ROOM, namespace)
    asks = desk.start()
    assert [a.job.namespace for a in asks if isinstance(a, Ask)] == ["x", "y"]


def test_workers_for_participants_and_publishers() -> None:
    desk = Desk()
    desk.worker("people", "", JobType.PARTICIPANT)
    desk.worker("tracks", "", JobType.PUBLISHER)
    assert not desk.start()
    caller = participant("caller")
    (ask,) = desk.join(caller)
    assert isinstance(ask, Ask) and ask.worker_id == "people" and ask.job.participant == caller
    assert not desk.join(caller)

    desk.machine.track_published(ROOM, caller, desk.at)
    worker_id, job = desk.asked()
    assert worker_id == "tracks" and job.job_type is JobType.PUBLISHER
    desk.machine.track_published(ROOM, caller, desk.at)
    assert not desk.actions()


def test_publisher_is_served_whose_track_is_told_before_its_joining() -> None:
    desk = Desk()
    desk.worker("tracks", "", JobType.PUBLISHER)
    desk.start()
    desk.machine.track_published(ROOM, participant("caller"), desk.at)
    assert desk.asked()[0] == "tracks"
    assert not desk.join(participant("caller"))


def test_worker_cannot_take_the_identity_of_who_is_there() -> None:
    desk = Desk()
    desk.worker("one")
    desk.worker("two")
    desk.join(participant("nobody"))
    asks = desk.start()
    desk.join(participant("caller"))
    (ask,) = [a for a in asks if isinstance(a, Ask)]

    desk.machine.answer(ask.worker_id, ask.job.job_id, Answer(True, identity="caller"), desk.at)

    other, job = desk.asked()
    assert other != ask.worker_id and job is ask.job


def test_agents_and_recorders_want_no_agents() -> None:
    desk = Desk()
    desk.worker("people", "", JobType.PARTICIPANT)
    desk.start()
    assert not desk.join(participant("bot", ParticipantKind.AGENT))
    assert not desk.join(participant("tape", ParticipantKind.EGRESS))
    assert desk.join(participant("phone", ParticipantKind.SIP))


def test_a_late_dispatch_is_for_everybody_who_is_there() -> None:
    desk = Desk()
    desk.worker("people", "helper", JobType.PARTICIPANT)
    desk.start()
    desk.join(participant("one"))
    desk.join(participant("two"))
    desk.machine.create_dispatch(ROOM.sid, DispatchSpec("helper"), desk.at)
    asks = [a for a in desk.actions() if isinstance(a, Ask)]
    assert [a.job.participant.identity for a in asks if a.job.participant] == ["one", "two"]


def test_choice_follows_the_free_load() -> None:
    desk = Desk(random.Random(7).random)
    desk.worker("light", load=0.2)
    desk.worker("heavy", load=0.6)
    chosen = {"light": 0, "heavy": 0, "full": 0}
    desk.worker("full", load=1.0)
    desk.start()
    for _ in range(3000):
        dispatch = desk.machine.create_dispatch(ROOM.sid, DispatchSpec(), desk.at)
        worker_id, _job = desk.asked()
        chosen[worker_id] += 1
        desk.machine.delete_dispatch(ROOM.sid, dispatch.dispatch_id, desk.at)
    assert chosen["full"] == 0
    # two thirds of 3000, four standard deviations
    assert abs(chosen["light"] - 2000) < 4 * (3000 * 2 / 9) ** 0.5


def test_an_unavailable_worker_is_not_asked() -> None:
    desk = Desk()
    desk.worker("a")
    desk.machine.update_worker("a", False, 0.0)
    (nobody,) = desk.start()
    assert isinstance(nobody, Unserved)
    desk.machine.update_worker("a", None, 0.0)
    desk.machine.create_dispatch(ROOM.sid, DispatchSpec(), desk.at)
    assert kinds(desk.actions()) == [Unserved]


def test_a_no_and_silence_lead_to_the_next_worker_each_once() -> None:
    desk = Desk()
    for worker_id in "abc":
        desk.worker(worker_id)
    (first,) = desk.start()
    assert isinstance(first, Ask) and first.worker_id == "a"
    (second,) = desk.say("a", first.job, available=False)
    assert isinstance(second, Ask) and second.worker_id == "b"
    assert not desk.wait(9.9)
    (third,) = desk.wait(0.2)
    assert isinstance(third, Ask) and third.worker_id == "c"
    assert not desk.say("b", first.job), "an answer that comes too late counts for nothing"
    assert kinds(desk.wait(10)) == [Unserved]
    assert not desk.dispatches[0].jobs
    assert not desk.machine.rooms[ROOM.sid].live


def test_a_worker_may_refuse_for_everybody() -> None:
    desk = Desk()
    desk.worker("a")
    desk.worker("b")
    (ask,) = desk.start()
    assert isinstance(ask, Ask)
    desk.machine.answer("a", ask.job.job_id, Answer(False, terminate=True), desk.at)
    assert not desk.actions()
    assert ask.job.status is JobStatus.SUCCESS and ask.job.job_id in desk.dispatches[0].jobs


def test_only_the_one_that_was_asked_answers() -> None:
    desk = Desk()
    desk.worker("a")
    desk.worker("b")
    (ask,) = desk.start()
    assert isinstance(ask, Ask)
    assert not desk.say("b", ask.job)
    assert ask.job.phase is Phase.ASKED
    desk.machine.update_job("b", ask.job.job_id, JobStatus.FAILED, "", desk.at)
    assert ask.job.is_live


@pytest.mark.parametrize("assigned", [False, True])
def test_a_worker_that_dies_before_its_agent_joined_is_replaced(assigned: bool) -> None:
    desk = Desk()
    desk.worker("a")
    desk.worker("b")
    (ask,) = desk.start()
    assert isinstance(ask, Ask)
    if assigned:
        desk.say("a", ask.job)
    desk.machine.worker_gone("a", desk.at)
    worker_id, job = desk.asked()
    assert worker_id == "b" and job is ask.job
    assert Assign in kinds(desk.say("b", job))
    assert job.status is JobStatus.RUNNING and job.error == ""


def test_a_dispatch_may_forbid_the_second_try() -> None:
    desk = Desk()
    desk.worker("a")
    desk.worker("b")
    (ask,) = desk.start(DispatchSpec(restart_policy=RestartPolicy.NEVER))
    assert isinstance(ask, Ask)
    desk.say("a", ask.job)
    desk.machine.worker_gone("a", desk.at)
    assert kinds(desk.actions()) == [Ended]
    assert ask.job.status is JobStatus.FAILED and "went away" in ask.job.error


def test_a_worker_that_says_yes_and_never_comes_is_replaced() -> None:
    desk = Desk()
    desk.worker("a")
    desk.worker("b")
    (ask,) = desk.start()
    assert isinstance(ask, Ask)
    desk.say("a", ask.job)
    actions = desk.wait(JOIN_S)
    assert kinds(actions) == [Terminate, Ask]
    desk.say("b", ask.job)
    assert kinds(desk.wait(JOIN_S)) == [Terminate, Unserved, Ended]
    assert ask.job.status is JobStatus.FAILED and "did not join" in ask.job.error


def test_an_agent_that_is_there_survives_its_workers_connection() -> None:
    desk = Desk()
    job = present(desk)
    desk.machine.worker_gone("a", desk.at)
    assert not desk.actions() and job.status is JobStatus.RUNNING
    desk.worker("a2")
    desk.machine.adopt("a2", [job.job_id, "AJ_unknown"], desk.at)
    assert job.worker_id == "a2"
    desk.machine.update_job("a2", job.job_id, JobStatus.SUCCESS, "", desk.at)
    assert kinds(desk.actions()) == [Ended]


def test_nobody_adopts_the_job_of_a_worker_that_is_there() -> None:
    desk = Desk()
    job = present(desk)
    desk.worker("thief")
    desk.machine.adopt("thief", [job.job_id], desk.at)
    assert job.worker_id == "a"


def test_worker_and_agent_die_together() -> None:
    desk = Desk()
    job = present(desk)
    desk.machine.worker_gone("a", desk.at)
    assert kinds(desk.leave(agent_of(job))) == [Ended]
    assert job.status is JobStatus.FAILED


def test_the_agent_dies_first_then_the_worker() -> None:
    desk = Desk()
    job = present(desk)
    assert kinds(desk.leave(agent_of(job))) == [Terminate]
    desk.machine.worker_gone("a", desk.at)
    assert kinds(desk.actions()) == [Ended]
    assert job.status is JobStatus.FAILED


def test_a_worker_says_how_the_job_of_an_agent_that_left_ended() -> None:
    desk = Desk()
    job = present(desk)
    desk.leave(agent_of(job))
    desk.machine.update_job("a", job.job_id, JobStatus.RUNNING, "", desk.at)
    assert job.is_live
    desk.machine.update_job("a", job.job_id, JobStatus.SUCCESS, "", desk.at)
    assert kinds(desk.actions()) == [Ended] and job.status is JobStatus.SUCCESS


def test_a_worker_that_says_nothing_of_an_agent_that_left() -> None:
    desk = Desk()
    job = present(desk)
    desk.leave(agent_of(job))
    assert kinds(desk.wait(machine.REPORT_S)) == [Ended]
    assert (job.status, job.error) == (JobStatus.FAILED, "the agent left the room")


def test_an_agent_that_comes_again_keeps_its_job() -> None:
    desk = Desk()
    job = present(desk)
    again = replace(agent_of(job), disconnect_reason=DisconnectReason.DUPLICATE_IDENTITY)
    assert not desk.leave(again)
    assert not desk.join(agent_of(job))
    assert job.phase is Phase.PRESENT


def test_a_deleted_dispatch_ends_its_jobs_and_puts_agents_out() -> None:
    desk = Desk()
    job = present(desk)
    dispatch = desk.machine.delete_dispatch(ROOM.sid, desk.dispatches[0].dispatch_id, desk.at)
    assert kinds(desk.actions()) == [Terminate, Ended]
    assert job.status is JobStatus.SUCCESS and dispatch.deleted_ns
    assert not desk.wait(2.9)
    (expel,) = desk.wait(0.2)
    assert isinstance(expel, Expel) and expel.identity == job.identity
    with pytest.raises(NotFound, match="no dispatch"):
        desk.machine.delete_dispatch(ROOM.sid, dispatch.dispatch_id, desk.at)
    desk.join(participant("late"))
    assert not desk.dispatches


def test_an_agent_that_leaves_when_told_is_not_put_out() -> None:
    desk = Desk()
    job = present(desk)
    desk.machine.delete_dispatch(ROOM.sid, desk.dispatches[0].dispatch_id, desk.at)
    desk.leave(agent_of(job))
    desk.actions()
    assert not desk.wait(10)


def test_a_room_that_closes_ends_its_jobs() -> None:
    desk = Desk()
    job = present(desk)
    desk.machine.room_finished(ROOM.sid, desk.at)
    assert kinds(desk.actions()) == [Terminate, Ended]
    assert job.status is JobStatus.SUCCESS and not desk.machine.rooms
    desk.machine.worker_gone("a", desk.at)
    assert not desk.actions()


def test_a_second_job_of_one_identity_ends_the_first() -> None:
    desk = Desk()
    job = present(desk)
    desk.machine.create_dispatch(ROOM.sid, DispatchSpec(), desk.at)
    worker_id, other = desk.asked()
    desk.machine.answer(worker_id, other.job_id, Answer(True, identity=job.identity), desk.at)
    assert kinds(desk.actions()) == [Terminate, Ended, Assign, Started]
    assert job.status is JobStatus.FAILED and other.is_live


def test_tables_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "MAX_WORKERS", 2)
    monkeypatch.setattr(machine, "MAX_DISPATCHES", 3)
    monkeypatch.setattr(placement, "MAX_LIVE_JOBS", 2)
    monkeypatch.setattr(placement, "MAX_ENDED_JOBS", 1)
    desk = Desk()
    desk.worker("a")
    desk.worker("b", "", JobType.PARTICIPANT)
    with pytest.raises(ResourceExhausted, match="2 workers"):
        desk.worker("c")
    desk.start()
    for name in "xy":
        desk.join(participant(name))
    assert len(desk.machine.rooms[ROOM.sid].live) == 2
    for _ in range(2):
        desk.machine.create_dispatch(ROOM.sid, DispatchSpec("nobody"), desk.at)
    with pytest.raises(ResourceExhausted, match="3 dispatches"):
        desk.machine.create_dispatch(ROOM.sid, DispatchSpec(), desk.at)
    for job in list(desk.machine.rooms[ROOM.sid].live.values()):
        desk.say(job.worker_id, job)
        desk.machine.update_job(job.worker_id, job.job_id, JobStatus.SUCCESS, "", desk.at)
    assert len(desk.dispatches[0].jobs) == 1
    assert not any(worker.jobs for worker in desk.machine.workers.values())


def test_what_is_unknown_is_passed_over() -> None:
    desk = Desk()
    desk.machine.worker_gone("nobody", desk.at)
    desk.machine.update_worker("nobody", True, 0.5)
    desk.machine.answer("nobody", "AJ_x", Answer(True, identity="x"), desk.at)
    desk.machine.update_job("nobody", "AJ_x", JobStatus.SUCCESS, "", desk.at)
    desk.machine.room_finished("RM_x", desk.at)
    desk.join(participant("x"))
    desk.leave(participant("x"))
    desk.machine.track_published(ROOM, participant("x"), desk.at)
    assert not desk.actions()
