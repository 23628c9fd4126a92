"""A minute with two media workers: one publishes, one measures, beside ordinary clients.

test_source in a worker ──▶ room ──▶ a client (SDK), which decodes
Chromium, and the source ──▶ room ──▶ test_sink in a worker, which decodes and measures
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from livekit import rtc
from pydantic import SecretStr

from roomful.auth.grants import Grants
from roomful.clock import SystemClock
from roomful.limits import Lease
from roomful.model.enums import ParticipantKind
from roomful.room.factories import JoinRequest
from roomful.server import RoomServer
from roomful.settings import PluginsSettings, Settings
from roomful_media.job import Job, JobSpec
from roomful_media_plane.job_factory import JobTicket
from roomful_testing import card
from roomful_testing.measure import Measure
from tests.bench.figures.process import favour
from tests.interop import server as outside
from tests.interop.browser import chromium, page_address, visitor
from tests.interop.guest import guest

from .capture_files import capture_flags

ROOM = "studio"
SECONDS = float(os.environ.get("ROOMFUL_TEST_SOAK_S", "60"))
SOURCE_HZ, BROWSER_HZ = 440.0, 620.0
SYNC_MS = 20.0
CLOCK = SystemClock()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RoomServer]:
    """A server in this process: jobs are joined from inside."""
    settings = Settings(
        port=0,
        data_dir=tmp_path,
        keys={outside.DEV_KEY: SecretStr(outside.DEV_SECRET)},
        mode="dev",
        plugins=PluginsSettings(enabled=("media_plane", "webrtc")),
        rtc={"udp_port": 0, "tcp_port": 0},
    )
    favour(os.getpid())
    async with RoomServer(settings) as running:
        yield running


async def embodied(server: RoomServer, identity: str, kind: str, **spec: Any) -> Job:
    """Let a job join the room."""
    lease = server.limits.admit(kind, 0.3, ROOM)
    ticket = JobTicket(
        JobSpec(kind=kind, job_id=f"JOB_{identity}", spec=spec, nice=0),
        lease if isinstance(lease, Lease) else None,
    )
    grants = Grants.internal(
        issuer="test", kind=ParticipantKind.STANDARD, room=ROOM, identity=identity
    )
    await server.join(
        JoinRequest("job", ROOM, identity, grants, auto_subscribe=False, context=ticket)
    )
    return ticket.job


async def watch(track: rtc.Track, measure: Measure) -> None:
    """Read the card of every picture that a client shows."""
    stream = rtc.VideoStream(track, format=rtc.VideoBufferType.I420)
    try:
        async for event in stream:
            frame = event.frame
            planes = np.frombuffer(frame.data, np.uint8)[: frame.width * frame.height * 3 // 2]
            picture = planes.reshape(frame.height * 3 // 2, frame.width)
            now_us = int(CLOCK.monotonic() * 1e6)
            measure.see(card.read(picture), now_us, now_us)
    finally:
        await stream.aclose()


async def listen(track: rtc.Track, measure: Measure) -> None:
    """Hear the tone of every block that a client plays."""
    stream = rtc.AudioStream(track, sample_rate=48_000, num_channels=1)
    try:
        async for event in stream:
            samples = np.frombuffer(event.frame.data, np.int16) / 32768
            measure.hear(samples, 48_000, int(CLOCK.monotonic() * 1e6))
    finally:
        await stream.aclose()


async def test_a_minute_of_source_and_sink_in_workers(
    server: RoomServer, tmp_path: Path, record_property: Any
) -> None:
    door, seen = outside.RoomServer(server.url), Measure()
    sink = await embodied(server, "sink", "test_sink", delay="stream")
    async with (
        chromium(None, *capture_flags(tmp_path, BROWSER_HZ)) as browser,
        page_address() as address,
        visitor(browser, address, "browser") as page,
        guest(door, "watcher", ROOM) as watcher,
    ):
        await page.join(door, door.token("browser", ROOM))
        await page.show({"resolution": {"width": 640, "height": 360, "frameRate": 15}})
        await page.speak()
        source = await embodied(
            server, "source", "test_source", video={"codec": "vp8"}, audio={"hertz": SOURCE_HZ}
        )
        watcher.run(watch(await watcher.track("source", rtc.TrackKind.KIND_VIDEO), seen))
        watcher.run(listen(await watcher.track("source", rtc.TrackKind.KIND_AUDIO), seen))
        await asyncio.sleep(SECONDS)
        sent = await source.stop()
        measured = await sink.stop()

    result = measured.worker.result
    assert result is not None, measured
    assert result["problems"] == []
    at_client, in_worker, of_browser = (
        seen.report(),
        result["reports"]["source"],
        result["reports"]["browser"],
    )
    record_property("figures", f"{sent.worker.result}\n{at_client}\n{in_worker}\n{of_browser}")

    assert at_client.fps >= 29
    assert at_client.wrong_colours == at_client.unreadable == 0
    assert at_client.hertz == pytest.approx(SOURCE_HZ, abs=2)
    assert at_client.level_dbfs == pytest.approx(-12, abs=2)
    assert in_worker["fps"] >= 29
    assert in_worker["wrong_colours"] == in_worker["unreadable"] == 0
    assert in_worker["hertz"] == pytest.approx(SOURCE_HZ, abs=2)
    assert abs(in_worker["sync"]["last_ms"]) <= SYNC_MS
    assert of_browser["fps"] >= 13
    assert of_browser["wrong_colours"] == 0
    assert of_browser["unreadable"] <= 2
    assert of_browser["hertz"] == pytest.approx(BROWSER_HZ, abs=2)
    # the browser plays the files of camera and microphone each at a pace of its own: their sync
    # says nothing of ours
