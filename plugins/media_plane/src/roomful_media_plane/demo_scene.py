"""The scene of `roomful demo` in which two media workers are participants.

test card (encodes) ──▶ room ──▶ meter (decodes and measures)

The jobs are those of the test kit, `roomful-testing`; without it there is no such scene. A scene is
any object of the shape of `roomful_demo.scene.Scene`, and nothing of that plugin is imported.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Protocol

from roomful.auth.grants import Grants
from roomful.limits import Refused
from roomful.model.enums import ParticipantKind
from roomful.room.factories import JoinRequest
from roomful_media.job import Job, JobSpec
from roomful_media_plane.job_factory import JobTicket

if TYPE_CHECKING:
    from roomful.server import RoomServer

Finding = tuple[str, str, bool]
"""label, figure, whether it is well"""

JOBS = frozenset({"test_source", "test_sink"})
CARD, METER = "test-card", "meter"
CORES = {CARD: 0.4, METER: 0.3}
PICTURE = {"codec": "vp8", "width": 640, "height": 360, "fps": 30, "bit_rate": 600_000}
HERTZ, LEVEL_DBFS = 440.0, -36.0
"""quiet: people listen too"""

REPORT_EVERY_S = 1.0
MEASURED_PAIRS = 3
"""seconds with a flash and a beep, after which a check is content"""
WITHIN_S = 18.0
LEAST_FPS, HERTZ_OFF, SYNC_MS = 20.0, 3.0, 40.0


class SceneStage(Protocol):
    """What is used of `roomful_demo.scene.Stage`."""

    @property
    def room(self) -> str: ...


@dataclass(slots=True)
class Measuring:
    """Both workers, and what the meter said last."""

    jobs: list[Job] = field(default_factory=list[Job])
    report: dict[str, Any] = field(default_factory=dict[str, Any])
    """fields of `roomful_testing.report.Report`; empty before the first"""

    async def listen(self) -> None:
        """Take the meter's reports until it ends."""
        async for event in self.jobs[-1].messages():
            if isinstance(event, dict) and event["t"] == "report":
                self.report = event["report"]

    @property
    def pairs(self) -> int:
        """Seconds in which both the flash and the beep came."""
        sync: dict[str, Any] | None = self.report.get("sync")
        return int(sync["pairs"]) if sync else 0


class MediaWorkersScene:
    """A worker publishes what another worker measures."""

    name = "media workers"

    def __init__(self, server: RoomServer) -> None:
        self._server = server

    def start(self, stage: SceneStage) -> AbstractAsyncContextManager[Measuring]:
        """Let both join."""
        return self._play(stage.room)

    @asynccontextmanager
    async def _play(self, room: str) -> AsyncGenerator[Measuring, None]:
        playing = Measuring()
        listening: asyncio.Task[None] | None = None
        try:
            audio = {"hertz": HERTZ, "level_dbfs": LEVEL_DBFS}
            await self._join(
                playing, room, CARD, "Test card", "test_source", video=PICTURE, audio=audio
            )
            match = {"identities": [CARD]}
            await self._join(
                playing,
                room,
                METER,
                "Meter",
                "test_sink",
                match=match,
                report_every_s=REPORT_EVERY_S,
            )
            listening = asyncio.get_running_loop().create_task(playing.listen())
            yield playing
        finally:
            await asyncio.gather(*(job.stop(deadline_s=5.0) for job in playing.jobs))
            if listening is not None:
                with suppress(asyncio.CancelledError):
                    await listening

    async def _join(
        self, playing: Measuring, room: str, identity: str, name: str, kind: str, **spec: object
    ) -> None:
        """Let a job be a participant.

        Raises:
            ResourceExhausted: the server has no time for it.
        """
        lease = self._server.limits.admit(kind, CORES[identity], room)
        if isinstance(lease, Refused):
            raise lease.error()
        ticket = JobTicket(JobSpec(kind, f"DEMO_{identity}", spec), lease)
        grants = Grants.internal(
            issuer="demo", kind=ParticipantKind.STANDARD, room=room, identity=identity
        )
        try:
            await self._server.join(
                JoinRequest(
                    transport="job", room=room, identity=identity, grants=grants, name=name,
                    auto_subscribe=False, context=ticket,
                )
            )  # fmt: skip
        except BaseException:
            lease.release()
            raise
        playing.jobs.append(ticket.job)

    async def check(self, play: Measuring) -> list[Finding]:
        """Wait until enough is measured, or for `WITHIN_S`; then judge it."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + WITHIN_S
        while play.pairs < MEASURED_PAIRS and loop.time() < give_up:  # noqa: ASYNC110 (reports replace each other)
            await asyncio.sleep(0.1)
        return findings(play.report)

    def watch(self, play: Measuring) -> Iterable[tuple[str, str]]:
        """Say what the meter says."""
        text = (
            ", ".join(text for _, text, _ in findings(play.report))
            if play.report
            else "nothing yet"
        )
        return [("meter", text)]


def findings(report: dict[str, Any]) -> list[Finding]:
    """Judge a report: picture, sound, and whether they are together."""
    if not report:
        return [("meter", "no report came", False)]
    fps, wrong, hertz = report["fps"], report["wrong_colours"], report["hertz"]
    found = [
        (
            "picture",
            f"{report['pictures']} decoded, {fps:.0f} a second, {wrong} with wrong colours",
            fps >= LEAST_FPS and not wrong,
        ),
        (
            "sound",
            f"{hertz:.0f} Hz, {report['level_dbfs']:.0f} dBFS",
            abs(hertz - HERTZ) <= HERTZ_OFF,
        ),
    ]
    sync = report["sync"]
    if sync is None:
        return [*found, ("together", "no flash had a beep", False)]
    last = sync["last_ms"]
    return [*found, ("together", f"picture {last:+.0f} ms after sound", abs(last) <= SYNC_MS)]


def scenes_of(server: RoomServer) -> list[MediaWorkersScene]:
    """Return the scene, nothing where its jobs are not installed."""
    installed = {point.name for point in entry_points(group="roomful.jobs")}
    return [MediaWorkersScene(server)] if installed >= JOBS else []
