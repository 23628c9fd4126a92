"""The life of one worker: handshake, heartbeat, limits, the orderly stop, why it ended.

starting ──hello──▶ running ──done, failed──▶ leaving ──exit──▶ ended
    │                  │ ▲ stop                  │
    └── late ──▶ killed ◀── hung, memory, cpu, protocol, overdue
"""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from roomful.clock import Clock, SystemClock
from roomful.errors import RemoteProtocolError
from roomful_media.heartbeat import SILENT_S, TICK_S, Heartbeat
from roomful_media.job import Job
from roomful_media.link_socket import LinkSocket, link_pair
from roomful_media.usage import EXIT_OUT_OF_MEMORY, UsageWatch, read_usage
from roomful_media.worker_exit import EndReason, WorkerExit, death
from roomful_media.worker_log import WorkerOutput
from roomful_media.worker_process import ProcessExit, ProcessLimits, WorkerProcess
from roomful_rtc.link import vocabulary
from roomful_rtc.link.control import Message
from roomful_rtc.link.vocabulary import Failed, Welcome

log = logging.getLogger(__name__)

HELLO_WITHIN_S = 10.0
READY_WITHIN_S = 60.0
"""libraries come from a cold disk"""
LEAVE_WITHIN_S = 5.0
"""after `done`, `failed`, or the end of the link"""
_KNOWN = 500


class LinkUser(Protocol):
    """Who gives the workers of a job their streams: the media plane. Calls must not wait."""

    def on_ready(self, link: LinkSocket) -> None:
        """Learn that a worker listens at the other end of this link; the first or another."""
        ...

    def on_control(self, message: Message, stream: int) -> bool:
        """Take a control message in its place among the records; False: it is for the job's owner.

        Raises:
            RemoteProtocolError: a worker must not say this; it is killed.
        """
        ...

    def on_lost(self) -> None:
        """Learn that the worker ended; its link is closed."""
        ...


@dataclass(frozen=True, slots=True)
class WorkerSetting:
    """What all workers of a server share."""

    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    python: str = sys.executable
    clock: Clock = field(default_factory=SystemClock)


class WorkerRun:
    """One worker of a job; `run` starts it and returns how it ended."""

    def __init__(
        self, job: Job, user: LinkUser | None, setting: WorkerSetting, restarts: int = 0
    ) -> None:
        self._job, self._user, self._setting, self._restarts = job, user, setting, restarts
        spec = job.spec
        self._now = setting.clock.monotonic
        self._fields = {**spec.log_fields, "job": spec.job_id, "job_kind": spec.kind}
        self._output = WorkerOutput(self._fields)
        self._watch = UsageWatch(spec.memory_bytes, spec.cpu_cores)
        self._started_at = self._now()
        self._heartbeat: Heartbeat | None = None
        self._verdict: tuple[EndReason, str] | None = None
        """why we killed it, the first reason"""
        self._kill_at: float | None = None
        self._stop_sent = False
        self._last_status: Mapping[str, Any] | None = None
        self._result: Mapping[str, Any] | None = None
        self._failure: Failed | None = None
        self._ready = False

    async def run(self) -> WorkerExit:
        """Start a worker, watch it, return when it was reaped. Cancelled: kills it first.

        Raises:
            ConfigError: it cannot be started.
        """
        ours, theirs = link_pair()
        self._link = LinkSocket(
            ours, self, self._job.spec.queue, strict=True, clock=self._setting.clock
        )
        try:
            with theirs:
                self._process = self._start(theirs)
            self._job.on_stop = self._stop
            if self._job.stop_asked.is_set():
                self._stop()
            await self._watch_over()
        finally:
            self._link.close()
            self._job.worker_is_gone()
            if self._ready and self._user is not None:
                self._user.on_lost()
        assert self._process.exit is not None
        return self._told(self._process.exit)

    def _start(self, link: socket.socket) -> WorkerProcess:
        spec, setting = self._job.spec, self._setting
        process = WorkerProcess.start(
            link,
            ProcessLimits(spec.memory_bytes, spec.open_files, spec.nice),
            setting.environment,
            lambda data: self._output.feed(data, self._now()),
            python=setting.python,
        )
        log.info("media worker started", extra={**self._fields, "pid": process.pid})
        if self._job.on_process is not None:
            self._job.on_process(process.pid)
        return process

    async def _watch_over(self) -> None:
        process = self._process
        try:
            while not await process.wait(TICK_S):
                self._tick(self._now())
        finally:
            # a killed child is reaped within milliseconds; this is reached with one alive only
            # when we are cancelled
            process.kill()
            await process.ended.wait()
            self._link.drain()

    # -- time --------------------------------------------------------------------------------------

    def _tick(self, now: float) -> None:
        self._process.tick()
        self._check_usage(now)
        began_s = now - self._started_at
        if self._heartbeat is None and began_s > HELLO_WITHIN_S:
            self._kill(EndReason.LATE, f"said nothing for {HELLO_WITHIN_S:g} s after its start")
        elif not self._ready and began_s > READY_WITHIN_S:
            self._kill(EndReason.LATE, f"was not ready {READY_WITHIN_S:g} s after its start")
        elif self._heartbeat is not None and not self._link.closed:
            self._check_life(self._heartbeat, now)
        if self._kill_at is not None and now >= self._kill_at:
            self._kill(self._reason_at_deadline(), "did not end in time")

    def _check_usage(self, now: float) -> None:
        usage, spec = read_usage(self._process.pid), self._job.spec
        if usage is None:
            return
        self._watch.add(now, usage)
        self._job.cores, self._job.rss_bytes = self._watch.cores, usage.rss_bytes
        if self._watch.over_memory:
            self._kill(
                EndReason.MEMORY,
                f"used {usage.rss_bytes >> 20} MiB, {spec.memory_bytes >> 20} MiB are allowed",
            )
        if self._watch.over_cpu:
            self._kill(
                EndReason.CPU,
                f"used {self._watch.cores:.2f} cores, {spec.cpu_cores:.2f} are allowed",
            )

    def _check_life(self, heartbeat: Heartbeat, now: float) -> None:
        number = heartbeat.tick(now, self._link.heard_at)
        if heartbeat.dead:
            self._kill(EndReason.HUNG, f"was silent for {SILENT_S:g} s")
        elif self._link.hung():
            self._kill(EndReason.HUNG, "did not read its control messages")
        elif number is not None:
            self._link.send(vocabulary.ping(number))

    def _stop(self) -> None:
        """Pass on that the job shall stop; a worker that has not begun has nothing to finish."""
        job = self._job
        if not self._ready:
            self._kill(EndReason.STOPPED, "stopped before it began")
            return
        self._stop_sent = True
        self._link.send(vocabulary.stop(job.stop_reason, job.stop_within_s))
        self._leave_within(job.stop_within_s, self._now())

    def _leave_within(self, seconds: float, now: float) -> None:
        due = now + seconds
        self._kill_at = due if self._kill_at is None else min(self._kill_at, due)

    def _reason_at_deadline(self) -> EndReason:
        return EndReason.OVERDUE if self._stop_sent else EndReason.CRASHED

    def _kill(self, reason: EndReason, detail: str) -> None:
        if self._verdict is None:
            self._verdict = (reason, detail)
        self._process.kill()

    # -- link --------------------------------------------------------------------------------------

    def on_control(self, message: Message, stream: int) -> None:
        """Take what the worker says."""
        if self._heartbeat is None:
            self._greet(vocabulary.read_hello(message))
            return
        match message["t"]:
            case "pong":
                return
            case "hello":
                raise RemoteProtocolError("a worker said hello twice")
            case "ready":
                self._begin()
                return
            case "status":
                self._last_status = message
            case "done":
                self._result = vocabulary.read_result(message)
                self._leave_within(LEAVE_WITHIN_S, self._now())
            case "failed":
                self._failure = vocabulary.read_failed(message)
                self._leave_within(LEAVE_WITHIN_S, self._now())
            case _ if not self._ready:
                raise RemoteProtocolError("a worker spoke before it was ready")
            case _:
                if self._user is not None and self._user.on_control(message, stream):
                    return
        self._job.put(message, self._link.control_bytes)

    def on_closed(self, error: Exception | None) -> None:
        """A broken link ends the worker at once, a closed one soon: it may have data to write."""
        if error is None:
            self._leave_within(LEAVE_WITHIN_S, self._now())
            return
        detail = (
            str(error) if isinstance(error, RemoteProtocolError) else "a record was not handled"
        )
        self._kill(EndReason.PROTOCOL, detail)

    def _greet(self, hello: vocabulary.Hello) -> None:
        spec, now = self._job.spec, self._now()
        self._heartbeat = Heartbeat(now)
        if spec.kind not in hello.kinds:
            known = ", ".join(hello.kinds)[:_KNOWN] or "none"
            self._kill(
                EndReason.UNKNOWN_KIND, f"no job {spec.kind!r} is installed (installed: {known})"
            )
            return
        self._link.send(
            Welcome(
                job=spec.job_id,
                kind=spec.kind,
                spec=spec.spec,
                room=spec.room,
                participant=spec.participant,
                limits={
                    "memory_bytes": spec.memory_bytes,
                    "cpu_cores": spec.cpu_cores,
                    "open_files": spec.open_files,
                },
                log_level=log.getEffectiveLevel(),
                now_monotonic_ns=int(now * 1e9),
                now_wall_ms=self._setting.clock.wall_ms(),
            ).message()
        )

    def _begin(self) -> None:
        if self._ready:
            raise RemoteProtocolError("a worker was ready twice")
        self._ready = True
        if self._user is not None:
            self._user.on_ready(self._link)
        self._job.worker_is_ready(self._link, self._restarts)

    # -- end ---------------------------------------------------------------------------------------

    def _told(self, process: ProcessExit) -> WorkerExit:
        reason, detail = self._why(process)
        return WorkerExit(
            reason=reason,
            detail=detail,
            status=process.status,
            signal=process.signal,
            last_status=self._last_status,
            peak_rss_bytes=max(process.peak_rss_bytes, self._watch.peak_rss_bytes),
            cpu_s=process.cpu_s,
            ran_s=self._now() - self._started_at,
            output=self._output.tail,
            dropped=self._link.stats.dropped,
            result=self._result,
            failure=self._failure,
        )

    def _why(self, process: ProcessExit) -> tuple[EndReason, str]:
        if self._failure is not None:
            return EndReason.FAILED, self._failure.message
        if self._result is not None:
            return EndReason.STOPPED if self._stop_sent else EndReason.DONE, "finished"
        if self._verdict is not None:
            return self._verdict
        if process.status == EXIT_OUT_OF_MEMORY:
            return EndReason.MEMORY, "met its limit of memory"
        return EndReason.CRASHED, death(process.status, process.signal)
