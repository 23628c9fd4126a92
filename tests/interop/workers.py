"""Unmodified livekit-agents workers as child processes, from a virtual environment of their own.

livekit-agents pins another version of the Python SDK than the rest of this suite uses, so it does
not go into `.venv`. The environment is made once, under `.dev/agents`.
"""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .server import RoomServer

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = Path(__file__).with_name("agent_workers")
REQUIREMENT = "livekit-agents==1.8.*"
READY_WITHIN_S = 90.0
STOP_WITHIN_S = 15.0
_REGISTERED = b"registered worker"


def agents_python() -> Path:
    """The interpreter that has livekit-agents; makes the environment where it is not there."""
    home = ROOT / ".dev" / "agents"
    home.parent.mkdir(exist_ok=True)
    stamp, python = home / "requirement", home / "bin" / "python"
    with (home.parent / "agents.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several runs of tests may want it at once
        if not (stamp.exists() and stamp.read_text() == REQUIREMENT):
            bin_ = Path(sys.executable).parent
            environment = os.environ | _index(bin_)
            uv = str(bin_ / "uv")
            subprocess.run([uv, "venv", "-q", "--clear", "--python", sys.executable, str(home)],
                           check=True, env=environment)  # fmt: skip
            subprocess.run([uv, "pip", "install", "-q", "--python", str(python), REQUIREMENT],
                           check=True, env=environment)  # fmt: skip
            stamp.write_text(REQUIREMENT)
    return python


def _index(bin_: Path) -> dict[str, str]:
    """Where packages come from, as pip was told; `./dev` does the same for `.venv`."""
    found = {"UV_NATIVE_TLS": "1"}
    command = [str(bin_ / "pip"), "config", "get", "global.index-url"]
    index = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    if index and "UV_DEFAULT_INDEX" not in os.environ:
        found["UV_DEFAULT_INDEX"] = index
    return found


class Worker:
    """One worker process and the processes of its jobs."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process, self._log = process, log

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def wait_registered(self) -> None:
        """Raises RuntimeError with the end of its output where it does not register in time."""
        give_up = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < give_up and self.process.poll() is None:
            if _REGISTERED in self._log.read_bytes():
                return
            time.sleep(0.1)
        raise RuntimeError(f"the worker did not register:\n{self.log[-4000:]}")

    def kill(self) -> None:
        """As the machine kills: the worker and all its jobs, without a word."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """End it as a service manager does, by force where that takes too long."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


def environment_of(server: RoomServer) -> dict[str, str]:
    """What tells a worker, or a program of `livekit.api`, which server and which key."""
    return dict(os.environ) | {
        "LIVEKIT_URL": server.url,
        "LIVEKIT_API_KEY": server.key,
        "LIVEKIT_API_SECRET": server.secret,
    }


@contextmanager
def start_worker(
    server: RoomServer, script: str, folder: Path, **settings: str
) -> Iterator[Worker]:
    """Run a script of `agent_workers` in production mode until the block ends.

    `settings` are environment variables of the script (`agent_name="helper"` is TEST_AGENT_NAME).
    """
    with run_worker(server, SCRIPTS / f"{script}.py", folder, "start", **settings) as worker:
        yield worker


@contextmanager
def run_worker(
    server: RoomServer, program: Path, folder: Path, *arguments: str, **settings: str
) -> Iterator[Worker]:
    """Run a worker's program until the block ends; its output goes to a file in `folder`."""
    environment = environment_of(server)
    environment |= {f"TEST_{name.upper()}": value for name, value in settings.items()}
    log = folder / f"{program.stem}-{time.monotonic_ns()}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(agents_python()), str(program), *arguments],
            stdout=output, stderr=output, env=environment, start_new_session=True,
        )  # fmt: skip
    worker = Worker(process, log)
    try:
        worker.wait_registered()
        yield worker
    finally:
        worker.stop()
