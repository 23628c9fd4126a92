"""Bad weather between the clients and the server: 2 % loss and 30 ms jitter both ways."""

import asyncio

import pytest
from livekit import rtc

from .guest import guest
from .media import Film, eventually, number_of, numbered, until
from .relay import Weather, through_relay
from .server import RoomServer

STORM = Weather(loss=0.02, jitter_s=0.03)
CALM = Weather()
START, MEASURED, END = 20, 120, 15  # pictures: before, in, and after the bad weather
PER_SECOND = 15


@pytest.mark.parametrize("single", [True, False], ids=["single-pc", "dual-pc"])
async def test_every_picture_is_decoded_in_spite_of_loss(
    room_server: RoomServer, room_name: str, single: bool
) -> None:
    options = rtc.RoomOptions(single_peer_connection=single)
    seen: set[int] = set()
    async with (
        through_relay(room_server, STORM) as (server, relay),
        guest(server, "talker", room_name, options=options) as talker,
        guest(server, "listener", room_name, options=options) as listener,
    ):
        await talker.speak(440)
        film = Film(numbered)
        publishing = rtc.TrackPublishOptions(
            source=rtc.TrackSource.SOURCE_CAMERA,
            video_codec=rtc.VideoCodec.VP8,
            simulcast=False,
        )
        await talker.local.publish_track(film.track, publishing)
        track = await listener.track("talker", rtc.TrackKind.KIND_VIDEO)
        await listener.eye("talker", lambda picture: seen.add(number_of(picture)))
        ear = await listener.ear("talker")

        relay.weather = CALM
        await film.play(pictures_per_second=PER_SECOND, count=START)
        before = await _settled(film.track, track)
        relay.weather = STORM
        await film.play(pictures_per_second=PER_SECOND, count=START + MEASURED)
        relay.weather = CALM  # what follows the last lost packet shows that it is missing
        await film.play(pictures_per_second=PER_SECOND, count=START + MEASURED + END)
        await ear.hears_tone(440)
        after = await _settled(film.track, track)

        # encoder and decoder are compared: both ends of the SDK may leave out pictures by themselves
        assert relay.lost > 20
        assert after[0] - before[0] > 0.8 * MEASURED
        assert after[1] - before[1] == after[0] - before[0], (before, after)
        assert seen <= set(range(START + MEASURED + END))
        assert len(seen) > 0.7 * MEASURED


async def _settled(sent: rtc.Track, received: rtc.Track) -> tuple[int, int]:
    """Pictures encoded and decoded so far, when neither has changed for half a second."""
    last = (0, 0)

    async def check() -> bool:
        nonlocal last
        before = last
        await asyncio.sleep(0.5)
        last = (
            await _counter(sent, "outbound_rtp", "frames_encoded"),
            await _counter(received, "inbound_rtp", "frames_decoded"),
        )
        return last == before

    assert await eventually(check, within=10)
    return last


async def _counter(track: rtc.Track, kind: str, name: str) -> int:
    """A counter of a track, 0 while there is none."""
    for entry in await track.get_stats():
        if entry.WhichOneof("stats") == kind:
            return getattr(getattr(getattr(entry, kind), kind.split("_")[0]), name)
    return 0


async def test_data_arrives_whole_and_in_order_in_spite_of_loss(
    room_server: RoomServer, room_name: str
) -> None:
    async with (
        through_relay(room_server, Weather(loss=0.05, jitter_s=0.03)) as (server, relay),
        guest(server, "left", room_name) as left,
        guest(server, "right", room_name) as right,
    ):
        await left.meets("right")
        for number in range(100):
            await left.local.publish_data(number.to_bytes(2, "big") + b"x" * 1500)
        await until(lambda: len(right.data) == 100, within=20)
        assert [int.from_bytes(p.data[:2], "big") for p in right.data] == list(range(100))
        assert relay.lost > 5
