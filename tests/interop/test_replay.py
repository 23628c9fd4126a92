"""`replay` against a real server: what a client of the SDK decodes, and what a raw subscriber keeps."""

import asyncio
import sys
from collections.abc import Iterable
from contextlib import suppress

import av
import numpy as np
import pytest
from livekit import api, rtc
from livekit.protocol import models
from livekit.protocol import rtc as rtc_proto

from roomful.errors import InvalidArgument
from roomful_rtc.payload import vp8
from roomful_testing import card
from roomful_testing.measure import Measure
from roomful_testing.peer.signalling import Refused
from roomful_testing.receiver import Received, Receiver, receive
from roomful_testing.replay import Replay, replay
from roomful_testing.report import Report
from tests.bench.figures.process import ProcessMeter

from .guest import guest
from .media import until
from .relay import Weather, through_relay
from .server import RoomServer

HERTZ, SOURCE, RATE = 523, 7, 48_000
SIZE = (640, 360)
LONG_S, SHORT_S = 5.0, 2.0
CPU = 0.05
"""of a core; it takes 0.02 where nothing else runs"""


class Spectator:
    """Decodes both tracks of a publisher by the SDK; without times for sound, it takes arrivals."""

    def __init__(self, measure: Measure) -> None:
        self.measure, self.sizes = measure, set[tuple[int, int]]()
        self.newest: card.Reading | None = None
        self.size = (0, 0)
        self._heard, self._begin_us = 0, 0
        self._loop = asyncio.get_running_loop()

    async def see(self, track: rtc.Track) -> None:
        stream = rtc.VideoStream(track, format=rtc.VideoBufferType.I420)
        async for event in stream:
            frame = event.frame
            picture = np.frombuffer(frame.data, np.uint8)
            self.size = (frame.width, frame.height)
            self.newest = card.read(picture.reshape(frame.height * 3 // 2, frame.width))
            self.measure.see(self.newest, round(self._loop.time() * 1e6))

    async def hear(self, track: rtc.Track) -> None:
        stream = rtc.AudioStream(track, sample_rate=RATE, num_channels=1)
        async for event in stream:
            samples = np.frombuffer(event.frame.data, np.int16) / np.float32(32768)
            if not self._heard:
                self._begin_us = round(self._loop.time() * 1e6)
            at_us = self._begin_us + self._heard * 1_000_000 // RATE
            self._heard += len(samples)
            self.measure.hear(samples, RATE, at_us)


async def watch(server: RoomServer, room: str, seconds: float, **how: object) -> Report:
    """What a client of the SDK makes of a publisher."""
    spectator = Spectator(Measure(loop_us=2_000_000))
    async with (
        guest(server, "spectator", room) as client,
        publishing(server, room, **how),
    ):
        seen = await client.track("replay", rtc.TrackKind.KIND_VIDEO)
        heard = await client.track("replay", rtc.TrackKind.KIND_AUDIO)
        client.run(spectator.see(seen))
        client.run(spectator.hear(heard))
        await asyncio.sleep(seconds)
    assert spectator.newest is not None
    assert spectator.newest.source == SOURCE
    return spectator.measure.report()


def publishing(server: RoomServer, room: str, **how: object):
    token = server.token("replay", room)
    how = {"size": SIZE, "hertz": HERTZ, "source": SOURCE, **how}
    return replay(server.url, token, **how)  # pyright: ignore[reportArgumentType]


def receiving(server: RoomServer, room: str):
    return receive(server.url, server.token("raw", room))


def decoded(
    stream: Received, pictures: Iterable[tuple[int, bytes]]
) -> list[tuple[int, av.VideoFrame]]:
    """Timestamp and picture; raises where one is broken."""
    codec = av.CodecContext.create(stream.codec, "r")
    return [(ts, frame) for ts, data in pictures for frame in codec.decode(av.Packet(data))]


def measured(receiver: Receiver, publisher: Replay) -> Report:
    """What sound and picture of a publisher are, presented as its sender reports say."""
    measure = Measure(loop_us=publisher.loop_us)
    video, audio = receiver.track(publisher.video_sid), receiver.track(publisher.audio_sid)
    assert video is not None
    assert audio is not None
    for ts, frame in decoded(video, video.pictures()):
        at_us = receiver.wall_us(video, ts)
        assert at_us is not None
        measure.see(card.read(frame.to_ndarray(format="yuv420p")), at_us)
    codec = av.CodecContext.create("libopus", "r")
    codec.sample_rate, codec.layout = RATE, "mono"
    for packet in audio.ordered():
        at_us = receiver.wall_us(audio, packet.ts)
        assert at_us is not None
        for frame in codec.decode(av.Packet(packet.payload)):
            samples = frame.to_ndarray().reshape(-1).astype(np.float32)
            scale = 32768 if frame.format.name.startswith("s16") else 1
            measure.hear(samples / scale, RATE, at_us)
    return measure.report()


@pytest.mark.parametrize("video", ["vp8", "h264"])
async def test_client_sees_colours_and_hears_the_tone(
    room_server: RoomServer, room_name: str, video: str
) -> None:
    report = await watch(room_server, room_name, LONG_S, video=video)

    # a client throws pictures away where the machine leaves it no time
    assert report.fps > 20
    assert (report.unreadable, report.wrong_colours, report.backward) == (0, 0, 0)
    assert report.hertz == pytest.approx(HERTZ, abs=1)
    assert report.silent == 0
    assert report.beeps >= LONG_S - 2
    # the SDK tells no time of sound; by arrivals, the two are not further apart than its buffers
    assert report.sync is not None
    assert abs(report.sync.last_ms) < 200


@pytest.mark.parametrize("video", ["vp8", "h264"])
async def test_sound_and_picture_are_together_by_their_sender_reports(
    room_server: RoomServer, room_name: str, video: str
) -> None:
    async with (
        receiving(room_server, room_name) as receiver,
        publishing(room_server, room_name, video=video) as publisher,
    ):
        await asyncio.sleep(LONG_S)
        report = measured(receiver, publisher)
        streams = list(receiver.streams.values())

    assert [stream.flow.gaps for stream in streams] == [0] * len(streams)
    assert report.fps == pytest.approx(30, abs=0.2)
    assert (report.unreadable, report.wrong_colours, report.backward, report.freezes) == (
        0,
        0,
        0,
        0,
    )
    assert report.hertz == pytest.approx(HERTZ, abs=0.2)
    assert report.sync is not None
    assert report.sync.pairs >= LONG_S - 2
    assert -20 < report.sync.offset_ms.lowest <= report.sync.offset_ms.highest < 20, str(report)


async def test_layers_of_simulcast_can_be_chosen(room_server: RoomServer, room_name: str) -> None:
    spectator = Spectator(Measure())
    async with (
        guest(room_server, "spectator", room_name) as client,
        publishing(room_server, room_name, simulcast=True),
    ):
        track = await client.track("replay", rtc.TrackKind.KIND_VIDEO)
        client.run(spectator.see(track))
        publication = next(
            p for p in client.remote("replay").track_publications.values() if p.track is track
        )
        for quality, part in ((rtc.VideoQuality.VIDEO_QUALITY_LOW, 4),
                              (rtc.VideoQuality.VIDEO_QUALITY_MEDIUM, 2),
                              (rtc.VideoQuality.VIDEO_QUALITY_HIGH, 1)):  # fmt: skip
            publication.set_video_quality(quality)
            size = (SIZE[0] // part, SIZE[1] // part)
            await until(lambda size=size: spectator.size == size, what=f"pictures of {size}")
        assert spectator.newest is not None
        assert spectator.newest.source == SOURCE


@pytest.mark.parametrize("video", ["vp8", "h264"])
async def test_key_frame_that_is_asked_for_comes_and_can_be_begun_with(
    room_server: RoomServer, room_name: str, video: str
) -> None:
    async with (
        receiving(room_server, room_name) as receiver,
        publishing(room_server, room_name, video=video) as publisher,
    ):
        await until(lambda: receiver.track(publisher.video_sid) is not None)
        stream = receiver.track(publisher.video_sid)
        assert stream is not None
        await asyncio.sleep(1.2)  # servers ask the publisher at most once a second
        asked, count = publisher.played.key_frames_asked, len(stream.pictures())
        receiver.ask_key_frame(stream)
        await until(lambda: any(is_key(video, data) for _, data in stream.pictures()[count:]))
        pictures = stream.pictures()[count:]
        begin = next(at for at, (_, data) in enumerate(pictures) if is_key(video, data))
        frames = decoded(stream, pictures[begin:])

    assert publisher.played.key_frames_asked > asked
    assert frames
    reading = card.read(frames[0][1].to_ndarray(format="yuv420p"))
    assert reading is not None
    assert reading.error < 24


def is_key(codec: str, data: bytes) -> bool:
    if codec == "vp8":
        return vp8.inspect(b"\x10" + data).key
    return b"\x00\x00\x00\x01\x67" in data or b"\x00\x00\x00\x01\x27" in data


async def test_layer_that_nobody_looks_at_is_left_out_until_somebody_does(
    room_server: RoomServer, room_name: str
) -> None:
    async with (
        receiving(room_server, room_name) as receiver,
        publishing(room_server, room_name, simulcast=True) as publisher,
    ):
        participant = publisher.participant
        best = participant.players[-1].stream

        def tell(*, wanted: bool) -> None:
            quality = rtc_proto.SubscribedQuality(quality=models.HIGH, enabled=wanted)
            codec = rtc_proto.SubscribedCodec(codec="vp8", qualities=[quality])
            update = rtc_proto.SubscribedQualityUpdate(
                track_sid=publisher.video_sid, subscribed_codecs=[codec]
            )
            participant.negotiation.take(rtc_proto.SignalResponse(subscribed_quality_update=update))

        await until(lambda: receiver.track(publisher.video_sid) is not None)
        tell(wanted=False)
        await asyncio.sleep(0.1)
        before = best.packets, publisher.played.packets
        await asyncio.sleep(0.5)
        after = best.packets, publisher.played.packets
        assert after[0] == before[0]
        assert after[1] > before[1]
        tell(wanted=True)
        await until(lambda: best.packets > before[0], what="the layer comes back")


async def test_packets_lost_on_the_way_are_sent_again(
    room_server: RoomServer, room_name: str
) -> None:
    async with (
        receiving(room_server, room_name) as receiver,
        through_relay(room_server) as (lossy, relay),
        publishing(lossy, room_name) as publisher,
    ):
        await until(lambda: receiver.track(publisher.video_sid) is not None)
        relay.weather = Weather(loss=0.08)
        await asyncio.sleep(LONG_S)
        relay.weather = Weather()
        await asyncio.sleep(SHORT_S)
        stream = receiver.track(publisher.video_sid)
        assert stream is not None
        whole = len(stream.pictures())
        sent, played = (LONG_S + SHORT_S) * 30, publisher.played

    assert relay.lost > 10
    assert played.resent > 5
    assert stream.flow.late > 0
    assert whole > 0.95 * sent
    assert stream.flow.gaps < 0.3 * played.resent


async def test_who_may_not_publish_is_told(room_server: RoomServer, room_name: str) -> None:
    token = room_server.token("replay", room_name, can_publish=False)
    with pytest.raises(InvalidArgument, match="not allowed to publish"):
        async with replay(room_server.url, token, size=SIZE):
            pass


async def test_who_may_not_join_is_told(room_server: RoomServer) -> None:
    with pytest.raises(Refused, match="401"):
        async with replay(room_server.url, "no token", size=SIZE):
            pass


async def test_publisher_that_is_removed_knows_it(room_server: RoomServer, room_name: str) -> None:
    async with publishing(room_server, room_name, video=None) as publisher:
        async with room_server.api() as server_api:
            identity = api.RoomParticipantIdentity(room=room_name, identity="replay")
            await server_api.room.remove_participant(identity)
        await until(lambda: publisher.left != "")
        assert publisher.left == "PARTICIPANT_REMOVED"


async def test_command_publishes_for_almost_no_cpu(room_server: RoomServer, room_name: str) -> None:
    """720p30 and sound: the least of several windows counts, others have the machine in the rest."""
    token = room_server.token("replay", room_name)
    command = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "roomful_testing.replay", room_server.url, token,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert command.stdout is not None
    meter, loop = ProcessMeter(command.pid), asyncio.get_running_loop()
    shares: list[float] = []
    try:
        for _ in range(3):  # which tracks, and the first two seconds
            assert await asyncio.wait_for(command.stdout.readline(), 60)
        while len(shares) < 6 and min(shares, default=1.0) > CPU:
            begin, cpu_s = loop.time(), meter.cpu_s()
            await asyncio.sleep(1.0)
            shares.append((meter.cpu_s() - cpu_s) / (loop.time() - begin))
    finally:
        with suppress(ProcessLookupError):
            command.terminate()
        await command.wait()
    assert min(shares) <= CPU, shares
