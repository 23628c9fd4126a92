"""Real media workers in a real server: how tests start their jobs, and who notices what they do."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from roomful.auth.grants import Grants
from roomful.limits import Lease
from roomful.model.enums import DisconnectReason, ParticipantKind
from roomful.model.participant import Participant
from roomful.room.factories import JoinRequest
from roomful_media.job import Job, JobEvent, JobSpec
from roomful_media_plane.job_factory import JobTicket
from roomful_media_plane.media_plane import ServerMediaPlane
from tests.hostile.gaps import Hearing

from .clips import tone
from .conftest import ROOM, House

JOBS = Path(__file__).with_name("jobs")
REPO = Path(__file__).parents[2]
KINDS = ("speaker", "counter", "sleeper", "liar")
WITNESS_ROOM = "witness"
"""where `speaker` and `listener` are; whoever else takes part has another identity"""


def worker_environment(site: Path) -> dict[str, str]:
    """A path on which a distribution offers the jobs, as if it were installed."""
    info = site / "roomful_stage_jobs-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: roomful-stage-jobs\nVersion: 0.1\n"
    )
    rows = [f"{kind} = stage_jobs:{kind.capitalize()}" for kind in KINDS]
    (info / "entry_points.txt").write_text("[roomful.jobs]\n" + "\n".join(rows) + "\n")
    return {"PYTHONPATH": f"{site}{os.pathsep}{JOBS}", "PYTHONDONTWRITEBYTECODE": "1"}


def clip(hertz: int) -> list[str]:
    """One second of a tone, as `speaker` takes it."""
    return [b64encode(packet).decode() for packet in tone(hertz)]


@dataclass
class Running:
    """A job, and what it and its workers said."""

    job: Job
    participant: Participant
    events: list[JobEvent] = field(default_factory=list)
    task: asyncio.Task[None] | None = None

    async def listen(self) -> None:
        async for event in self.job.messages():
            self.events.append(event)

    def said(self, kind: str) -> list[Any]:
        """Messages of this kind, what the server told the workers among them."""
        own = [event for event in self.events if isinstance(event, dict)]
        heard = [event["message"] for event in own if event["t"] == "heard"]
        return [message for message in own + heard if message["t"] == kind]

    @property
    def pids(self) -> list[int]:
        """Of its workers so far."""
        return [message["pid"] for message in self.said("started")]


@dataclass(frozen=True, slots=True)
class Studio:
    """A house whose workers know the jobs of `stage_jobs`."""

    house: House

    @property
    def plane(self) -> ServerMediaPlane:
        assert isinstance(self.house.inside.media, ServerMediaPlane)
        return self.house.inside.media

    async def start(
        self,
        kind: str,
        identity: str = "job",
        *,
        room: str = ROOM,
        restarts: int = 0,
        lease: Lease | None = None,
        may_publish: bool = True,
        **spec: object,
    ) -> Running:
        """A job takes part in the room."""
        number = len(self.plane.jobs)
        ticket = JobTicket(
            JobSpec(kind, f"JB_{identity}_{number}", spec, nice=0, restarts=restarts), lease
        )
        grants = Grants.internal(
            issuer="test", kind=ParticipantKind.STANDARD, room=room, identity=identity
        )
        request = JoinRequest(
            transport="job",
            room=room,
            identity=identity,
            grants=replace(grants, can_publish=may_publish),
            auto_subscribe=False,
            context=ticket,
        )
        connection = await self.house.inside.join(request)
        running = Running(ticket.job, connection.participant)
        running.task = asyncio.get_running_loop().create_task(running.listen())
        return running

    async def remove(self, identity: str, room: str = ROOM) -> None:
        """As the API does."""
        session = self.house.inside.rooms.of(room)
        await session.remove(identity, DisconnectReason.PARTICIPANT_REMOVED)

    def is_here(self, running: Running, room: str = ROOM) -> bool:
        session = self.house.inside.rooms.find(room)
        return session is not None and session.is_live(running.participant)


def alive(pid: int) -> bool:
    """Whether a process runs, or nobody has waited for it."""
    return Path(f"/proc/{pid}").exists()


def descriptors() -> set[str]:
    """Descriptors of this process and what they are."""
    found: set[str] = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{name} {os.readlink(f'/proc/self/fd/{name}')}")
        except OSError:
            continue  # the listing's own
    return found


async def lasting(before: set[str]) -> set[str]:
    """New descriptors that are there for 5 s: a thread that reads a file has one for a moment."""
    new = descriptors() - before
    for _ in range(50):
        if not new:
            break
        await asyncio.sleep(0.1)
        new &= descriptors()
    return new


@dataclass(frozen=True, slots=True)
class Witness:
    """A wire publisher and a wire subscriber in a process of their own."""

    process: asyncio.subprocess.Process

    async def heard(self) -> Hearing:
        """What the subscriber got of the publisher since the last call."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(b"mark\n")
        return Hearing(**json.loads(await self.process.stdout.readline()))


@asynccontextmanager
async def witness(house: House) -> AsyncIterator[Witness]:
    """A witness in the room `witness`, for as long as the block lasts."""
    door = house.door
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.hostile.witness", door.url, door.key, door.secret),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=REPO,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        async with asyncio.timeout(30):
            assert await process.stdout.readline() == b"ready\n"
        made = Witness(process)
        await made.heard()
        yield made
    finally:
        process.stdin.close()
        await asyncio.wait_for(process.wait(), 10)
