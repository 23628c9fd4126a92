"""Jobs: what a media worker is asked to do, and what whoever asked hears of it.

job = await supervisor.start(JobSpec(kind="recorder", job_id="EG_…", spec={…}))
job.send({"t": "layout", …})
async for event in job.messages():
    match event: WorkerReady(), WorkerLost(), or a message of the worker
exit = await job.stop(deadline_s=10)
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from roomful.errors import ConnectionLost, RemoteProtocolError
from roomful.model.media import LIVE, QueuePolicy
from roomful_media.link_socket import LinkSocket
from roomful_media.worker_exit import EndReason, WorkerExit
from roomful_rtc.link.control import Message

MESSAGES, MESSAGE_BYTES = 1000, 1 << 20
"""that nobody has taken from `Job.messages` yet"""


@dataclass(frozen=True, slots=True)
class JobSpec:
    """One job, and the bounds of its workers."""

    kind: str
    """name of an entry point of the group `roomful.jobs`; says which row of the restart table"""
    job_id: str
    spec: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    """JSON for the job's class, at most 60 KiB; secrets may be in it, it goes by the link only"""
    room: str = ""
    participant: str = ""
    """identity of the participant it acts as"""
    queue: QueuePolicy = LIVE
    """of what the server sends it"""
    nice: int = 5
    memory_bytes: int = 1 << 30
    """resident; a worker that has more is ended"""
    cpu_cores: float | None = None
    """a worker that uses more over 10 s is ended"""
    open_files: int = 256
    restarts: int = 0
    """at most 3, for kinds without a row in the restart table"""
    log_fields: Mapping[str, object] = field(default_factory=dict[str, object])
    """of every log record about or by its workers"""


@dataclass(frozen=True, slots=True)
class JobExit:
    """How a job ended: by the end of its last worker."""

    worker: WorkerExit
    restarts: int
    detail: str

    @property
    def reason(self) -> EndReason:
        return self.worker.reason


@dataclass(frozen=True, slots=True)
class WorkerReady:
    """A worker of the job listens: the first one, or another after `WorkerLost`."""

    restarts: int


@dataclass(frozen=True, slots=True)
class WorkerLost:
    """A worker ended in disorder."""

    exit: WorkerExit
    restart_in_s: float | None
    """None: the job ends"""


JobEvent: TypeAlias = Message | WorkerReady | WorkerLost


class Job:
    """One job, as whoever asked for it sees it. Made by the supervisor."""

    def __init__(self, spec: JobSpec, on_process: Callable[[int], None] | None = None) -> None:
        self.spec = spec
        self.on_process = on_process
        self.link: LinkSocket | None = None
        """of the worker that listens, None while there is none"""
        self.exit: JobExit | None = None
        self.cores = 0.0
        """CPU that its worker uses, averaged over 10 s"""
        self.rss_bytes = 0
        self.stop_asked = asyncio.Event()
        self.stop_reason, self.stop_within_s = "", 0.0
        self.on_stop: Callable[[], None] | None = None
        """of the worker that runs"""
        self.was_ready = False
        self._events: deque[tuple[JobEvent, int]] = deque()
        """bounded by `put`"""
        self._event_bytes = 0
        self._changed = asyncio.Event()
        self._begun, self._over = asyncio.Event(), asyncio.Event()

    def send(self, message: Mapping[str, object], stream: int = 0) -> None:
        """Send the worker a control message.

        Raises:
            ConnectionLost: no worker listens, for now or for good.
            LocalProtocolError: it is no message.
        """
        if self.link is None or self.link.closed:
            raise ConnectionLost(f"no worker of job {self.spec.job_id!r} listens")
        self.link.send(message, stream)

    async def messages(self) -> AsyncIterator[JobEvent]:
        """Yield what the worker says and what becomes of it, until the job ends. For one reader."""
        while True:
            while self._events:
                event, size = self._events.popleft()
                self._event_bytes -= size
                yield event
            if self.exit is not None:
                return
            self._changed.clear()
            await self._changed.wait()

    async def stop(self, deadline_s: float = 10.0, reason: str = "stopped") -> JobExit:
        """Ask the worker to finish, kill it at the deadline; return how the job ended."""
        self.ask_to_stop(deadline_s, reason)
        return await self.ended()

    async def ended(self) -> JobExit:
        """Wait until the job has ended."""
        await self._over.wait()
        assert self.exit is not None
        return self.exit

    # -- for the supervisor ------------------------------------------------------------------------

    def ask_to_stop(self, deadline_s: float, reason: str) -> None:
        """Begin what `stop` waits for; who asks first sets the deadline."""
        if self.stop_asked.is_set():
            return
        self.stop_reason, self.stop_within_s = reason, deadline_s
        self.stop_asked.set()
        if self.on_stop is not None:
            self.on_stop()

    async def begun(self) -> None:
        """Wait until the first worker listens, or the job has ended without one."""
        await self._begun.wait()

    def worker_is_ready(self, link: LinkSocket, restarts: int) -> None:
        """Note that a worker listens."""
        self.link, self.was_ready = link, True
        self.put(WorkerReady(restarts))
        self._begun.set()

    def worker_is_gone(self) -> None:
        """Note that none does."""
        self.link = self.on_stop = None
        self.cores, self.rss_bytes = 0.0, 0

    def put(self, event: JobEvent, size: int = 0) -> None:
        """Keep an event for `messages`; of `status` the newest are dropped when it is full.

        Raises:
            RemoteProtocolError: too much waits that must not be lost.
        """
        if len(self._events) >= MESSAGES or self._event_bytes + size > MESSAGE_BYTES:
            if isinstance(event, Mapping):
                if event["t"] == "status":
                    return
                raise RemoteProtocolError("a worker says more than anybody takes")
            self._forget_oldest_message()
        self._events.append((event, size))
        self._event_bytes += size
        self._changed.set()

    def end(self, exit_: JobExit) -> None:
        """Note how it ended."""
        self.exit = exit_
        self._changed.set()
        self._begun.set()
        self._over.set()

    def _forget_oldest_message(self) -> None:
        """What becomes of the workers must be told; there is little of it."""
        for at, (event, size) in enumerate(self._events):
            if isinstance(event, Mapping):
                del self._events[at]
                self._event_bytes -= size
                return
