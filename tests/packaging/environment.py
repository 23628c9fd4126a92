"""A clean environment with an installed server, and what one does in it."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

READY_WITHIN_S = 30.0
STOP_WITHIN_S = 15.0


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment: `bin` holds its programs, `folder` is ours to write to."""

    bin: Path
    folder: Path

    def roomful(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [str(self.bin / "roomful"), *arguments],
            capture_output=True,
            text=True,
            env=self._environment(variables),
            cwd=self.folder,
            timeout=60,
            check=False,
        )

    @contextmanager
    def serving(self, **variables: str) -> Iterator[Serving]:
        """Run `roomful dev` on free ports for as long as the block lasts."""
        process = subprocess.Popen(
            [str(self.bin / "roomful"), "dev", "--port", "0", "--data-dir", "data"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self._environment(variables),
            cwd=self.folder,
        )
        serving = Serving(process)
        try:
            serving.wait_ready()
            yield serving
        finally:
            serving.stop()

    def _environment(self, variables: dict[str, str]) -> dict[str, str]:
        ours = ("ROOMFUL_", "LIVEKIT_", "PYTHON", "VIRTUAL_ENV")
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
        return {
            **inherited,
            "ROOMFUL_RTC__UDP_PORT": "0",
            "ROOMFUL_RTC__TCP_PORT": "0",
            **variables,
        }


@dataclass(slots=True)
class Serving:
    """A running server."""

    process: subprocess.Popen[str]
    url: str = ""
    errors: list[str] = field(default_factory=list)
    """lines of standard error so far"""
    _lines: queue.Queue[str] = field(default_factory=lambda: queue.Queue(10_000))

    def wait_ready(self) -> None:
        """Wait for the ready line and keep its URL as one for HTTP."""
        assert self.process.stdout
        assert self.process.stderr
        stdout = self.process.stdout
        threading.Thread(target=self._read_errors, args=(self.process.stderr,), daemon=True).start()
        threading.Thread(target=self._read_lines, args=(stdout,), daemon=True).start()
        line = self._lines.get(timeout=READY_WITHIN_S)
        assert line.startswith("roomful ready"), (line, self.errors)
        self.url = line.split()[-1].replace("ws", "http", 1)

    def get(self, path: str) -> tuple[int, str]:
        """Return status and body of a GET."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def stop(self) -> int:
        """Send SIGTERM and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            for pipe in (self.process.stdout, self.process.stderr):
                if pipe:
                    pipe.close()

    def _read_errors(self, pipe: IO[str]) -> None:
        self.errors.extend(pipe)

    def _read_lines(self, pipe: IO[str]) -> None:
        for line in pipe:
            self._lines.put(line)
        self._lines.put("")
