"""Workers that are killed, stopped, lie or flood: their participant alone notices."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from roomful.model.enums import DisconnectReason
from roomful_media.job import WorkerLost, WorkerReady
from roomful_media.worker_exit import EndReason
from tests.interop.guest import guest
from tests.interop.media import until

from .clips import missing
from .conftest import ROOM, open_house
from .worker_jobs import WITNESS_ROOM, Running, Studio, Witness, clip, witness, worker_environment

GAP_MS = 100.0
"""where nothing happens it is 20; a busy machine makes more of it"""


@pytest.fixture
async def studio(tmp_path: Path) -> AsyncIterator[Studio]:
    (site := tmp_path / "site").mkdir()
    async with open_house(tmp_path / "data", worker_environment=worker_environment(site)) as house:
        yield Studio(house)


async def assert_unharmed(others: Witness) -> None:
    """Nothing of what the witness sent since it was asked last was lost or held up."""
    await asyncio.sleep(0.5)
    hearing = await others.heard()
    assert hearing.sent >= 20
    assert hearing.lost == 0, hearing
    # how late the witness's own sender was says how much of a gap is the machine's doing
    assert hearing.gap_p99 <= GAP_MS + 2 * hearing.sender_late_p99, hearing
    assert hearing.signal_open


def muted(job: Running) -> bool:
    [publication] = job.participant.publications.values()
    return publication.info.muted


async def test_a_killed_worker_is_replaced_under_the_same_tracks(studio: Studio) -> None:
    async with guest(studio.house.door, "listener", ROOM) as listener:
        job = await studio.start("speaker", restarts=3, clip=clip(440))
        ear = await listener.ear("job")
        await ear.hears_tone(440)
        sids, rows = set(job.participant.publications), studio.house.rows

        for number in range(3):
            listener.forget()
            os.kill(job.pids[-1], signal.SIGKILL)
            await until(lambda: muted(job), within=1.0, what="muted")
            await until(lambda: not muted(job), within=20, what="unmuted")
            await until(lambda count=number + 2: len(job.pids) == count)
            await ear.hears_tone(440)
            await listener.hears_of("track_unmuted")
            assert not listener.told("track_unsubscribed")
            assert not listener.told("participant_disconnected")

        assert set(job.participant.publications) == sids
        assert [told["track_sid"] for told in job.said("published")] == [*sids] * 4
        assert studio.house.rows == rows
        kinds = [type(event) for event in job.events if not isinstance(event, dict)]
        assert kinds == [WorkerReady, *([WorkerLost, WorkerReady] * 3)]


async def test_who_hears_others_loses_nothing_when_workers_are_killed(studio: Studio) -> None:
    async with (
        witness(studio.house) as others,
        studio.house.actor("ear", room=WITNESS_ROOM) as listener,
    ):
        job = await studio.start("speaker", room=WITNESS_ROOM, restarts=3, clip=clip(440))
        counter = await studio.start("counter", "counter", room=WITNESS_ROOM, restarts=3)
        heard = lambda: len(listener.got("job audio").packets)  # noqa: E731
        await until(lambda: heard() >= 50 and bool(counter.said("counted")), within=20)
        await assert_unharmed(others)
        for number in range(3):
            for one in (job, counter):
                os.kill(one.pids[-1], signal.SIGKILL)
            await until(lambda count=number + 2: len(counter.pids) == count, within=20)
            await until(lambda: not muted(job), within=20)
            before = heard()
            await until(lambda count=before: heard() >= count + 50)
            await assert_unharmed(others)
        assert missing(listener.got("job audio").packets) == 0
        assert listener.got("job audio").ends == 0


async def test_a_killed_subscriber_subscribes_again(studio: Studio) -> None:
    async with studio.house.actor("talker") as talker:
        talker.speak(440)
        counter = await studio.start("counter", restarts=1)
        await until(lambda: bool(counter.said("counted")), within=20)
        os.kill(counter.pids[0], signal.SIGKILL)
        await until(lambda: studio.house.rows == (1, 0), within=1.0, what="its sink is gone")
        count = len(counter.said("counted"))
        await until(lambda: len(counter.said("counted")) >= count + 2, within=20)
        assert studio.house.rows == (1, 1)
        assert counter.said("counted")[-1]["missing"] == 0


async def test_a_killed_job_that_is_not_restarted_leaves(studio: Studio) -> None:
    async with guest(studio.house.door, "listener", ROOM) as listener:
        job = await studio.start("speaker", clip=clip(440))
        await listener.ear("job")
        os.kill(job.pids[0], signal.SIGKILL)
        await listener.hears_of("participant_disconnected", lambda who: who.identity == "job")
        assert job.participant.disconnect_reason is DisconnectReason.MEDIA_FAILURE
        assert job.job.exit is not None
        assert job.job.exit.worker.signal == signal.SIGKILL
        await until(lambda: studio.house.rows[0] == 0)


async def test_a_stopped_worker_ends_within_ten_seconds(studio: Studio) -> None:
    async with (
        witness(studio.house) as others,
        studio.house.actor("talker", room=WITNESS_ROOM) as talker,
    ):
        talker.speak(440)
        job = await studio.start("counter", room=WITNESS_ROOM)
        await until(lambda: len(job.said("counted")) >= 2, within=20)
        await others.heard()
        os.kill(job.pids[0], signal.SIGSTOP)
        exit_ = await asyncio.wait_for(job.job.ended(), 10)
        assert exit_.reason is EndReason.HUNG
        await until(lambda: not studio.is_here(job, WITNESS_ROOM))
        assert job.participant.disconnect_reason is DisconnectReason.MEDIA_FAILURE
        await assert_unharmed(others)


@pytest.mark.parametrize(
    ("lie", "detail"),
    [
        ("garbage", ""),
        ("foreign_stream", "not of this link"),
        ("wrong_publish", "'kind' is no str"),
        ("name_twice", "'voice' is published"),
        ("command_flood", "commands a second"),
    ],
)
async def test_a_worker_that_lies_ends_alone(studio: Studio, lie: str, detail: str) -> None:
    async with witness(studio.house) as others:
        job = await studio.start("liar", room=WITNESS_ROOM, lie=lie)
        exit_ = await asyncio.wait_for(job.job.ended(), 15)
        assert exit_.reason is EndReason.PROTOCOL
        assert detail in exit_.detail
        await until(lambda: not studio.is_here(job, WITNESS_ROOM))
        assert job.participant.disconnect_reason is DisconnectReason.MEDIA_FAILURE
        await assert_unharmed(others)
    await until(lambda: studio.house.rows == (0, 0))


async def test_a_worker_that_floods_loses_its_track_and_harms_nobody(studio: Studio) -> None:
    async with witness(studio.house) as others:
        job = await studio.start("liar", room=WITNESS_ROOM, lie="packet_flood")
        await until(lambda: bool(job.participant.publications))
        await until(lambda: not job.participant.publications, within=20, what="refused")
        await assert_unharmed(others)
        await job.job.stop(1.0)


async def test_times_that_cannot_be_reach_nobody(studio: Studio) -> None:
    async with (
        witness(studio.house) as others,
        studio.house.actor("ear", room=WITNESS_ROOM) as listener,
    ):
        job = await studio.start("liar", room=WITNESS_ROOM, lie="wrong_times")
        sound = lambda: listener.got("job audio")  # noqa: E731
        await until(lambda: bool(sound().clocks) and len(sound().packets) >= 90, within=20)
        now_ns = time.monotonic_ns()
        apart = [now_ns - came for came in sound().arrivals_ns + [c[2] for c in sound().clocks]]
        assert 0 <= min(apart) <= max(apart) < 60e9
        await assert_unharmed(others)
        assert studio.is_here(job, WITNESS_ROOM)
        await job.job.stop(1.0)


async def test_what_a_worker_may_not_publish_is_refused(studio: Studio) -> None:
    job = await studio.start("speaker", clip=clip(440), may_publish=False)
    await until(lambda: bool(job.said("refused")))
    assert job.said("refused")[0]["code"] == "permission_denied"
    assert studio.is_here(job)
    assert studio.house.rows == (0, 0)
