"""The media plane of a server: what forwards packets, and the workers that decode and encode."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from roomful.clock import Clock
from roomful.limits import Lease
from roomful_media.job import Job, JobExit, JobSpec
from roomful_media.supervisor import WorkerSupervisor
from roomful_media.worker_run import LinkUser, WorkerSetting
from roomful_rtc.plane import Plane, PlaneConfig

ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "SVT_LOG": "1",  # errors only: what the AV1 encoder says of itself is no news
}
"""of workers, beside what the operator hands on"""


class ServerMediaPlane(Plane):
    """`server.media`: wire peers, local sources and sinks, jobs in media workers."""

    def __init__(
        self, config: PlaneConfig, clock: Clock, environment: dict[str, str] | None = None
    ) -> None:
        super().__init__(config, clock)
        setting = WorkerSetting({**ENVIRONMENT, **(environment or {})}, clock=clock)
        self._supervisor = WorkerSupervisor(setting)
        self._over = asyncio.Event()
        self._running_jobs: asyncio.Task[None] | None = None
        self._followers: set[asyncio.Task[None]] = set()
        """one a job that runs"""

    @property
    def jobs(self) -> tuple[Job, ...]:
        """Those that have not ended."""
        return self._supervisor.jobs

    async def start(self) -> None:
        """Open the ports and be ready for jobs. Raises `ConfigError` naming the setting."""
        await super().start()
        ready = asyncio.Event()
        self._running_jobs = asyncio.get_running_loop().create_task(self._run_jobs(ready))
        await ready.wait()

    async def stop(self) -> None:
        """Let jobs finish, within their limit; then close all peers and the ports. Idempotent."""
        self._over.set()
        if self._running_jobs is not None:
            await self._running_jobs
            if self._followers:
                await asyncio.wait(self._followers)
        await super().stop()

    async def start_job(
        self,
        spec: JobSpec,
        user: LinkUser | None = None,
        lease: Lease | None = None,
        on_end: Callable[[JobExit], None] | None = None,
    ) -> Job:
        """Start a job in a media worker; return when the worker listens.

        Args:
            spec: what to do.
            user: who gives its workers their streams.
            lease: what it was admitted with; its workers are watched, and it is released when the
                job has ended, or did not begin.
            on_end: called once with how the job ended.

        Raises:
            LocalProtocolError: the id is taken, or the spec is no JSON or too long.
            ResourceExhausted: too many jobs.
            Unavailable: its worker did not come up; the message says why. Or we are stopping.
        """
        try:
            job = await self._supervisor.start(spec, user, lease.watch if lease else None)
        except BaseException:
            if lease is not None:
                lease.release()
            raise
        task = asyncio.get_running_loop().create_task(self._follow(job, lease, on_end))
        self._followers.add(task)
        task.add_done_callback(self._followers.discard)
        return job

    @staticmethod
    async def _follow(
        job: Job, lease: Lease | None, on_end: Callable[[JobExit], None] | None
    ) -> None:
        exit_ = await job.ended()
        if lease is not None:
            lease.release()
        if on_end is not None:
            on_end(exit_)

    async def _run_jobs(self, ready: asyncio.Event) -> None:
        async with self._supervisor:
            ready.set()
            await self._over.wait()
