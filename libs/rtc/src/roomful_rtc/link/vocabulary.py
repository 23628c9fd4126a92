"""What the two ends of every link say to each other: handshake, heartbeat, the end of a job.

    worker                                server
    hello{version, pid, kinds}       ──▶
                                     ◀──  welcome{version, job, kind, spec, room, participant, …}
    ready                            ──▶       the job's class is loaded, streams may begin
                                     ◀──  ping{n}
    pong{n}                          ──▶
    status{…}                        ──▶
                                     ◀──  stop{reason, deadline_s}
    done{result} | failed{code, message, retryable}   ──▶

`config` and `track_ended` go both ways.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from roomful.errors import RemoteProtocolError
from roomful_rtc.link.control import Message, field

VERSION = 1
_TEXT = 4096
_NAMES = 1000


@dataclass(frozen=True, slots=True)
class Hello:
    """A worker's first message."""

    pid: int
    kinds: tuple[str, ...]
    """the jobs it can run: names of the entry-point group"""


@dataclass(frozen=True, slots=True)
class Welcome:
    """The server's answer to `Hello`: what to do."""

    job: str
    kind: str
    spec: Mapping[str, Any]
    """what the job's class gets, as it was given to the server"""
    room: str
    participant: str
    limits: Mapping[str, Any]
    """what ends the worker: memory_bytes, cpu_cores, open_files"""
    log_level: int
    """of the server; what is below is not worth sending"""
    now_monotonic_ns: int
    now_wall_ms: int

    def message(self) -> Message:
        """Return it as sent."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return {"t": "welcome", "version": VERSION, **fields}


@dataclass(frozen=True, slots=True)
class Failed:
    """How a job failed."""

    code: str
    message: str
    retryable: bool


def hello(pid: int, kinds: Sequence[str]) -> Message:
    """Say who is there."""
    return {"t": "hello", "version": VERSION, "pid": pid, "kinds": list(kinds)}


def read_hello(message: Message) -> Hello:
    """Read a worker's first message; `RemoteProtocolError` when it is another one or version."""
    _check_first(message, "hello", "worker")
    kinds = cast("list[object]", field(message, "kinds", list))
    if len(kinds) > _NAMES or not all(isinstance(kind, str) for kind in kinds):
        raise RemoteProtocolError("hello: 'kinds' is no list of names")
    return Hello(field(message, "pid", int), tuple(cast("list[str]", kinds)))


def read_welcome(message: Message) -> Welcome:
    """Read the server's first message; `RemoteProtocolError` when it is another one or version."""
    _check_first(message, "welcome", "server")
    return Welcome(
        job=field(message, "job", str),
        kind=field(message, "kind", str),
        spec=cast("dict[str, Any]", field(message, "spec", dict)),
        room=field(message, "room", str),
        participant=field(message, "participant", str),
        limits=cast("dict[str, Any]", field(message, "limits", dict)),
        log_level=field(message, "log_level", int),
        now_monotonic_ns=field(message, "now_monotonic_ns", int),
        now_wall_ms=field(message, "now_wall_ms", int),
    )


def _check_first(message: Message, expected: str, peer: str) -> None:
    if message["t"] != expected:
        raise RemoteProtocolError(f"the {peer} said {message['t'][:40]!r} before {expected!r}")
    version = field(message, "version", int)
    if version != VERSION:
        raise RemoteProtocolError(
            f"the {peer} speaks version {version} of the link, this end {VERSION}: "
            "after an upgrade the server has to be restarted"
        )


def ready() -> Message:
    """Say that the job begins."""
    return {"t": "ready"}


def ping(number: int) -> Message:
    """Ask for a sign of life."""
    return {"t": "ping", "n": number}


def pong(message: Message) -> Message:
    """Answer a ping."""
    return {"t": "pong", "n": message.get("n")}


def stop(reason: str, deadline_s: float) -> Message:
    """Ask a worker to finish what it does and to say `done` within the time given."""
    return {"t": "stop", "reason": reason, "deadline_s": deadline_s}


def status(fields: Mapping[str, object]) -> Message:
    """Say how a job goes."""
    return {**fields, "t": "status"}


def done(result: Mapping[str, object]) -> Message:
    """Say that a job is finished."""
    return {"t": "done", "result": dict(result)}


def failed(failure: Failed) -> Message:
    """Say that a job cannot go on."""
    return {
        "t": "failed",
        "code": failure.code,
        "message": failure.message[:_TEXT],
        "retryable": failure.retryable,
    }


def read_failed(message: Message) -> Failed:
    """Read how a job failed; `RemoteProtocolError` when a field is wrong."""
    return Failed(
        field(message, "code", str)[:_TEXT],
        field(message, "message", str)[:_TEXT],
        field(message, "retryable", bool),
    )


def read_result(message: Message) -> Mapping[str, Any]:
    """Read what a finished job says; `RemoteProtocolError` when it is no object."""
    return cast("dict[str, Any]", field(message, "result", dict))


def config(stream: int, number: int, codec: str, data: bytes) -> Message:
    """Say how the frames of a stream that name `number` are to be decoded; sent before them."""
    return {
        "t": "config",
        "stream": stream,
        "id": number,
        "codec": codec,
        "data": b64encode(data).decode("ascii"),
    }


def track_ended(stream: int) -> Message:
    """Say that nothing of this stream follows."""
    return {"t": "track_ended", "sink": stream}
