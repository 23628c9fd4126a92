"""FFmpeg pushes RTMP; the Python SDK sees and hears it."""

import asyncio
import os
import re
import shlex
import signal
import socket
import struct
from pathlib import Path

import pytest
from livekit import api, rtc

from roomful_testing.encoder import EncoderOptions, RtmpEncoder

from .guest import guest
from .media import until
from .rtmp import B_FRAMES, PLAIN, clip, push
from .server import RoomServer, start_roomful
from .test_webhooks import free_port
from .whip import define, state_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

INACTIVE, PUBLISHING, ERROR = 0, 2, 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rtmp")


@pytest.fixture(scope="module")
def server(folder: Path):
    """One server for the module."""
    values = {"ROOMFUL_PLUGINS__CONFIG__INGRESS_RTMP__PORT": "0", "ROOMFUL_LIMITS__MAX_CPU": "16"}
    with start_roomful(folder, settings=values) as running:
        yield running


@pytest.fixture(scope="module")
def plain(folder: Path) -> Path:
    return clip(folder, *PLAIN)


async def new(server: RoomServer, room: str, **fields: object) -> tuple[api.IngressInfo, str]:
    """An ingress, and where to push to."""
    made = await define(server, room, input_type=0, **fields)
    return made, f"{made.url}/{made.stream_key}"


async def test_plain_h264_is_passed_on_and_sound_becomes_opus(
    server: RoomServer, room_name: str, plain: Path
) -> None:
    made, url = await new(server, room_name, participant_name="OBS")

    async with guest(server, "watcher", room_name) as watcher:
        async with push(plain, url) as encoder:
            eye, ear = await watcher.eye("studio"), await watcher.ear("studio")
            await eye.sees_bars()
            await ear.hears_tone(440.0)
            remote = watcher.remote("studio")
            assert remote.kind == rtc.ParticipantKind.PARTICIPANT_KIND_INGRESS
            assert remote.name == "OBS"
            video = next(
                p for p in remote.track_publications.values() if p.kind == rtc.TrackKind.KIND_VIDEO
            )
            assert not video.simulcasted
            await asyncio.sleep(3)
            state = await state_of(server, made.ingress_id)
            assert state.status == PUBLISHING and not state.error
            assert (state.video.mime_type, state.video.width, state.video.height) == (
                "video/H264", 336, 240,
            )  # fmt: skip
            assert state.video.framerate == 15 and state.video.average_bitrate > 1000
            assert state.audio.mime_type == "audio/aac" and state.audio.average_bitrate > 10_000
            assert len(state.tracks) == 2
            assert encoder.poll() is None
            encoder.kill()
            await watcher.hears_of(
                "participant_disconnected", lambda p: p.identity == "studio", within=2
            )
    assert (await state_of(server, made.ingress_id)).status == INACTIVE


async def test_b_frames_are_transcoded_to_layers(
    server: RoomServer, room_name: str, folder: Path
) -> None:
    source = clip(folder, *B_FRAMES, size=(960, 540))
    made, url = await new(server, room_name)

    async with guest(server, "watcher", room_name) as watcher, push(source, url):
        eye, ear = await watcher.eye("studio"), await watcher.ear("studio")
        await eye.sees_bars(within=20)
        await ear.hears_tone(440.0)
        publications = watcher.remote("studio").track_publications.values()
        video = next(p for p in publications if p.kind == rtc.TrackKind.KIND_VIDEO)
        assert video.simulcasted
        for quality, width in (
            (rtc.VideoQuality.VIDEO_QUALITY_LOW, 320),
            (rtc.VideoQuality.VIDEO_QUALITY_MEDIUM, 640),
            (rtc.VideoQuality.VIDEO_QUALITY_HIGH, 960),
        ):
            video.set_video_quality(quality)
            await until(
                lambda width=width: eye.picture is not None and eye.picture.shape[1] == width,
                within=20, what=f"width {width}",
            )  # fmt: skip
        state = await state_of(server, made.ingress_id)
        assert (state.video.width, state.video.height) == (960, 540)


@pytest.mark.parametrize("only", ["-vn", "-an"])
async def test_one_kind_alone(server: RoomServer, room_name: str, plain: Path, only: str) -> None:
    _, url = await new(server, room_name)

    async with guest(server, "watcher", room_name) as watcher, push(plain, url, only):
        if only == "-vn":
            await (await watcher.ear("studio")).hears_tone(440.0)
        else:
            await (await watcher.eye("studio")).sees_bars()
        assert len(watcher.remote("studio").track_publications) == 1


async def test_refusals_reach_the_encoder(server: RoomServer, room_name: str, plain: Path) -> None:
    made, url = await new(server, room_name)
    strict, strict_url = await new(server, room_name, enabled=False, participant_identity="other")
    assert strict.ingress_id

    for target, words in ((f"{made.url}/nonsense", b"unknown stream key"),
                          (strict_url, b"disabled")):  # fmt: skip
        async with push(plain, target) as encoder:
            _, said = await asyncio.wait_for(asyncio.to_thread(encoder.communicate), 10)
        assert encoder.returncode == 1
        assert words in said and b"Server error" in said
    async with push(plain, url) as first:
        await becomes(server, made.ingress_id, PUBLISHING)
        async with push(plain, url) as second:
            _, said = await asyncio.wait_for(asyncio.to_thread(second.communicate), 10)
        assert b"already publishing" in said
        assert first.poll() is None
        assert (await state_of(server, made.ingress_id)).status == PUBLISHING


async def test_what_cannot_go_on_is_refused_with_the_reason_where_encoding_is_off(
    server: RoomServer, room_name: str, folder: Path
) -> None:
    source = clip(folder, *B_FRAMES, sound=False)
    made, url = await new(server, room_name, enable_transcoding=False)

    async with push(source, url) as encoder:
        state = await becomes(server, made.ingress_id, ERROR)
        await asyncio.wait_for(asyncio.to_thread(encoder.communicate), 10)

    assert "B-frames" in state.error and "switched off" in state.error


async def test_the_encoder_reconnects_with_its_own_key(
    server: RoomServer, room_name: str, plain: Path
) -> None:
    made, url = await new(server, room_name)
    async with guest(server, "watcher", room_name) as watcher:
        async with push(plain, url):
            await becomes(server, made.ingress_id, PUBLISHING)
        async with push(plain, url):
            await becomes(server, made.ingress_id, INACTIVE, optional=True)
            await becomes(server, made.ingress_id, PUBLISHING)
            await watcher.meets("studio")
        async with server.api() as client:
            await client.ingress.delete_ingress(
                api.DeleteIngressRequest(ingress_id=made.ingress_id)
            )


async def test_delete_and_remove_reach_the_encoder(
    server: RoomServer, room_name: str, plain: Path
) -> None:
    made, url = await new(server, room_name)
    async with push(plain, url) as encoder:
        await becomes(server, made.ingress_id, PUBLISHING)
        async with server.api() as client:
            await client.room.remove_participant(
                api.RoomParticipantIdentity(room=room_name, identity="studio")
            )
        await asyncio.wait_for(asyncio.to_thread(encoder.wait), 10)
    assert (await state_of(server, made.ingress_id)).status == INACTIVE


async def test_hostile_sockets_end_alone(server: RoomServer, room_name: str, plain: Path) -> None:
    made, url = await new(server, room_name)
    port = int(made.url.rpartition(":")[2].partition("/")[0])
    handshake = b"\x03" + bytes(1536 * 2)

    async with guest(server, "watcher", room_name) as watcher, push(plain, url) as encoder:
        eye = await watcher.eye("studio")
        await eye.sees_bars()
        for sent in (
            b"GET / HTTP/1.1\r\n\r\n",
            handshake + b"\xff" * 2000,
            handshake + b"\x04" + bytes(3) + b"\xff\xff\xff\x09" + bytes(4),
            handshake + struct.pack(">B3xI", 3, 700 << 8 | 20) + bytes(4) + b"\x03\x00\x01a" * 175,
        ):
            assert await asyncio.to_thread(closes, port, sent) < 2
        assert 4 < await asyncio.to_thread(closes, port, b"") < 7
        await eye.goes_on(15)
        assert encoder.poll() is None


@pytest.mark.parametrize(
    ("how", "within"), [("kill", 2), ("silence", 10)], ids=["killed", "cable-pulled"]
)
async def test_an_encoder_that_vanishes_is_gone(
    server: RoomServer, room_name: str, how: str, within: float
) -> None:
    made, url = await new(server, room_name)
    async with guest(server, "watcher", room_name) as watcher:
        async with RtmpEncoder(url) as encoder:
            await becomes(server, made.ingress_id, PUBLISHING)
            await watcher.meets("studio")
            getattr(encoder, how)()
            await watcher.hears_of(
                "participant_disconnected", lambda p: p.identity == "studio", within=within
            )
    assert (await state_of(server, made.ingress_id)).status == INACTIVE


async def test_a_ghost_gives_way_to_its_own_encoder(server: RoomServer, room_name: str) -> None:
    made, url = await new(server, room_name)
    async with RtmpEncoder(url) as ghost:
        await becomes(server, made.ingress_id, PUBLISHING)
        first = (await state_of(server, made.ingress_id)).resource_id
        ghost.silence()
        async with RtmpEncoder(url) as busy:
            assert busy.refused is not None and "already publishing" in busy.refused.text
        await asyncio.sleep(2.2)
        async with RtmpEncoder(url) as encoder:
            assert encoder.is_publishing
            state = await becomes(server, made.ingress_id, PUBLISHING)
            assert state.resource_id != first
            await ghost.ended()


@pytest.mark.parametrize("b_frames", [0, 2], ids=["passed-on", "transcoded"])
async def test_timestamps_that_wrap_stop_nothing(
    server: RoomServer, room_name: str, b_frames: int
) -> None:
    _, url = await new(server, room_name)
    options = EncoderOptions(first_timestamp=2**32 - 3000, b_frames=b_frames)
    async with guest(server, "watcher", room_name) as watcher, RtmpEncoder(url, options) as encoder:
        eye, ear = await watcher.eye("studio"), await watcher.ear("studio")
        await eye.goes_on(75)
        assert abs((await ear.hear()).hertz - 440) < 5
        assert encoder.is_publishing


async def test_a_killed_worker_is_replaced_or_ends_its_own_ingress(
    server: RoomServer, room_name: str
) -> None:
    made, url = await new(server, room_name)
    other, other_url = await new(server, room_name, participant_identity="other")
    quiet = EncoderOptions(audio=False)
    async with guest(server, "watcher", room_name) as watcher:
        async with RtmpEncoder(other_url, quiet), RtmpEncoder(url, EncoderOptions(video=False)):
            eye = await watcher.eye("other")
            await becomes(server, made.ingress_id, PUBLISHING)
            os.kill(worker_of(server), signal.SIGKILL)
            state = await becomes(server, made.ingress_id, ERROR)
            assert state.error.startswith("transcoder failed")
            await eye.goes_on(15)
            assert (await state_of(server, other.ingress_id)).status == PUBLISHING


async def test_a_killed_server_keeps_keys_and_the_encoder_comes_back(tmp_path: Path) -> None:
    port = str(free_port())
    values = {"ROOMFUL_PLUGINS__CONFIG__INGRESS_RTMP__PORT": port, "ROOMFUL_LIMITS__MAX_CPU": "16"}
    quiet = EncoderOptions(audio=False)
    with start_roomful(tmp_path, settings=values) as first:
        made, url = await new(first, "kept")
        async with RtmpEncoder(url, quiet) as encoder:
            await becomes(first, made.ingress_id, PUBLISHING)
            assert first.pid is not None
            os.kill(first.pid, signal.SIGKILL)
            await encoder.ended()

    with start_roomful(tmp_path, settings=values) as second:
        state = await state_of(second, made.ingress_id)
        assert state.status == INACTIVE and state.ended_at >= state.started_at > 0
        async with RtmpEncoder(url, quiet) as encoder, guest(second, "watcher", "kept") as watcher:
            assert encoder.is_publishing
            await (await watcher.eye("studio")).goes_on(5)
            assert second.pid is not None
            os.kill(second.pid, signal.SIGTERM)
            await encoder.ended()


async def test_the_command_of_the_page_works(
    server: RoomServer, room_name: str, folder: Path
) -> None:
    made, url = await new(server, room_name)
    page = (Path(__file__).parents[2] / "docs/how-to/rtmp.md").read_text()
    command = re.search(r"```sh\n(ffmpeg .*?)```", page, re.DOTALL)
    assert command is not None
    source = clip(folder, *B_FRAMES)
    words = shlex.split(command[1].replace("\\\n", " "))
    swap = {"clip.mp4": str(source), "rtmp://127.0.0.1:1935/live/KEY": url}
    assert swap.keys() <= set(words)
    async with guest(server, "watcher", room_name) as watcher:
        process = await asyncio.create_subprocess_exec(
            *(swap.get(word, word) for word in words),
            stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            await (await watcher.eye("studio")).sees_bars()
            await (await watcher.ear("studio")).hears_tone(440.0)
            tracks = (await state_of(server, made.ingress_id)).tracks
            # the page's settings avoid transcoding
            assert not any(track.simulcast for track in tracks)
        finally:
            process.kill()
            await process.wait()


def worker_of(server: RoomServer) -> int:
    """The only media worker of the server."""
    task = Path(f"/proc/{server.pid}/task/{server.pid}/children")
    (worker,) = map(int, task.read_text().split())
    return worker


def closes(port: int, sent: bytes) -> float:
    """Seconds until the server closed a connection on which this was sent."""
    import time

    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=15) as sock:
        try:
            sock.sendall(sent)
            while sock.recv(4096):
                pass
        except ConnectionError:
            pass
    return time.monotonic() - began


async def becomes(
    server: RoomServer,
    ingress_id: str,
    status: int,
    within: float = 10.0,
    *,
    optional: bool = False,
) -> api.IngressState:
    """Wait for a state; `optional`: for 2 s, and it need not come."""
    seen: list[api.IngressState] = []
    try:
        async with asyncio.timeout(2.0 if optional else within):
            while not seen or seen[-1].status != status:
                await asyncio.sleep(0.1)
                seen.append(await state_of(server, ingress_id))
    except TimeoutError:
        assert optional, f"state {seen[-1] if seen else None}"
    return seen[-1]
