"""The servers that are measured: ours, and another where ``ROOMFUL_BENCH_INCUMBENT`` names one.

The variable holds the path of a LiveKit server binary. It runs on loopback with a configuration of
its own in the scratch directory; nothing of it is kept.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.interop.server import RoomServer, start_roomful

from .process import ProcessMeter

INCUMBENT = "ROOMFUL_BENCH_INCUMBENT"
READY_WITHIN_S = 20.0
STOP_WITHIN_S = 10.0
OURS, OTHER = "roomful", "incumbent"
_CONFIG = """\
port: {http}
bind_addresses: ["127.0.0.1"]
rtc:
  udp_port: {udp}
  tcp_port: {tcp}
  node_ip: 127.0.0.1
  use_external_ip: false
  enable_loopback_candidate: true
keys:
  {key}: {secret}
logging:
  level: error
"""


@dataclass(frozen=True, slots=True)
class Target:
    """A running server and how to measure it."""

    name: str
    server: RoomServer
    meter: ProcessMeter


@contextmanager
def targets(scratch: Path) -> Iterator[list[Target]]:
    """Run what is to be measured, ours first, for as long as the block lasts."""
    with ExitStack() as stack:
        ours = stack.enter_context(start_roomful(scratch, settings=settings_of_ours()))
        assert ours.pid is not None
        running = [Target(OURS, ours, ProcessMeter(ours.pid))]
        binary = os.environ.get(INCUMBENT)
        if binary:
            other = stack.enter_context(_start_other(binary, scratch))
            assert other.pid is not None
            running.append(Target(OTHER, other, ProcessMeter(other.pid)))
        yield running


def settings_of_ours() -> dict[str, str]:
    """What is switched off in ours: nothing that carries media; the demo would add load."""
    return {"ROOMFUL_PLUGINS__DISABLED": os.environ.get("ROOMFUL_PLUGINS__DISABLED", '["demo"]')}


@contextmanager
def _start_other(binary: str, scratch: Path) -> Iterator[RoomServer]:
    ports = _free_ports(3)
    key, secret = "benchkey", secrets.token_hex(20)
    config = scratch / "incumbent.yaml"
    config.write_text(
        _CONFIG.format(http=ports[0], udp=ports[1], tcp=ports[2], key=key, secret=secret)
    )
    with (scratch / "incumbent.log").open("wb") as log:
        process = subprocess.Popen([binary, "--config", str(config)], stdout=log, stderr=log)
    try:
        _wait_until_ready(f"http://127.0.0.1:{ports[0]}/", process)
        yield RoomServer(f"ws://127.0.0.1:{ports[0]}", key, secret, ours=False, pid=process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < give_up and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise RuntimeError(f"the server that {INCUMBENT} names did not answer on {url}")


def _free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago, for TCP and UDP."""
    with ExitStack() as stack:
        ports: list[int] = []
        while len(ports) < count:
            tcp = stack.enter_context(socket.socket())
            tcp.bind(("127.0.0.1", 0))
            udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            try:
                udp.bind(tcp.getsockname())
            except OSError:
                continue
            ports.append(tcp.getsockname()[1])
        return ports
