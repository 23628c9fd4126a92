"""`roomful dev` and `roomful serve` as programs: ready line, signals, one server per directory."""

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

READY_WITHIN_S = 60.0
ENDED_WITHIN_S = 30.0


class Program:
    """A running command; `line` waits for the next line of its standard output."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._lines: queue.Queue[str] = queue.Queue(1000)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self._lines.put(line)

    def line(self) -> str:
        return self._lines.get(timeout=READY_WITHIN_S)

    def end(self, *signals: signal.Signals) -> tuple[int, str]:
        """Send the signals; return the exit code and what else it printed."""
        for number in signals:
            self.process.send_signal(number)
        code = self.process.wait(ENDED_WITHIN_S)
        self._reader.join()
        return code, "".join(self._lines.get() for _ in range(self._lines.qsize()))


@contextmanager
def roomful(*arguments: str, **variables: str) -> Iterator[Program]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("ROOMFUL_", "LIVEKIT_"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "roomful.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**inherited, "ROOMFUL_PLUGINS__ENABLED": "[]", **variables},
    )
    program = Program(process)
    try:
        yield program
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        for pipe in (process.stdout, process.stderr):
            assert pipe
            pipe.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_server_prints_one_ready_line_and_ends_well(tmp_path: Path, number: signal.Signals) -> None:
    with roomful("dev", "--port", "0", "--data-dir", str(tmp_path)) as server:
        ready = server.line()
        code, rest = server.end(number)

    assert ready.startswith("roomful ready at ws://127.0.0.1:")
    assert (code, rest) == (0, "")


def test_second_interrupt_ends_at_once(tmp_path: Path) -> None:
    site = tmp_path / "site"
    info = site / "slow-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: slow\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[roomful.plugins]\nslow = slow_plugin:Slow\n")
    (site / "slow_plugin.py").write_text(SLOW)
    variables = {"PYTHONPATH": str(site), "ROOMFUL_PLUGINS__ENABLED": "slow"}
    with roomful("dev", "--port", "0", "--data-dir", str(tmp_path), **variables) as server:
        server.line()
        server.process.send_signal(signal.SIGINT)
        assert server.line() == "stopping\n"
        code, _ = server.end(signal.SIGINT)

    assert code == 130


SLOW = """
import asyncio
from roomful.plugin import Plugin, hookimpl

class Slow(Plugin):
    @hookimpl
    async def shutdown(self):
        print("stopping", flush=True)
        await asyncio.Event().wait()
"""


def test_two_servers_do_not_share_a_data_directory(tmp_path: Path) -> None:
    with roomful("dev", "--port", "0", "--data-dir", str(tmp_path)) as first:
        first.line()
        with roomful("dev", "--port", "0", "--data-dir", str(tmp_path)) as second:
            _, said = second.process.communicate(timeout=ENDED_WITHIN_S)

    assert second.process.returncode == 2
    assert said.splitlines()[-1].startswith(f"roomful: setting 'data_dir': '{tmp_path}' is in use")


def test_serve_listens_where_the_file_says(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    file = tmp_path / "roomful.toml"
    file.write_text(
        f'port = {port}\nbind = ["127.0.0.1"]\ndata_dir = "{tmp_path}/data"\n'
        '[keys]\nmine = "a-secret-of-thirty-two-characters!"\n'
    )
    with roomful("serve", "--config", str(file)) as server:
        ready = server.line()
        code, _ = server.end(signal.SIGTERM)

    assert (ready, code) == (f"roomful ready at ws://127.0.0.1:{port}\n", 0)


def test_serve_names_what_runs_and_warns_of_all(tmp_path: Path) -> None:
    variables = {
        "LIVEKIT_KEYS": "mine: a-secret-of-thirty-two-characters!",
        "ROOMFUL_PLUGINS__ENABLED": "all",
        "ROOMFUL_PLUGINS__DISABLED": "demo, webhooks",
        "ROOMFUL_RTC__UDP_PORT": "0",
        "ROOMFUL_RTC__TCP_PORT": "0",
        "ROOMFUL_PLUGINS__CONFIG__INGRESS_RTMP__PORT": "0",
        "ROOMFUL_PROT": "1",
        "ROOMFUL_LOG_FORMAT": "json",
    }
    with roomful("serve", "--port", "0", "--data-dir", str(tmp_path), **variables) as server:
        server.line()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.stderr
        records = [json.loads(line) for line in server.process.stderr if line.startswith("{")]

    by_message = {record["message"]: record for record in records}
    assert "webrtc (roomful-webrtc 0." in by_message["started"]["plugins"]
    assert by_message["variable is no setting"]["variable"] == "ROOMFUL_PROT"
    assert any(message.startswith("plugins.enabled is 'all'") for message in by_message)
