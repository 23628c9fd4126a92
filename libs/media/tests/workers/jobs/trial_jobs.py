"""Jobs for tests, run by real workers: each does one thing, or does it wrong."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from roomful.errors import InvalidArgument, Unavailable
from roomful_media.worker_link import WorkerLink
from roomful_rtc.link.control import control_record
from roomful_rtc.link.record import Frame
from roomful_rtc.link.vocabulary import status

Spec = Mapping[str, Any]
log = logging.getLogger("trial.jobs")


def link_descriptor() -> int:
    return int(sys.argv[1])


async def until_stopped(link: WorkerLink) -> None:
    async for _ in link.messages():
        pass


class Idle:
    """Waits for its stop; says how it was started."""

    async def run(self, link: WorkerLink, spec: Spec) -> dict[str, Any]:
        link.send(
            {
                "t": "started",
                "argv": sys.argv,
                "environment": dict(os.environ),
                "modules": [name for name in ("av", "numpy", "aiortc") if name in sys.modules],
                "session": os.getsid(0) == os.getpid(),
                "nice": os.getpriority(os.PRIO_PROCESS, 0),
                "descriptors": sorted(int(name) for name in os.listdir("/proc/self/fd")),
            }
        )
        async for message in link.messages():
            if message["t"] == "echo":
                link.send({"t": "echoed", "value": message["value"]})
        return {"spec": dict(spec), "room": link.welcome.room, "limits": link.welcome.limits}


class EchoStream:
    """Sends what comes for one stream back on another."""

    def __init__(self, link: WorkerLink, back: int) -> None:
        self._sink = link.sink(back, video=True)

    def write(self, packet: memoryview, arrival_ns: int) -> None:
        self._sink.write(packet, arrival_ns)

    def clock(self, rtp_ts: int, ntp: int, arrival_ns: int) -> None:
        self._sink.clock(rtp_ts, ntp, arrival_ns)

    def gap(self, count: int, reason: int) -> None:
        self._sink.gap(count, reason)

    def frame(self, frame: Frame) -> None:
        self._sink.frame(frame)

    def end(self) -> None:
        self._sink.end()


class Echo:
    """Sends back every stream, under an id ten higher."""

    async def run(self, link: WorkerLink, spec: Spec) -> None:
        def listener(message: Mapping[str, Any], stream: int) -> bool:
            if message["t"] == "track":
                link.open(message["sink"], EchoStream(link, message["sink"] + 10))
            if message["t"] == "note":
                link.send(message)
            return message["t"] in ("track", "note")

        link.listen(listener)
        await until_stopped(link)


class Brief:
    """Ends at once, as its spec says."""

    async def run(self, link: WorkerLink, spec: Spec) -> dict[str, Any]:
        link.status(step="begun")
        await asyncio.sleep(0)
        match spec["how"]:
            case "done":
                return {"parts": 3}
            case "invalid":
                raise InvalidArgument("the layout 'round' is unknown")
            case "unavailable":
                raise Unavailable("the far side is away")
            case "error":
                raise ValueError("a bug")
            case "segfault":
                faulthandler._sigsegv()
            case "exit":
                os._exit(7)
            case "flood_then_exit":
                for number in range(500):
                    link.send({"t": "note", "number": number})
                await asyncio.sleep(0)
                os._exit(0)
        return {}


class Crasher:
    """Dies by its own hand when told."""

    async def run(self, link: WorkerLink, spec: Spec) -> None:
        link.status(step="waiting")
        async for message in link.messages():
            if message["t"] == "die":
                os.kill(os.getpid(), signal.SIGKILL)


class Hanger:
    """Blocks its loop for good, in C or in Python."""

    async def run(self, link: WorkerLink, spec: Spec) -> None:
        await asyncio.sleep(0.1)
        if spec.get("in_python"):
            while True:
                pass
        threading.Event().wait()


class Leaker:
    """Takes memory and touches it."""

    async def run(self, link: WorkerLink, spec: Spec) -> None:
        kept = []
        await asyncio.sleep(0)
        while True:
            kept.append(bytearray(b"x") * (spec["mib"] << 20))
            await asyncio.sleep(spec["every_s"])


class Burner:
    """Takes CPU in a thread."""

    async def run(self, link: WorkerLink, spec: Spec) -> None:
        def burn() -> None:
            while not link.stopping.is_set():
                sum(range(10_000))

        await asyncio.to_thread(burn)


class Flooder:
    """Sends valid records as fast as it can, past any queue."""

    async def run(self, link: WorkerLink, spec: Spec) -> None:
        record = control_record(status({"n": 1}))
        message = record * (61_440 // len(record)) if spec.get("batched") else record
        sock = socket.socket(fileno=os.dup(link_descriptor()))
        sock.setblocking(True)

        def flood() -> None:
            while True:
                sock.send(message)

        await asyncio.to_thread(flood)


class Garbage:
    """Sends what its spec says, as it is."""

    async def run(self, link: WorkerLink, spec: Spec) -> None:
        await asyncio.sleep(0)
        sock = socket.socket(fileno=os.dup(link_descriptor()))
        for text, times in spec["messages"]:
            sock.send(bytes.fromhex(text) * times)
        await asyncio.sleep(60)


class Chatterbox:
    """Says more than anybody takes."""

    async def run(self, link: WorkerLink, spec: Spec) -> None:
        for number in range(5000):
            link.send({"t": "note", "number": number})
            if number % 100 == 0:
                await asyncio.sleep(0)
        await until_stopped(link)


class Deaf:
    """Lives, says so, and reads nothing."""

    async def run(self, link: WorkerLink, spec: Spec) -> None:
        asyncio.get_running_loop().remove_reader(link_descriptor())
        link.send({"t": "deaf"})
        while True:
            link.status(step="alive")
            await asyncio.sleep(0.5)


class Stubborn:
    """Does not stop; cleans up when cancelled, or not even then."""

    async def run(self, link: WorkerLink, spec: Spec) -> None:
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                link.status(step="cancelled")
                if not spec.get("always"):
                    raise


class Talker:
    """Logs, prints, writes."""

    async def run(self, link: WorkerLink, spec: Spec) -> None:
        log.info("encoder opened", extra={"codec": "h264", "pii_name": "Zoë"})
        log.debug("not worth sending")
        try:
            raise ValueError("inner")
        except ValueError:
            log.exception("a frame was not decoded")
        os.write(2, b"[h264 @ 0x1] concealing 5 errors\n")
        os.write(1, b"printed\n")
        for number in range(spec.get("lines", 0)):
            log.info("line", extra={"number": number})
        await until_stopped(link)


class Writer:
    """Writes to standard error without end."""

    async def run(self, link: WorkerLink, spec: Spec) -> None:
        def write() -> None:
            while True:
                os.write(2, b"x" * 4096)

        await asyncio.to_thread(write)


class Keeper:
    """Writes a file when it is stopped, by whatever; may block its loop meanwhile."""

    async def run(self, link: WorkerLink, spec: Spec) -> None:
        path = Path(spec["path"])
        path.write_text(str(os.getpid()))
        if spec.get("hangs"):
            threading.Event().wait()
        await until_stopped(link)
        path.write_text("finished")
        if spec.get("lingers"):
            threading.Event().wait()


class Parent:
    """Starts a process of its own."""

    async def run(self, link: WorkerLink, spec: Spec) -> None:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        link.send({"t": "child", "pid": child.pid})
        await until_stopped(link)


class Greedy:
    """Opens files until it cannot."""

    async def run(self, link: WorkerLink, spec: Spec) -> dict[str, Any]:
        held = []
        try:
            while True:
                held.append(open("/dev/null"))
        except OSError as error:
            return {"error": error.strerror, "files": len(held)}


NO_CLASS = 5
