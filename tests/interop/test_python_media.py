"""Two participants of the Python SDK: sound and pictures checked after decoding."""

import pytest
from livekit import api, rtc

from .guest import guest
from .media import BARS, Film, bars, until
from .server import RoomServer

AUDIO = rtc.TrackKind.KIND_AUDIO
VIDEO = rtc.TrackKind.KIND_VIDEO
CODECS = ["VP8", "H264", "VP9", "AV1"]


def _options(single: bool, **more: object) -> rtc.RoomOptions:
    return rtc.RoomOptions(single_peer_connection=single, **more)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("single", [True, False], ids=["single-pc", "dual-pc"])
@pytest.mark.parametrize("codec", CODECS)
async def test_tone_and_colours_arrive(
    room_server: RoomServer, room_name: str, codec: str, single: bool
) -> None:
    options = _options(single)
    async with (
        guest(room_server, "talker", room_name, options=options) as talker,
        guest(room_server, "listener", room_name, options=options) as listener,
    ):
        await talker.speak(440)
        await talker.show(codec=rtc.VideoCodec.Value(codec))

        ear = await listener.ear("talker")
        eye = await listener.eye("talker")
        await ear.hears_tone(440)
        await eye.sees_bars()
        [picture] = [
            publication
            for publication in listener.remote("talker").track_publications.values()
            if publication.kind == VIDEO
        ]
        assert picture.mime_type.lower() == f"video/{codec.lower()}"


async def test_both_talk_and_hear_each_other(room_server: RoomServer, room_name: str) -> None:
    async with (
        guest(room_server, "left", room_name) as left,
        guest(room_server, "right", room_name, options=_options(False)) as right,
    ):
        await left.speak(440)
        await right.speak(660)

        await (await right.ear("left")).hears_tone(440)
        await (await left.ear("right")).hears_tone(660)


async def test_simulcast_publisher_is_seen_in_full_size(
    room_server: RoomServer, room_name: str
) -> None:
    async with (
        guest(room_server, "talker", room_name) as talker,
        guest(room_server, "listener", room_name) as listener,
    ):
        await talker.show(Film(size=(640, 360)), simulcast=True)
        eye = await listener.eye("talker")
        await eye.sees_bars()
        await until(lambda: eye.picture is not None and eye.picture.shape[1] >= 320, within=15)


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_encrypted_media_passes_through(
    room_server: RoomServer, room_name: str, codec: str
) -> None:
    def locked(key: bytes) -> rtc.RoomOptions:
        keys = rtc.KeyProviderOptions(shared_key=key)
        return rtc.RoomOptions(encryption=rtc.E2EEOptions(key_provider_options=keys))

    async with (
        guest(room_server, "talker", room_name, options=locked(b"k" * 16)) as talker,
        guest(room_server, "listener", room_name, options=locked(b"k" * 16)) as listener,
        guest(room_server, "outsider", room_name, options=locked(b"x" * 16)) as outsider,
    ):
        await talker.speak(440)
        await talker.show(codec=rtc.VideoCodec.Value(codec))
        ear, eye = await listener.ear("talker"), await listener.eye("talker")
        await ear.hears_tone(440)
        await eye.sees_bars()
        assert all(
            publication.encryption_type != rtc.EncryptionType.NONE
            for publication in listener.remote("talker").track_publications.values()
        )

        wrong = await outsider.ear("talker")
        await wrong.hears_nothing()


async def test_encrypted_data_passes_through(room_server: RoomServer, room_name: str) -> None:
    keys = rtc.KeyProviderOptions(shared_key=b"k" * 16)
    options = rtc.RoomOptions(encryption=rtc.E2EEOptions(key_provider_options=keys))
    async with (
        guest(room_server, "talker", room_name, options=options) as talker,
        guest(room_server, "listener", room_name, options=options) as listener,
    ):
        await talker.meets("listener")
        await talker.local.publish_data(b"sealed", topic="t")
        await until(lambda: bool(listener.data))
        assert listener.data[0].data == b"sealed"


async def test_muted_microphone_falls_silent_and_sounds_again(
    room_server: RoomServer, room_name: str
) -> None:
    async with (
        guest(room_server, "talker", room_name) as talker,
        guest(room_server, "listener", room_name) as listener,
    ):
        microphone = await talker.speak(440)
        ear = await listener.ear("talker")
        await ear.hears_tone(440)
        assert isinstance(microphone.track, rtc.LocalAudioTrack)

        microphone.track.mute()
        await listener.hears_of("track_muted")
        await ear.hears_nothing()

        microphone.track.unmute()
        await listener.hears_of("track_unmuted")
        await ear.hears_tone(440)


async def test_muted_camera_stands_still_and_moves_again(
    room_server: RoomServer, room_name: str
) -> None:
    async with (
        guest(room_server, "talker", room_name) as talker,
        guest(room_server, "listener", room_name) as listener,
    ):
        camera = await talker.show()
        eye = await listener.eye("talker")
        await eye.sees_bars()
        assert isinstance(camera.track, rtc.LocalVideoTrack)

        camera.track.mute()
        await listener.hears_of("track_muted")
        await eye.stands_still()

        camera.track.unmute()
        await listener.hears_of("track_unmuted")
        await eye.goes_on()


@pytest.mark.parametrize("single", [True, False], ids=["single-pc", "dual-pc"])
async def test_unpublished_track_goes_away_and_another_takes_its_place(
    room_server: RoomServer, room_name: str, single: bool
) -> None:
    options = _options(single)
    async with (
        guest(room_server, "talker", room_name, options=options) as talker,
        guest(room_server, "listener", room_name, options=options) as listener,
    ):
        first = await talker.show()
        await (await listener.eye("talker")).sees_bars()

        await talker.local.unpublish_track(first.sid)
        await listener.hears_of("track_unsubscribed")
        await listener.hears_of("track_unpublished")
        listener.forget()
        other = tuple(reversed(BARS))
        second = await talker.show(Film(lambda _: bars(320, 240, other)))
        eye = await listener.eye("talker")

        await eye.sees_bars(other)
        assert second.sid != first.sid
        assert list(listener.remote("talker").track_publications) == [second.sid]


async def test_republishing_many_times_keeps_working(
    room_server: RoomServer, room_name: str
) -> None:
    async with (
        guest(room_server, "talker", room_name) as talker,
        guest(room_server, "listener", room_name) as listener,
    ):
        for turn in range(4):
            listener.forget()
            publication = await talker.speak(440 + 110 * turn)
            ear = await listener.ear("talker")
            await ear.hears_tone(440 + 110 * turn)
            await talker.local.unpublish_track(publication.sid)
            await listener.hears_of("track_unpublished")


async def test_late_joiner_gets_what_is_there(room_server: RoomServer, room_name: str) -> None:
    async with guest(room_server, "talker", room_name) as talker:
        await talker.speak(440)
        await talker.show()

        async with (
            guest(room_server, "single", room_name) as single,
            guest(room_server, "dual", room_name, options=_options(False)) as dual,
        ):
            for late in (single, dual):
                await (await late.ear("talker")).hears_tone(440)
                await (await late.eye("talker")).sees_bars()


@pytest.mark.parametrize("single", [True, False], ids=["single-pc", "dual-pc"])
async def test_without_auto_subscribe_a_track_comes_and_goes_on_request(
    room_server: RoomServer, room_name: str, single: bool
) -> None:
    options = _options(single, auto_subscribe=False)
    async with (
        guest(room_server, "talker", room_name) as talker,
        guest(room_server, "chooser", room_name, options=options) as chooser,
    ):
        await talker.speak(440)
        await talker.show()
        published = await chooser.hears_of("track_published", lambda p, _: p.kind == AUDIO)
        await chooser.hears_of("track_published", lambda p, _: p.kind == VIDEO)
        microphone = published.about[0]
        assert chooser.told("track_subscribed") is None

        microphone.set_subscribed(True)
        await (await chooser.ear("talker")).hears_tone(440)
        assert chooser.told("track_subscribed", lambda _t, p, _w: p.kind == VIDEO) is None

        microphone.set_subscribed(False)
        await chooser.hears_of("track_unsubscribed")
        chooser.forget()
        microphone.set_subscribed(True)
        await (await chooser.ear("talker")).hears_tone(440)


async def test_publisher_is_told_of_its_first_subscriber(
    room_server: RoomServer, room_name: str
) -> None:
    async with guest(room_server, "talker", room_name) as talker:
        microphone = await talker.speak()
        assert talker.told("local_track_subscribed") is None
        async with guest(room_server, "listener", room_name):
            notice = await talker.hears_of("local_track_subscribed")
            assert notice.about[0].sid == microphone.sid


async def test_allowing_only_some_subscribers_shuts_out_the_others(
    room_server: RoomServer, room_name: str
) -> None:
    async with (
        guest(room_server, "talker", room_name) as talker,
        guest(room_server, "friend", room_name) as friend,
        guest(room_server, "stranger", room_name) as stranger,
    ):
        only_friend = rtc.ParticipantTrackPermission(participant_identity="friend", allow_all=True)
        talker.local.set_track_subscription_permissions(
            allow_all_participants=False, participant_permissions=[only_friend]
        )
        await talker.speak(440)
        await (await friend.ear("talker")).hears_tone(440)
        await stranger.hears_of("track_published")
        assert stranger.told("track_subscribed") is None

        talker.local.set_track_subscription_permissions(allow_all_participants=True)
        await (await stranger.ear("talker")).hears_tone(440)


async def test_withdrawn_subscription_permission_ends_the_subscription(
    room_server: RoomServer, room_name: str
) -> None:
    async with (
        guest(room_server, "talker", room_name) as talker,
        guest(room_server, "listener", room_name) as listener,
    ):
        await talker.speak(440)
        ear = await listener.ear("talker")
        await ear.hears_tone(440)

        talker.local.set_track_subscription_permissions(allow_all_participants=False)
        await ear.hears_nothing()  # the SDK gives no event for it


@pytest.mark.parametrize("single", [True, False], ids=["single-pc", "dual-pc"])
@pytest.mark.parametrize("scenario", ["SIGNAL_RECONNECT", "FULL_RECONNECT"])
@pytest.mark.parametrize("who", ["talker", "listener"])
async def test_media_goes_on_after_reconnecting(
    room_server: RoomServer, room_name: str, single: bool, scenario: str, who: str
) -> None:
    kind = rtc.SimulateScenarioKind.Value(f"SIMULATE_{scenario}")
    options = _options(single)
    async with (
        guest(room_server, "talker", room_name, options=options) as talker,
        guest(room_server, "listener", room_name, options=options) as listener,
    ):
        await talker.speak(440)
        await talker.show()
        ear, eye = await listener.ear("talker"), await listener.eye("talker")
        await ear.hears_tone(440)
        await eye.sees_bars()
        shaken = talker if who == "talker" else listener
        listener.forget()

        await shaken.room.simulate_scenario(kind)
        await shaken.hears_of("reconnected", within=15)

        if scenario == "FULL_RECONNECT":  # tracks are new ones to the listener
            ear, eye = await listener.ear("talker"), await listener.eye("talker")
        await ear.hears_tone(440)
        await eye.sees_bars()
        await eye.goes_on(15)


async def test_server_side_mute_reaches_publisher_and_subscriber(
    room_server: RoomServer, room_name: str
) -> None:
    async with (
        guest(room_server, "talker", room_name) as talker,
        guest(room_server, "listener", room_name) as listener,
        room_server.api() as control,
    ):
        microphone = await talker.speak(440)
        ear = await listener.ear("talker")
        await ear.hears_tone(440)

        await control.room.mute_published_track(
            api.MuteRoomTrackRequest(
                room=room_name, identity="talker", track_sid=microphone.sid, muted=True
            )
        )
        await listener.hears_of("track_muted")
        await talker.hears_of("track_muted")
        await ear.hears_nothing()
