"""The Go SDK (and `lk`, where it is installed) in a room: v0 signalling, two peer connections.

The Go program is our own, `go/main.go`; it is built at test time with the Go on this machine.
`lk` is taken from ``ROOMFUL_TEST_LK`` or the search path. What is missing is said as the reason of
a skip: these tests are marked `interop_go` and run by ``./dev interop`` only.
"""

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .clips import bars_ivf, tone_ogg
from .guest import guest
from .media import until
from .server import RoomServer

pytestmark = pytest.mark.interop_go

SOURCE = Path(__file__).with_name("go")
CACHE = Path(__file__).resolve().parents[2] / ".dev" / "interop" / "go"
BUILD_WITHIN_S = 600
ANSWER_WITHIN_S = 30
GAPS_OF_A_SECOND = 65  # 50 packets of sound, 15 pictures


@pytest.fixture(scope="session")
def gopher() -> Path:
    """The Go participant, built into ``.dev``."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("Go is not installed on this machine")
    program = CACHE / "participant"
    CACHE.mkdir(parents=True, exist_ok=True)
    build = [go, "build", "-mod=readonly", "-o", str(program), "."]
    subprocess.run(build, cwd=SOURCE, check=True, timeout=BUILD_WITHIN_S)
    return program


@pytest.fixture(scope="session")
def lk() -> str:
    """The `lk` program."""
    found = os.environ.get("ROOMFUL_TEST_LK") or shutil.which("lk")
    if not found:
        pytest.skip("lk is not installed on this machine (or name it in ROOMFUL_TEST_LK)")
    return found


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A picture and a sound file of 20 seconds."""
    folder = tmp_path_factory.mktemp("clips")
    return bars_ivf(folder / "bars.ivf", 20), tone_ogg(folder / "tone.ogg", 20, 440)


@dataclass(slots=True)
class Gopher:
    """A running Go participant."""

    process: asyncio.subprocess.Process

    async def told(self) -> dict[str, Any]:
        """The next line it prints; AssertionError where it is an error."""
        assert self.process.stdout is not None
        line = await asyncio.wait_for(self.process.stdout.readline(), ANSWER_WITHIN_S)
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer

    async def ask(self, command: str) -> dict[str, Any]:
        """Send a command; its answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(command.encode() + b"\n")
        return await self.told()

    async def counts(self, *, packets: int, kinds: int = 2, within: float = 15.0) -> dict[str, Any]:
        """Wait until so many packets came in of each of so many tracks; the report."""
        report: dict[str, Any] = {}
        give_up = asyncio.get_running_loop().time() + within
        while asyncio.get_running_loop().time() < give_up:
            report = await self.ask("report")
            counts = [track["packets"] for track in report["tracks"]]
            if len(counts) >= kinds and min(counts) >= packets:
                return report
            await asyncio.sleep(0.1)
        raise AssertionError(f"{packets} packets of {kinds} tracks not within {within} s: {report}")


@contextlib.asynccontextmanager
async def started(
    program: Path, server: RoomServer, identity: str, room: str
) -> AsyncIterator[Gopher]:
    """A Go participant that has joined."""
    process = await asyncio.create_subprocess_exec(
        str(program),
        server.url,
        server.token(identity, room),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    someone = Gopher(process)
    try:
        await someone.told()
        yield someone
    finally:
        await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a program and take the rest of what it printed."""
    if process.returncode is None:
        process.terminate()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.communicate(), 10)
    if process.returncode is None:
        process.kill()
        await process.wait()


async def test_go_publishes_to_python_and_resumes(
    room_server: RoomServer, room_name: str, gopher: Path, clips: tuple[Path, Path]
) -> None:
    async with (
        started(gopher, room_server, "gopher", room_name) as talker,
        guest(room_server, "python", room_name) as python,
    ):
        for clip in clips:
            await talker.ask(f"publish {clip}")
        ear, eye = await python.ear("gopher"), await python.eye("gopher")
        await ear.hears_tone(440)
        await eye.sees_bars()

        await talker.ask("resume")
        await ear.hears_tone(440)
        await eye.sees_bars()
        assert python.told("participant_disconnected") is None

        await talker.ask("send hello")
        await until(lambda: bool(python.data))
        assert python.data[0].data == b"hello"
        await talker.ask("leave")
        await python.hears_of("participant_disconnected")


async def test_go_subscribes_to_python_and_resumes(
    room_server: RoomServer, room_name: str, gopher: Path
) -> None:
    async with (
        started(gopher, room_server, "gopher", room_name) as listener,
        guest(room_server, "python", room_name) as python,
    ):
        await python.speak(440)
        await python.show()
        report = await listener.counts(packets=60)
        assert sum(track["missing"] for track in report["tracks"]) == 0
        assert report["others"] == ["python"]
        assert {(t["kind"], t["codec"].lower()) for t in report["tracks"]} == {
            ("audio", "audio/opus"),
            ("video", "video/vp8"),
        }
        await python.local.publish_data(b"hello")

        await listener.ask("resume")
        before = max(track["packets"] for track in report["tracks"])
        report = await listener.counts(packets=before + 60)
        # its ICE agent takes nothing in between the restart and the first check
        assert sum(track["missing"] for track in report["tracks"]) < GAPS_OF_A_SECOND
        assert report["data"] == ["hello"]


async def test_go_programs_see_each_other(
    room_server: RoomServer, room_name: str, gopher: Path, clips: tuple[Path, Path]
) -> None:
    async with (
        started(gopher, room_server, "talker", room_name) as talker,
        started(gopher, room_server, "listener", room_name) as listener,
    ):
        for clip in clips:
            await talker.ask(f"publish {clip}")
        report = await listener.counts(packets=60)
        assert sum(track["missing"] for track in report["tracks"]) == 0


async def test_lk_publishes_files_and_lists_rooms(
    room_server: RoomServer, room_name: str, lk: str, clips: tuple[Path, Path]
) -> None:
    access = ["--url", room_server.http_url]
    access += ["--api-key", room_server.key, "--api-secret", room_server.secret]
    join = [lk, "room", "join", *access, "--identity", "lk", "--fps", "30"]
    for clip in clips:
        join += ["--publish", str(clip)]

    async with guest(room_server, "python", room_name) as python:
        process = await asyncio.create_subprocess_exec(
            *join,
            room_name,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            await (await python.ear("lk")).hears_tone(440, within=20)
            await (await python.eye("lk")).sees_bars()
            assert room_name in await _output(lk, "room", "list", *access)
            listed = await _output(lk, "room", "participants", "list", *access, room_name)
            assert "lk" in listed
            assert "python" in listed
        finally:
            await _end(process)
        await python.hears_of("participant_disconnected")


async def _output(*command: str) -> str:
    """What a program prints."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    printed, _ = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0, printed.decode()
    return printed.decode()
