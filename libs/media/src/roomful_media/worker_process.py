"""One child process: started by exec, limited from outside, read, killed by pid, always reaped.

The child inherits one descriptor, its end of the link, and an environment that is given, not ours:
neither its arguments nor its environment hold a secret. It leads a session and process group of its
own; when it ends, whatever it started ends with it.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, cast

from roomful.errors import ConfigError

MODULE = "roomful_media.worker"
OUTPUT_BYTES_A_TURN = 16 << 10
OUTPUT_BYTES_A_TICK = 128 << 10
"""What a child writes beyond this waits in its pipe, and so does the child, until the next tick."""
ADDRESS_SPACE_FACTOR, ADDRESS_SPACE_BYTES = 4, 4 << 30
"""Address space is a multiple of memory and some: libraries reserve much that they never touch."""
NICE_MOST = 19


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """What the kernel holds a child to."""

    memory_bytes: int
    open_files: int
    nice: int
    """added to that of the server"""


@dataclass(frozen=True, slots=True)
class ProcessExit:
    """How a child ended."""

    status: int | None
    """exit status, None when a signal ended it"""
    signal: int | None
    peak_rss_bytes: int
    cpu_s: float
    """user and system"""


class WorkerProcess:
    """Made by `start`, inside a running loop, in a thread that lives as long as its children.

    Attributes:
        ended: set when the child was reaped; `exit` tells how it ended.
    """

    def __init__(self, popen: subprocess.Popen[bytes], output: int) -> None:
        self._popen, self._output = popen, output
        self._loop = asyncio.get_running_loop()
        self._on_output: Callable[[bytes], None] | None = None
        self._left = OUTPUT_BYTES_A_TICK
        self._reading = False
        self.ended = asyncio.Event()
        self.exit: ProcessExit | None = None
        self._pidfd = os.pidfd_open(popen.pid)
        self._loop.add_reader(self._pidfd, self._reap)

    @classmethod
    def start(
        cls,
        link: socket.socket,
        limits: ProcessLimits,
        environment: Mapping[str, str],
        on_output: Callable[[bytes], None],
        *,
        python: str = sys.executable,
    ) -> WorkerProcess:
        """Start a worker.

        Args:
            link: the worker's end; the caller closes it.
            limits: what it may use.
            environment: all of its environment.
            on_output: gets what it writes to standard output and error.
            python: the interpreter.

        Raises:
            ConfigError: it cannot be started, or not be limited.
        """
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        try:
            popen = subprocess.Popen(  # noqa: S603 (the command is ours, without a shell)
                [python, "-P", "-m", MODULE, str(link.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=cast("IO[bytes]", writing),
                stderr=cast("IO[bytes]", writing),
                pass_fds=(link.fileno(),),
                start_new_session=True,
                env=dict(environment),
            )
        except OSError as error:
            os.close(reading)
            raise ConfigError(f"no media worker can be started: {error}") from error
        finally:
            os.close(writing)
        process = cls(popen, reading)
        process._on_output = on_output
        process._read_on()
        try:
            _limit(popen.pid, limits)
        except OSError as error:
            process.kill()
            raise ConfigError(f"a media worker cannot be limited: {error}") from error
        return process

    @property
    def pid(self) -> int:
        return self._popen.pid

    def kill(self) -> None:
        """End the child and all of its process group, at once; harmless when it has ended."""
        if self.exit is None:
            # not reaped, so the number still is its own
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def tick(self) -> None:
        """Take more output again; called regularly."""
        self._left = OUTPUT_BYTES_A_TICK
        self._read_on()

    async def wait(self, timeout_s: float) -> bool:
        """Wait until the child has ended; False when it has not in this time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self.ended.wait()
        return self.ended.is_set()

    def _reap(self) -> None:
        self._loop.remove_reader(self._pidfd)
        self.kill()
        _, status, used = os.wait4(self.pid, 0)
        code = self._popen.returncode = os.waitstatus_to_exitcode(status)
        os.close(self._pidfd)
        self._close_output()
        self.exit = ProcessExit(
            status=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            peak_rss_bytes=used.ru_maxrss << 10,
            cpu_s=used.ru_utime + used.ru_stime,
        )
        self.ended.set()

    # -- output ------------------------------------------------------------------------------------

    def _read_on(self) -> None:
        if not self._reading and self._output >= 0:
            self._reading = True
            self._loop.add_reader(self._output, self._read)

    def _pause(self) -> None:
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._output)

    def _read(self) -> bool:
        """Take one turn's worth; return whether there was any."""
        try:
            data = os.read(self._output, OUTPUT_BYTES_A_TURN)
        except BlockingIOError:
            return False
        if not data:
            self._pause()
            return False
        self._left -= len(data)
        if self._left <= 0:
            self._pause()
        if self._on_output is not None:
            self._on_output(data)
        return True

    def _close_output(self) -> None:
        """Take what the child left in the pipe, then close it, whoever else may hold it."""
        self._left = OUTPUT_BYTES_A_TICK
        while self._left > 0 and self._read():
            pass
        self._pause()
        os.close(self._output)
        self._output = -1


def _limit(pid: int, limits: ProcessLimits) -> None:
    """Set the limits of a child that has only just begun; it cannot undo them."""
    address_space = limits.memory_bytes * ADDRESS_SPACE_FACTOR + ADDRESS_SPACE_BYTES
    with suppress(ProcessLookupError):  # it may have ended already, which is told elsewhere
        for kind, wanted in (
            (resource.RLIMIT_AS, address_space),
            (resource.RLIMIT_NOFILE, limits.open_files),
            (resource.RLIMIT_CORE, 0),
        ):
            _, most = resource.prlimit(pid, kind)
            if most != resource.RLIM_INFINITY:
                wanted = min(wanted, most)
            resource.prlimit(pid, kind, (wanted, wanted))
        nice = os.getpriority(os.PRIO_PROCESS, 0) + limits.nice
        os.setpriority(os.PRIO_PROCESS, pid, min(nice, NICE_MOST))
