"""The one thread that touches the database: runs jobs in order, commits them in groups.

A job waits for nobody's commit but its group's: the thread takes a job, then whatever else is
waiting by now, for 20 ms or 256 jobs at most, commits once, and answers them all. While one
commit syncs the disk the next group gathers, so the wait bounds itself.

Each writing job runs in a savepoint: one that fails undoes itself alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from roomful.clock import Clock, SystemClock
from roomful.errors import Unavailable

log = logging.getLogger(__name__)

R = TypeVar("R")

GROUP_S = 0.02
GROUP_JOBS = 256
WAITING_JOBS = 20_000
"""more than this waiting: new ones are refused as unavailable"""


@dataclass(slots=True, eq=False)
class _Job:
    run: Callable[[sqlite3.Connection], Any]
    writes: bool
    future: Future[Any] = field(default_factory=Future[Any])
    result: Any = None


class Writer:
    """Owns a connection; `submit` from any thread."""

    def __init__(self, connection: sqlite3.Connection, clock: Clock | None = None) -> None:
        self._connection = connection
        self._clock = clock or SystemClock()
        self._jobs: queue.Queue[_Job | None] = queue.Queue(WAITING_JOBS)
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="roomful-store", daemon=True)
        self._thread.start()

    def submit(self, run: Callable[[sqlite3.Connection], R], *, writes: bool) -> Future[R]:
        """Queue a job; its future holds its result once it is durable. Raises `Unavailable`."""
        if self._closed:
            raise Unavailable("the store is closed")
        job = _Job(run, writes)
        try:
            self._jobs.put_nowait(job)
        except queue.Full as error:
            raise Unavailable("the store has too much to do") from error
        return cast("Future[R]", job.future)

    async def close(self) -> None:
        """Finish what is queued, then close the connection."""
        if not self._closed:
            self._closed = True
            await asyncio.to_thread(self._jobs.put, None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        try:
            while (job := self._jobs.get()) is not None:
                if not self._run_group(job):
                    break
        finally:
            self._connection.close()

    def _run_group(self, job: _Job | None) -> bool:
        """Run one group; return False when the end was among it."""
        until = self._clock.monotonic() + GROUP_S
        done: list[_Job] = []
        while job is not None:
            self._run_job(job, done)
            full = len(done) >= GROUP_JOBS or self._clock.monotonic() >= until
            if full or self._is_lost(done):
                break
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
        self._commit(done)
        return job is not None

    def _is_lost(self, done: list[_Job]) -> bool:
        """Whether the database gave up the group's transaction, as it does when a disk is full."""
        return any(job.writes for job in done) and not self._connection.in_transaction

    def _run_job(self, job: _Job, done: list[_Job]) -> None:
        if not job.future.set_running_or_notify_cancel():
            return
        try:
            job.result = self._write(job) if job.writes else job.run(self._connection)
        except sqlite3.Error as error:
            job.future.set_exception(_unavailable(error))
        except Exception as error:  # noqa: BLE001 - goes to whoever submitted the job
            job.future.set_exception(error)
        else:
            done.append(job)

    def _write(self, job: _Job) -> Any:
        if not self._connection.in_transaction:
            self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute("SAVEPOINT job")
        try:
            result = job.run(self._connection)
        except BaseException:
            # A full disk may have ended the whole transaction: nothing is left to go back to.
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK TO job")
                self._connection.execute("RELEASE job")
            raise
        self._connection.execute("RELEASE job")
        return result

    def _commit(self, done: list[_Job]) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("COMMIT")
            elif self._is_lost(done):
                raise sqlite3.OperationalError("the transaction was given up")
        except sqlite3.Error as error:
            log.error("store cannot commit", extra={"error": str(error)})
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            for job in done:
                job.future.set_exception(_unavailable(error))
            return
        for job in done:
            job.future.set_result(job.result)


def _unavailable(error: sqlite3.Error) -> Unavailable:
    unavailable = Unavailable(f"the store cannot do it now: {error}")
    unavailable.__cause__ = error
    return unavailable
