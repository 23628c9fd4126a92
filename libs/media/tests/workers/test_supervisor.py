"""Jobs in real workers: started, spoken to, stopped, started again."""

from __future__ import annotations

import asyncio
import logging
import os

import pytest

from roomful.errors import ConnectionLost, LocalProtocolError, Unavailable
from roomful_media import restarts
from roomful_media.job import WorkerLost, WorkerReady
from roomful_media.supervisor import WorkerSupervisor
from roomful_media.worker_exit import EndReason
from roomful_media.worker_run import WorkerSetting

from .listening import first, rest


async def test_job_is_started_spoken_to_and_stopped(supervisor, spec):
    job = await supervisor.start(spec("idle", tiles=4, _room="lobby", _cpu_cores=1.5))

    job.send({"t": "echo", "value": "Zoë"})
    assert (await first(job, "echoed"))["value"] == "Zoë"
    ended = await job.stop(5)

    assert ended.reason is EndReason.STOPPED
    assert (ended.worker.status, ended.worker.signal, ended.restarts) == (0, None, 0)
    result = ended.worker.result
    assert (result["spec"], result["room"]) == ({"tiles": 4}, "lobby")
    assert result["limits"]["cpu_cores"] == 1.5
    assert supervisor.jobs == ()


async def test_worker_is_started_bare(supervisor, spec, environment):
    job = await supervisor.start(spec("idle", key="stream-key-0123", _nice=3))

    told = await first(job, "started")

    assert "stream-key-0123" not in repr((told["argv"], told["environment"]))
    assert set(told["environment"]) - {"LC_CTYPE"} == set(environment)
    assert told["session"]
    assert told["nice"] == min(os.getpriority(os.PRIO_PROCESS, 0) + 3, 19)
    assert told["modules"] == []
    # standard ones, the link, what the loop needs (and the listing itself), nothing of ours
    assert len(told["descriptors"]) <= 9


async def test_kind_that_is_not_installed_is_refused_with_the_names_of_those_that_are(
    supervisor, spec
):
    with pytest.raises(Unavailable, match=r"'magic' is installed \(installed: .*idle"):
        await supervisor.start(spec("magic"))

    assert supervisor.jobs == ()


@pytest.mark.parametrize(
    ("kind", "says"),
    [("no_class", "no class"), ("not_there", "Nothing"), ("no_module", "trial_no_jobs")],
)
async def test_kind_that_cannot_be_loaded_fails_and_says_why(supervisor, spec, kind, says):
    with pytest.raises(Unavailable, match=says):
        await supervisor.start(spec(kind, _restarts=3))


async def test_interpreter_that_is_not_there_is_told(spec):
    async with WorkerSupervisor(WorkerSetting(python="/no/such/python")) as supervisor:
        with pytest.raises(Unavailable, match="no media worker can be started"):
            await supervisor.start(spec("idle"))


@pytest.mark.parametrize("inner", [{"value": {1, 2}}, {"value": "x" * 62_000}])
async def test_spec_that_cannot_be_sent_is_our_fault(supervisor, spec, inner):
    with pytest.raises(LocalProtocolError):
        await supervisor.start(spec("idle", **inner))

    assert supervisor.jobs == ()


async def test_id_is_taken_while_its_job_runs(supervisor, spec):
    first_job = spec("idle")
    job = await supervisor.start(first_job)
    with pytest.raises(LocalProtocolError, match="runs already"):
        await supervisor.start(first_job)
    await job.stop()

    await supervisor.start(first_job)


async def test_leaving_stops_all_jobs_and_takes_no_more(environment, spec):
    async with WorkerSupervisor(WorkerSetting(environment=environment)) as supervisor:
        jobs = [await supervisor.start(spec("idle")) for _ in range(3)]

    assert [job.exit.reason for job in jobs] == [EndReason.STOPPED] * 3
    with pytest.raises(Unavailable):
        await supervisor.start(spec("idle"))


async def test_error_around_the_supervisor_leaves_no_worker(environment, spec):
    with pytest.raises(ValueError, match="elsewhere"):
        async with WorkerSupervisor(WorkerSetting(environment=environment)) as supervisor:
            job = await supervisor.start(spec("idle"))
            raise ValueError("elsewhere")

    assert job.link is None


async def test_start_that_is_given_up_leaves_no_worker(supervisor, spec, until):
    async with asyncio.timeout(0.05):
        with pytest.raises(asyncio.CancelledError):
            await supervisor.start(spec("idle"))

    await until(lambda: not supervisor.jobs)


async def test_secrets_of_a_spec_are_not_shown(spec):
    assert "stream-key" not in repr(spec("idle", key="stream-key-0123"))


# -- how jobs end ----------------------------------------------------------------------------------


async def test_finished_job_says_its_result(supervisor, spec):
    job = await supervisor.start(spec("brief", how="done"))

    events = await rest(job)

    assert [event["t"] for event in events[1:]] == ["status", "done"]
    assert job.exit.reason is EndReason.DONE
    assert job.exit.worker.result == {"parts": 3}
    assert job.exit.worker.last_status == {"t": "status", "step": "begun"}
    with pytest.raises(ConnectionLost):
        job.send({"t": "echo"})


@pytest.mark.parametrize(
    ("how", "code", "retryable"),
    [
        ("invalid", "invalid_argument", False),
        ("unavailable", "unavailable", True),
        ("error", "internal", True),
    ],
)
async def test_failed_job_says_why(supervisor, spec, how, code, retryable):
    job = await supervisor.start(spec("brief", how=how))

    ended = await job.ended()

    assert ended.reason is EndReason.FAILED
    assert (ended.worker.failure.code, ended.worker.failure.retryable) == (code, retryable)


async def test_crash_leaves_status_signal_and_last_words(supervisor, spec):
    exits = await supervisor.start(spec("brief", how="exit"))
    segfaults = await supervisor.start(spec("brief", how="segfault"))

    assert (await exits.ended()).worker.status == 7
    worker = (await segfaults.ended()).worker
    assert (worker.reason, worker.status, worker.signal) == (EndReason.CRASHED, None, 11)
    assert "SIGSEGV" in worker.detail
    assert "Segmentation fault" in worker.output
    assert "trial_jobs.py" in worker.output
    assert worker.last_status == {"t": "status", "step": "begun"}
    assert worker.peak_rss_bytes > 1 << 20


async def test_what_a_worker_said_before_it_died_is_heard(supervisor, spec):
    job = await supervisor.start(spec("brief", how="flood_then_exit"))

    events = await rest(job)

    numbers = [event["number"] for event in events if isinstance(event, dict) and "number" in event]
    assert numbers == list(range(500))
    assert isinstance(events[-1], WorkerLost)


async def test_stop_that_is_not_followed_ends_in_a_kill(supervisor, spec):
    cancelled = await supervisor.start(spec("stubborn"))
    killed = await supervisor.start(spec("stubborn", always=True))

    by_cancel, by_kill = await asyncio.gather(cancelled.stop(1.0), killed.stop(1.0))

    assert by_cancel.worker.failure.code == "deadline_exceeded"
    assert by_cancel.worker.last_status["step"] == "cancelled"
    assert (by_kill.reason, by_kill.worker.signal) == (EndReason.OVERDUE, 9)


async def test_first_to_stop_sets_the_deadline(supervisor, spec):
    job = await supervisor.start(spec("idle"))

    both = await asyncio.gather(job.stop(3, "one"), job.stop(0, "two"))

    assert both[0] == both[1]
    assert job.stop_reason == "one"


# -- restarts --------------------------------------------------------------------------------------


async def test_recorder_gets_three_new_workers(supervisor, spec, caplog):
    caplog.set_level(logging.INFO)
    job = await supervisor.start(spec("recorder", _log_fields={"egress": "EG_1"}))
    seen = []

    async with asyncio.timeout(30):
        async for event in job.messages():
            if isinstance(event, WorkerReady):
                seen.append(event.restarts)
                job.send({"t": "die"})
            elif isinstance(event, WorkerLost):
                seen.append(event.restart_in_s)

    assert seen == [0, 0.2, 1, 0.4, 2, 0.8, 3, None]
    assert (job.exit.restarts, job.exit.worker.signal) == (3, 9)
    assert "restarted 3 times" in job.exit.detail
    lost = [record for record in caplog.records if record.message == "media worker lost"]
    assert [record.levelname for record in lost] == ["WARNING"] * 3 + ["ERROR"]
    assert {record.egress for record in lost} == {"EG_1"}


async def test_audio_bridge_and_unknown_kinds_get_no_new_worker(supervisor, spec):
    for kind in ("audio_bridge", "crasher"):
        job = await supervisor.start(spec(kind))
        job.send({"t": "die"})
        events = await rest(job)
        assert [type(event) for event in events if not isinstance(event, dict)] == [
            WorkerReady,
            WorkerLost,
        ]


async def test_transcoder_that_ends_at_once_is_not_replaced(supervisor, spec, monkeypatch):
    monkeypatch.setattr(restarts, "ROWS", {"crasher": restarts.ROWS["transcoder"]})
    job = await supervisor.start(spec("crasher"))
    job.send({"t": "die"})

    ended = await job.ended()

    assert ended.restarts == 0
    assert "before it ran for 10 s" in ended.detail


async def test_retryable_failure_asks_the_table(supervisor, spec):
    job = await supervisor.start(spec("brief", how="unavailable", _restarts=1))

    assert (await job.ended()).restarts == 1


async def test_stop_while_waiting_for_a_new_worker_ends_the_job(supervisor, spec):
    job = await supervisor.start(spec("recorder"))
    job.send({"t": "die"})
    async for event in job.messages():
        if isinstance(event, WorkerLost):
            with pytest.raises(ConnectionLost):
                job.send({"t": "die"})
            break

    ended = await job.stop()

    assert ended.restarts == 1
    assert ended.worker.signal == 9
