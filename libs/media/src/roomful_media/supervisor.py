"""Starts the workers of jobs, starts them again where the restart table says so, ends them.

    async with WorkerSupervisor() as supervisor:
        job = await supervisor.start(spec)

One task per job. A worker that crashes, hangs, leaks or lies ends alone: what it costs the server
is bounded, and nothing here waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from roomful.errors import ConfigError, LocalProtocolError, ResourceExhausted, Unavailable
from roomful_media.job import Job, JobExit, JobSpec, WorkerLost
from roomful_media.restarts import Restarts, Verdict, row_of
from roomful_media.worker_exit import EndReason, WorkerExit, failed_start
from roomful_media.worker_run import LinkUser, WorkerRun, WorkerSetting
from roomful_rtc.link.control import control_record

log = logging.getLogger(__name__)

STOP_WITHIN_S = 5.0
JOBS_MOST = 1000
"""at once; admission is somebody else's, this is against loops that start jobs"""


class WorkerSupervisor:
    """All jobs of a server. Entered in the thread that lives as long as the server.

    Args:
        setting: environment, interpreter and clock of all workers.
    """

    def __init__(self, setting: WorkerSetting | None = None) -> None:
        self._setting = setting or WorkerSetting()
        self._jobs: dict[str, Job] = {}
        self._tasks = asyncio.TaskGroup()
        self._closing = True

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._closing = False
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing = True
        for job in self.jobs:
            job.ask_to_stop(STOP_WITHIN_S, "the server ends")
        # an error of the caller is no reason to kill what may end in order
        await self._tasks.__aexit__(None, None, None)

    @property
    def jobs(self) -> tuple[Job, ...]:
        """Those that have not ended."""
        return tuple(self._jobs.values())

    async def start(
        self,
        spec: JobSpec,
        user: LinkUser | None = None,
        on_process: Callable[[int], None] | None = None,
    ) -> Job:
        """Start a job; return when its worker listens.

        Args:
            spec: what to do.
            user: who gives its workers their streams.
            on_process: called with the pid of each of its workers.

        Raises:
            LocalProtocolError: the id is taken, or the spec is no JSON or too long.
            ResourceExhausted: too many jobs.
            Unavailable: its worker did not come up; the message says why. Or we are stopping.
        """
        if self._closing:
            raise Unavailable("media workers are being stopped")
        if spec.job_id in self._jobs:
            raise LocalProtocolError(f"job {spec.job_id!r} runs already")
        if len(self._jobs) >= JOBS_MOST:
            raise ResourceExhausted(f"{JOBS_MOST} jobs run already")
        control_record({"t": "welcome", "spec": spec.spec})
        job = self._jobs[spec.job_id] = Job(spec, on_process)
        self._tasks.create_task(self._run(job, user))
        try:
            await job.begun()
        except asyncio.CancelledError:
            job.ask_to_stop(0.0, "nobody waits for it")
            raise
        if job.exit is not None and not job.was_ready:
            raise Unavailable(f"job {spec.kind!r} did not start: {job.exit.detail}")
        return job

    async def _run(self, job: Job, user: LinkUser | None) -> None:
        exit_ = await _JobTask(job, user, self._setting).run()
        del self._jobs[job.spec.job_id]
        job.end(exit_)


class _JobTask:
    """One job: its workers, one after the other."""

    def __init__(self, job: Job, user: LinkUser | None, setting: WorkerSetting) -> None:
        self._job, self._user, self._setting = job, user, setting
        spec = job.spec
        self._restarts = Restarts(row_of(spec.kind, spec.restarts))
        self._fields = {**spec.log_fields, "job": spec.job_id, "job_kind": spec.kind}

    async def run(self) -> JobExit:
        """Run the job to its end. What goes wrong here ends this job only."""
        job = self._job
        while True:
            exit_ = await self._worker()
            verdict = self._verdict(exit_)
            orderly = exit_.final or job.stop_asked.is_set()
            if not orderly:
                job.put(WorkerLost(exit_, verdict.pause_s))
            self._log(exit_, verdict, orderly=orderly)
            if verdict.pause_s is None or await self._stopped_within(verdict.pause_s):
                return JobExit(exit_, self._restarts.count, f"{exit_.detail}; {verdict.why}")

    async def _worker(self) -> WorkerExit:
        run = WorkerRun(self._job, self._user, self._setting, self._restarts.count)
        try:
            return await run.run()
        except ConfigError as error:
            return failed_start(error.message)
        except Exception as error:
            log.exception("a media worker was not watched to its end", extra=self._fields)
            return failed_start(f"{type(error).__name__} in the server")

    def _verdict(self, exit_: WorkerExit) -> Verdict:
        if exit_.final or self._job.stop_asked.is_set():
            return Verdict(None, "the job is over")
        if not self._job.was_ready:
            return Verdict(None, "the first worker did not begin")
        return self._restarts.ended(self._setting.clock.monotonic(), exit_.ran_s)

    async def _stopped_within(self, pause_s: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._job.stop_asked.wait()
        return self._job.stop_asked.is_set()

    def _log(self, exit_: WorkerExit, verdict: Verdict, *, orderly: bool) -> None:
        fields: dict[str, object] = {
            **self._fields,
            "reason": exit_.reason.value,
            "status": exit_.status,
            "signal": exit_.signal,
            "ran_s": round(exit_.ran_s, 1),
            "cpu_s": round(exit_.cpu_s, 2),
            "peak_rss_bytes": exit_.peak_rss_bytes,
            "detail": exit_.detail,
        }
        if orderly and exit_.reason in (EndReason.DONE, EndReason.STOPPED):
            log.info("media worker ended", extra=fields)
            return
        fields |= {"restart_in_s": verdict.pause_s, "verdict": verdict.why}
        fields["pii_output"] = exit_.output
        level = logging.ERROR if verdict.pause_s is None else logging.WARNING
        log.log(level, "media worker lost", extra=fields)
