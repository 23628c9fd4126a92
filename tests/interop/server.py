"""A server under test: started as a child process, or one that runs already."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from livekit import api

READY_WITHIN_S = 30.0
STOP_WITHIN_S = 15.0
DEV_KEY = "devkey"
DEV_SECRET = "secret"  # the published key of every development server, not a secret

_READY = re.compile(rb"^roomful ready.*?(?P<url>(?:https?|wss?)://[^\s,]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class RoomServer:
    """Where a server answers and with which key.

    `url` has a websocket scheme and no trailing slash; `ours` is False for a server that was
    named from outside and may differ where the suite says so.
    """

    url: str
    key: str = DEV_KEY
    secret: str = DEV_SECRET
    ours: bool = True
    pid: int | None = None

    @property
    def http_url(self) -> str:
        """The same address for HTTP requests."""
        return "http" + self.url.removeprefix("ws")

    def at(self, url: str) -> "RoomServer":
        """The same server and key, reached by another address (a relay, a TLS front)."""
        return RoomServer(url.rstrip("/"), self.key, self.secret, self.ours, self.pid)

    def grant(self, identity: str, **video: object) -> api.AccessToken:
        """A token still open for changes, with the given video grants."""
        grants = api.VideoGrants(**video)  # pyright: ignore[reportArgumentType]
        token = api.AccessToken(self.key, self.secret).with_ttl(timedelta(minutes=10))
        return token.with_identity(identity).with_grants(grants)

    def token(self, identity: str, room: str, **video: object) -> str:
        """A signed token that joins `room`."""
        return self.grant(identity, room_join=True, room=room, **video).to_jwt()

    def api(self) -> api.LiveKitAPI:
        """A client of the HTTP API; the caller closes it (it is an async context manager)."""
        return api.LiveKitAPI(self.http_url, self.key, self.secret)


def named_server() -> RoomServer | None:
    """The server of ``ROOMFUL_TEST_SERVER=ws://host:port,key,secret``, or None where unset."""
    named = os.environ.get("ROOMFUL_TEST_SERVER")
    if not named:
        return None
    url, key, secret = named.split(",")
    return RoomServer(url.rstrip("/"), key, secret, ours=False)


@contextmanager
def start_roomful(
    data_dir: Path,
    *arguments: str,
    settings: Mapping[str, str] | None = None,
    verb: str = "dev",
) -> Iterator[RoomServer]:
    """Run ``roomful dev`` (or `verb`) on free ports for as long as the block lasts.

    `settings` are further environment variables (``ROOMFUL_RTC__NODE_IP`` …). Raises
    RuntimeError with the end of the server's output where it is not ready in time.
    """
    environment = dict(os.environ)
    environment |= {"ROOMFUL_RTC__UDP_PORT": "0", "ROOMFUL_RTC__TCP_PORT": "0"}
    environment["ROOMFUL_PLUGINS__CONFIG__INGRESS_RTMP__PORT"] = "0"
    environment |= dict(settings or {})
    command = [str(Path(sys.executable).with_name("roomful")), verb, "--port", "0"]
    command += ["--data-dir", str(data_dir / "data"), *arguments]
    output = data_dir / "server.out"
    log = data_dir / "server.log"
    with output.open("wb") as out, log.open("wb") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, env=environment)
    try:
        yield RoomServer(_ready_url(process, output, log), pid=process.pid)
    finally:
        _stop(process)


def _ready_url(process: subprocess.Popen[bytes], output: Path, log: Path) -> str:
    """The websocket address in the ready line."""
    give_up = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < give_up:
        found = _READY.search(output.read_bytes())
        if found is not None:
            url = found["url"].decode().rstrip("/.")
            return "ws" + url.removeprefix("http") if url.startswith("http") else url
        if process.poll() is not None:
            break
        time.sleep(0.05)
    tail = (output.read_text(errors="replace") + log.read_text(errors="replace"))[-4000:]
    raise RuntimeError(f"the server did not get ready (exit code {process.poll()}):\n{tail}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the server as a service manager does, and by force when it hangs."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
