"""Local sources and sinks beside the Python SDK: what is heard and seen at the other end."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from roomful.errors import MediaError, NotFound, PermissionDenied
from roomful.model.enums import TrackKind, TrackSource, VideoQuality
from roomful.model.media import GapReason, Want
from roomful.model.track import TrackInfo
from tests.interop import media
from tests.interop.guest import guest
from tests.interop.media import BARS, COLOUR_TOLERANCE, until

from .actor import Actor, Raising, Recorder, Slow
from .clips import decode_opus, decode_vp8, in_order, loudest, missing
from .conftest import ROOM, House

SIMULCAST = ((160, 120), (320, 240), (640, 480))


def assert_tone(recorder: Recorder, hertz: int) -> None:
    samples = decode_opus(recorder.packets)[-24_000:]
    assert loudest(samples) == pytest.approx(hertz, abs=4)
    assert np.sqrt(np.mean(samples**2)) > media.LOUDNESS * 0.4


def assert_bars(picture: np.ndarray) -> None:
    height, width, _ = picture.shape
    for number, colour in enumerate(BARS):
        left, right = number * width // 3 + width // 12, (number + 1) * width // 3 - width // 12
        middle = picture[height // 4 : height * 3 // 4, left:right].mean(axis=(0, 1))
        assert np.all(np.abs(middle - colour) <= COLOUR_TOLERANCE), (number, middle)


async def test_an_sdk_hears_and_sees_a_local_source(house: House) -> None:
    async with house.actor("actor") as actor, guest(house.door, "watcher", ROOM) as watcher:
        actor.speak(440)
        actor.show()

        ear, eye = await watcher.ear("actor"), await watcher.eye("actor")
        await ear.hears_tone(440)
        await eye.sees_bars()
        await watcher.hears_of(
            "active_speakers_changed", lambda who: any(p.identity == "actor" for p in who)
        )


async def test_a_key_frame_for_a_late_client_is_asked_of_the_source(house: House) -> None:
    async with house.actor("actor") as actor:
        actor.show()
        await asyncio.sleep(0.3)
        assert not actor.keyframes

        async with guest(house.door, "late", ROOM) as late:
            await (await late.eye("actor")).sees_bars()
        assert 1 <= len(actor.keyframes) <= 3


async def test_a_local_sink_gets_what_an_sdk_publishes(house: House) -> None:
    async with house.actor("recorder") as recorder, guest(house.door, "talker", ROOM) as talker:
        await talker.speak(440)
        await talker.show()

        sound, film = (lambda: recorder.got("talker audio")), (lambda: recorder.got("talker video"))
        await until(lambda: len(sound().packets) >= 100, within=20)
        await until(lambda: len({p.ts for p in in_order(film().packets)}) >= 30, within=20)
        await until(lambda: bool(sound().clocks and film().clocks))

        assert_tone(sound(), 440)
        pictures = decode_vp8(film().packets).pictures
        assert len(pictures) >= 29
        assert_bars(pictures[-1])
        assert missing(sound().packets) == missing(film().packets) == 0
        for kept, rate in ((sound(), 48_000), (film(), 90_000)):
            assert_clock(kept, rate)


def assert_clock(kept: Recorder, rate: int) -> None:
    """The publisher's clock puts the newest packet near the time at which it came."""
    rtp_ts, _, arrival_ns = kept.clocks[-1]
    newest = in_order(kept.packets)[-1]
    apart = ((newest.ts - rtp_ts + 0x80000000) & 0xFFFFFFFF) - 0x80000000
    assert apart / rate == pytest.approx((kept.arrivals_ns[-1] - arrival_ns) / 1e9, abs=0.25)


async def test_local_media_flows_from_actor_to_actor(house: House) -> None:
    async with house.actor("left") as left, house.actor("right") as right:
        left.speak(440)
        left.show()
        right.speak(660)
        await until(lambda: len(right.got("left audio").packets) >= 60)
        await until(lambda: len(left.got("right audio").packets) >= 60)
        await until(lambda: len(right.got("left video").packets) >= 60)

        assert_tone(right.got("left audio"), 440)
        assert_tone(left.got("right audio"), 660)
        assert_bars(decode_vp8(right.got("left video").packets).pictures[-1])
        assert missing(right.got("left audio").packets) == 0
        assert right.got("left audio").clocks
        assert_clock(right.got("left audio"), 48_000)


async def test_a_want_chooses_the_layer_of_a_local_source(house: House) -> None:
    async with house.actor("actor") as actor, house.actor("viewer") as viewer:
        sid, _ = actor.show(SIMULCAST)
        film = await sized(viewer, "actor video", (640, 480))

        viewer.here.want(sid, Want(quality=VideoQuality.LOW))
        await sized(viewer, "actor video", (160, 120))
        viewer.here.want(sid, Want(width=320, height=240))
        await sized(viewer, "actor video", (320, 240))

        assert missing(film.packets) == 0
        assert not film.gaps
        times = [packet.ts for packet in in_order(film.packets)]
        steps = [(b - a) & 0xFFFFFFFF for a, b in pairwise(times)]
        assert max(steps) < 90_000
        decoded = decode_vp8(film.packets)
        assert_bars(decoded.pictures[-1])
        assert {(640, 480), (160, 120), (320, 240)} <= set(decoded.sizes)


async def sized(actor: Actor, name: str, size: tuple[int, int]) -> Recorder:
    """Wait until the newest picture has this size."""

    def seen() -> bool:
        sizes = decode_vp8(actor.got(name).packets).sizes
        return bool(sizes) and sizes[-1] == size

    await until(seen, within=15, what=f"{name} in {size}")
    return actor.got(name)


async def test_a_want_chooses_the_layer_of_an_sdk_publisher(house: House) -> None:
    async with house.actor("viewer") as viewer, guest(house.door, "talker", ROOM) as talker:
        await talker.show(media.Film(size=(1280, 720)), simulcast=True)
        await until(lambda: len(viewer.got("talker video").packets) >= 60, within=20)

        viewer.here.want(viewer.sids["talker video"], Want(quality=VideoQuality.LOW))
        film = await sized(viewer, "talker video", (320, 180))
        viewer.here.want(viewer.sids["talker video"], Want(quality=VideoQuality.MEDIUM))
        await sized(viewer, "talker video", (640, 360))

        assert missing(film.packets) == 0


async def test_an_sdk_gets_a_layer_of_a_local_source(house: House) -> None:
    async with house.actor("actor") as actor, guest(house.door, "watcher", ROOM) as watcher:
        sid, _ = actor.show(SIMULCAST)
        eye = await watcher.eye("actor")
        await eye.sees_bars()
        await until(lambda: eye.picture is not None and eye.picture.shape[1] == 640, within=15)

        watcher.remote("actor").track_publications[sid].set_subscribed(False)
        await watcher.hears_of("track_unsubscribed")
        nothing = dict.fromkeys(range(3), False)
        await until(lambda: dict(actor.demands) == nothing, within=15)
        watcher.forget()
        watcher.remote("actor").track_publications[sid].set_subscribed(True)
        again = await watcher.eye("actor")
        await again.goes_on()
        await until(lambda: dict(actor.demands)[2], within=15)


async def test_a_pause_is_told_and_leaves_no_gap(house: House) -> None:
    async with house.actor("actor") as actor, house.actor("viewer") as viewer:
        sid, _ = actor.show()
        await until(lambda: len(viewer.got("actor video").packets) >= 30)
        film = viewer.got("actor video")

        viewer.here.want(sid, Want(enabled=False))
        before = len(film.packets)
        await asyncio.sleep(0.5)
        assert len(film.packets) == before
        viewer.here.want(sid, Want())
        await until(lambda: len(film.packets) >= before + 30)

        [(count, reason)] = film.gaps
        assert reason == GapReason.PAUSED
        assert count >= 10
        assert missing(film.packets) == 0
        assert_bars(decode_vp8(film.packets).pictures[-1])


async def test_mute_stops_the_media_and_unmute_begins_with_a_key_frame(house: House) -> None:
    async with house.actor("actor") as actor, guest(house.door, "watcher", ROOM) as watcher:
        sid, _ = actor.show()
        eye = await watcher.eye("actor")
        await eye.sees_bars()

        actor.here.mute(sid, True)
        await watcher.hears_of("track_muted")
        await eye.stands_still()
        asked = len(actor.keyframes)
        actor.here.mute(sid, False)
        await watcher.hears_of("track_unmuted")
        await eye.goes_on()
        assert len(actor.keyframes) > asked


@pytest.mark.parametrize("bad", [Raising, Slow])
async def test_a_bad_sink_is_ended_and_harms_nobody(
    house: House, bad: type[Recorder], caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        guest(house.door, "talker", ROOM) as talker,
        guest(house.door, "listener", ROOM) as listener,
        house.actor("good") as good,
        house.actor("bad", sink_type=bad) as nuisance,
    ):
        await talker.speak(440)
        ear = await listener.ear("talker")
        sound = lambda: nuisance.got("talker audio")  # noqa: E731
        await until(lambda: sound().ends == 1, within=20, what="the bad sink is ended")
        count = len(sound().packets)

        await ear.hears_tone(440)
        await until(lambda: len(good.got("talker audio").packets) >= count + 50)
        assert len(sound().packets) == count
        assert missing(good.got("talker audio").packets) == 0
        assert_tone(good.got("talker audio"), 440)
        assert not nuisance.closed
    assert "a local sink was ended" in caplog.text


async def test_leaving_frees_every_row(house: House) -> None:
    async with house.actor("left") as left:
        async with house.actor("right") as right:
            left.show(SIMULCAST)
            right.speak()
            await until(lambda: len(right.got("left video").packets) >= 10)
            await until(lambda: len(left.got("right audio").packets) >= 10)
            assert house.rows == (4, 2)
        assert house.rows == (3, 0)
        assert left.got("right audio").ends == 1
        assert right.got("left video").ends == 1
        async with guest(house.door, "watcher", ROOM) as watcher:
            await (await watcher.eye("left")).goes_on(1)
            assert house.rows == (3, 1)
        await until(lambda: house.rows == (3, 0))
    assert house.rows == (0, 0)
    assert len(left.closed) == len(right.closed) == 1
    await until(lambda: not house.plane.peers)
    board = house.plane._board
    assert board is not None
    assert not (board.streams or board.sinks or board.locals or board.peers)


async def test_unpublishing_ends_the_sinks_of_that_track_alone(house: House) -> None:
    async with house.actor("actor") as actor, house.actor("viewer") as viewer:
        sid, _ = actor.show()
        actor.speak()
        await until(lambda: bool(viewer.got("actor video").packets))
        actor.here.unpublish(sid)
        assert viewer.got("actor video").ends == 1
        count = len(viewer.got("actor audio").packets)
        await until(lambda: len(viewer.got("actor audio").packets) >= count + 10)
        assert viewer.got("actor audio").ends == 0
        with pytest.raises(NotFound):
            actor.here.unpublish(sid)
        with pytest.raises(NotFound):
            viewer.here.keyframe(sid)


async def test_another_writer_goes_on_where_the_first_one_stopped(house: House) -> None:
    async with house.actor("actor") as actor, house.actor("viewer") as viewer:
        _, source = actor.show()
        await until(lambda: len(viewer.got("actor video").packets) >= 20)
        actor.stop()
        source.restart()
        actor.show_on(source)

        film = viewer.got("actor video")
        before = len(film.packets)
        await until(lambda: len(film.packets) >= before + 30)
        assert missing(film.packets) == 0
        assert_bars(decode_vp8(film.packets).pictures[-1])


async def test_what_may_not_be_published_is_refused(house: House) -> None:
    async with house.actor("actor") as actor:
        odd = TrackInfo("", TrackKind.VIDEO, TrackSource.CAMERA, mime_type="video/theora")
        with pytest.raises(MediaError, match="theora"):
            actor.here.publish(odd)
        participant, session = actor.here.participant, actor.here.session
        session.update_participant(
            "actor", permission=replace(participant.permission, can_publish=False)
        )
        with pytest.raises(PermissionDenied):
            actor.speak()
        assert house.rows == (0, 0)
    with pytest.raises(NotFound):
        actor.speak()
