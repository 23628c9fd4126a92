"""Participants that are media workers, beside the Python SDK and actors: what they hear and tell."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from roomful.errors import LocalProtocolError, NotFound, RequestError, Unavailable
from roomful.limits import Lease
from roomful.model.enums import DisconnectReason
from roomful_media.worker_exit import EndReason
from tests.interop.guest import guest
from tests.interop.media import until

from .conftest import ROOM, open_house
from .worker_jobs import Studio, alive, clip, descriptors, lasting, worker_environment


@pytest.fixture
async def studio(tmp_path: Path) -> AsyncIterator[Studio]:
    (site := tmp_path / "site").mkdir()
    async with open_house(tmp_path / "data", worker_environment=worker_environment(site)) as house:
        yield Studio(house)


async def test_an_sdk_hears_what_a_worker_publishes(studio: Studio) -> None:
    async with guest(studio.house.door, "listener", ROOM) as listener:
        await studio.start("speaker", clip=clip(440))
        ear = await listener.ear("job")
        await ear.hears_tone(440)


async def test_a_worker_that_is_loud_is_an_active_speaker(studio: Studio) -> None:
    async with guest(studio.house.door, "listener", ROOM) as listener:
        loud = await studio.start("test_source", "loud", video=None, audio={"level_dbfs": -12})
        quiet = await studio.start("test_source", "quiet", video=None, audio={"level_dbfs": -70})
        await listener.hears_of(
            "active_speakers_changed", lambda who: [p.identity for p in who] == ["loud"]
        )
        assert studio.is_here(loud)
        assert studio.is_here(quiet)


async def test_a_worker_counts_what_everybody_publishes_now_and_later(studio: Studio) -> None:
    async with (
        guest(studio.house.door, "talker", ROOM) as talker,
        studio.house.actor("early") as early,
        studio.house.actor("late") as late,
    ):
        early.speak(440)
        counter = await studio.start("counter", match={"kinds": ["audio"]})
        await talker.speak(660)
        late.speak(550)
        late.show()

        def counted(identity: str) -> int:
            told = [m for m in counter.said("counted") if m["identity"] == identity]
            return max((m["packets"] for m in told), default=0)

        for identity in ("early", "late", "talker"):
            await until(lambda who=identity: counted(who) >= 100, within=20, what=identity)
        local = [m for m in counter.said("counted") if m["identity"] != "talker"]
        assert {m["missing"] for m in local} == {0}
        known = {who["identity"] for m in counter.said("participants") for who in m["participants"]}
        assert known == {"early", "late", "talker"}

        late.here.leave()
        await until(lambda: any(m["identity"] == "late" for m in counter.said("ended")))
        ended = [m["identity"] for m in counter.said("ended")]
        assert ended == ["late"]


async def test_a_participant_leaves_when_its_job_is_done(studio: Studio) -> None:
    async with guest(studio.house.door, "listener", ROOM) as listener:
        job = await studio.start("speaker", clip=clip(440), packets=25)
        exit_ = await asyncio.wait_for(job.job.ended(), 20)
        assert (exit_.reason, exit_.worker.result) == (
            EndReason.DONE,
            {"packets": 25, "reason": "all was said"},
        )
        await listener.hears_of("participant_disconnected", lambda who: who.identity == "job")
        assert job.participant.disconnect_reason is DisconnectReason.CLIENT_INITIATED
    await until(lambda: studio.house.rows == (0, 0))


async def test_a_worker_stops_in_order_when_its_participant_is_removed(studio: Studio) -> None:
    job = await studio.start("speaker", clip=clip(440))
    await until(lambda: bool(job.said("published")))
    await studio.remove("job")

    exit_ = await asyncio.wait_for(job.job.ended(), 10)
    assert exit_.reason is EndReason.STOPPED
    assert exit_.worker.result is not None
    assert exit_.worker.result["reason"] == "the participant left: participant_removed"
    assert studio.house.rows == (0, 0)


async def test_a_newcomer_of_the_same_identity_ends_the_job(studio: Studio) -> None:
    job = await studio.start("speaker", clip=clip(440))
    other = await studio.start("counter")
    assert (await asyncio.wait_for(job.job.ended(), 10)).reason is EndReason.STOPPED
    assert job.participant.disconnect_reason is DisconnectReason.DUPLICATE_IDENTITY
    assert studio.is_here(other)


async def test_one_that_is_removed_while_its_worker_starts_leaves_no_job(studio: Studio) -> None:
    joining = asyncio.get_running_loop().create_task(studio.start("sleeper"))
    session = lambda: studio.house.inside.rooms.find(ROOM)  # noqa: E731
    await until(lambda: bool(studio.plane.jobs))
    assert session() is not None
    await studio.remove("job")

    with pytest.raises(NotFound):
        await asyncio.wait_for(joining, 20)
    await until(lambda: not studio.plane.jobs)


async def test_a_join_that_is_given_up_leaves_no_job(studio: Studio) -> None:
    joining = asyncio.get_running_loop().create_task(studio.start("sleeper"))
    await until(lambda: bool(studio.plane.jobs))
    joining.cancel()
    with pytest.raises(asyncio.CancelledError):
        await joining
    await until(lambda: not studio.plane.jobs)
    with pytest.raises(NotFound):
        studio.house.inside.rooms.of(ROOM).participant("job")


async def test_a_job_that_nobody_installed_is_no_participant(studio: Studio) -> None:
    with pytest.raises(Unavailable, match="no job 'dancer' is installed"):
        await studio.start("dancer")
    with pytest.raises(NotFound):
        studio.house.inside.rooms.of(ROOM).participant("job")


async def admitted(studio: Studio) -> Lease:
    """A lease; on a busy machine it may take a while."""
    leases: list[Lease] = []

    def admit() -> bool:
        lease = studio.house.inside.limits.admit("trial", 0.01, ROOM)
        if isinstance(lease, Lease):
            leases.append(lease)
        return bool(leases)

    await until(admit, within=60, what="admission")
    return leases[0]


async def test_the_lease_of_a_job_is_watched_and_released(studio: Studio) -> None:
    lease, limits = await admitted(studio), studio.house.inside.limits
    job = await studio.start("speaker", clip=clip(440), lease=lease)
    assert lease.is_watched
    await until(lambda: lease.used_s > 0)
    assert lease in limits.leases()
    await job.job.stop()
    assert (await job.job.ended()).reason is EndReason.STOPPED
    await until(lambda: lease not in limits.leases())


@pytest.mark.parametrize("kind", ["dancer", "speaker"])
async def test_the_lease_of_a_job_that_does_not_begin_is_released(
    studio: Studio, kind: str
) -> None:
    lease = await admitted(studio)
    if kind == "speaker":
        with pytest.raises(LocalProtocolError):
            await studio.start(kind, lease=lease, clip="x" * 70_000)
    else:
        with pytest.raises(RequestError):
            await studio.start(kind, lease=lease)
    assert lease not in studio.house.inside.limits.leases()


async def test_nothing_is_left_when_jobs_came_and_went(studio: Studio) -> None:
    async with studio.house.actor("talker") as talker:
        talker.speak(440)
        warm = await studio.start("speaker", "warm", clip=clip(440))
        await warm.job.stop()
        await until(lambda: studio.house.rows == (1, 0))
        gc.collect()
        before = descriptors()
        pids: list[int] = []
        for number in range(4):
            speaker = await studio.start("speaker", f"speaker {number}", clip=clip(440))
            counter = await studio.start("counter", f"counter {number}")
            await until(lambda one=counter: len(one.said("counted")) >= 2, within=20)
            await asyncio.gather(speaker.job.stop(), counter.job.stop())
            pids += speaker.pids + counter.pids
        await until(lambda: studio.house.rows == (1, 0))
        gc.collect()

        assert len(pids) == 8
        assert not any(map(alive, pids))
        assert not studio.plane.jobs
        assert await lasting(before) == set()
        board = studio.plane._board
        assert board is not None
        assert (len(board.streams), len(board.sinks), len(board.locals)) == (1, 0, 1)
        assert set(studio.house.inside.rooms.of(ROOM).room.participants) == {"talker"}


async def test_stopping_the_server_ends_the_workers(tmp_path: Path) -> None:
    (site := tmp_path / "site").mkdir()
    async with open_house(tmp_path / "data", worker_environment=worker_environment(site)) as house:
        studio = Studio(house)
        jobs = [await studio.start("speaker", f"job {n}", clip=clip(440)) for n in range(2)]
        await until(lambda: all(job.pids for job in jobs))
    assert [job.job.exit and job.job.exit.reason for job in jobs] == [EndReason.STOPPED] * 2
    assert not any(alive(pid) for job in jobs for pid in job.pids)
    assert jobs[0].participant.disconnect_reason is DisconnectReason.SERVER_SHUTDOWN
