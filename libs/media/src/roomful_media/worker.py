"""The program of a media worker: `python -m roomful_media.worker DESCRIPTOR`, for supervisors only.

Says hello, gets a job, imports the one class that it names, runs it, says how it ended. It imports
nothing else of what is installed: a job that needs no FFmpeg never loads it.
"""

from __future__ import annotations

import asyncio
import ctypes
import faulthandler
import logging
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from roomful.errors import ConfigError, RoomfulError, TransportTimeout
from roomful_media.usage import EXIT_OUT_OF_MEMORY
from roomful_media.worker_link import ORPHAN_S, JobClass, WorkerLink
from roomful_media.worker_log import WorkerLogHandler
from roomful_rtc.link import control, vocabulary
from roomful_rtc.link.vocabulary import Failed, Welcome

log = logging.getLogger(__name__)

GROUP = "roomful.jobs"
WELCOME_WITHIN_S = 30.0
SEND_WITHIN_S = 2.0
CANCEL_BEFORE = 0.8
"""A job that does not stop is cancelled after this share of its time, the rest is to clean up."""
EXIT_FAILED = 1
EXIT_ORPHAN = 72
_PR_SET_PDEATHSIG = 1
_STDERR = 2


def main(descriptor: int) -> int:
    """Run one job; return the exit status."""
    os.set_inheritable(descriptor, False)
    faulthandler.enable()
    _tell_when_parent_dies(descriptor)
    logging.getLogger().addHandler(WorkerLogHandler(_STDERR))
    try:
        return asyncio.run(_work(socket.socket(fileno=descriptor)))
    except MemoryError:
        return EXIT_OUT_OF_MEMORY


async def _work(sock: socket.socket) -> int:
    sock.setblocking(False)
    link, jobs = WorkerLink(sock), _installed()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, link.stop, "SIGTERM", ORPHAN_S)
    link.send(vocabulary.hello(os.getpid(), sorted(jobs)))
    welcome = await link.welcomed(WELCOME_WITHIN_S)
    logging.getLogger().setLevel(welcome.log_level)
    last, status = await _outcome(link, welcome, jobs)
    link.send(last)
    await link.leave(SEND_WITHIN_S)
    return status


async def _outcome(
    link: WorkerLink, welcome: Welcome, jobs: Mapping[str, EntryPoint]
) -> tuple[control.Message, int]:
    """Run the job; return the last message and the exit status."""
    try:
        result = await _run(link, welcome, jobs)
        return vocabulary.done(result or {}), 0
    except MemoryError:
        raise
    except RoomfulError as error:
        log.warning("the job failed", extra={"detail": error.message})
        return vocabulary.failed(Failed(error.code, error.message, error.retryable)), EXIT_FAILED
    except Exception as error:
        log.exception("the job failed")
        text = f"{type(error).__name__}: {error}"
        return vocabulary.failed(Failed("internal", text, retryable=True)), EXIT_FAILED


async def _run(
    link: WorkerLink, welcome: Welcome, jobs: Mapping[str, EntryPoint]
) -> Mapping[str, Any] | None:
    # in a thread, so that the heartbeat goes on while libraries load
    job = await asyncio.to_thread(_made, jobs[welcome.kind])
    loop = asyncio.get_running_loop()
    limit = asyncio.timeout(None)
    try:
        async with limit:
            link.when_stopping(
                lambda: limit.reschedule(loop.time() + CANCEL_BEFORE * link.stop_within_s)
            )
            link.send(vocabulary.ready())
            result = await job.run(link, welcome.spec)
    except TimeoutError:
        if limit.expired():
            raise TransportTimeout("the job did not stop in time") from None
        raise
    if link.error is not None:
        raise link.error
    return result


def _made(entry_point: EntryPoint) -> JobClass:
    loaded: object = entry_point.load()
    if not (isinstance(loaded, type) and hasattr(loaded, "run")):
        raise ConfigError(f"{entry_point.value!r} in {GROUP!r} is no class with a method 'run'")
    return cast("type[JobClass]", loaded)()


def _installed() -> dict[str, EntryPoint]:
    """Return the jobs that are installed, imported none; a name that two offer is nobody's."""
    found: dict[str, EntryPoint] = {}
    twice: set[str] = set()
    for entry_point in entry_points(group=GROUP):
        other = found.setdefault(entry_point.name, entry_point)
        if other.value != entry_point.value:
            twice.add(entry_point.name)
    return {name: entry_point for name, entry_point in found.items() if name not in twice}


def _tell_when_parent_dies(descriptor: int) -> None:
    """The link ends with the server, which tells the job; what if nobody looks at the link?

    The kernel sends SIGTERM, which interrupts what waits; and a thread ends the process 5 s after
    the other end of the link went away, whatever the loop does.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    threading.Thread(target=_end_orphan, args=(descriptor,), name="orphan", daemon=True).start()


def _end_orphan(descriptor: int) -> None:
    poll = select.poll()
    poll.register(descriptor, 0)  # only that the peer is gone
    poll.poll()
    threading.Event().wait(ORPHAN_S)
    os._exit(EXIT_ORPHAN)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
