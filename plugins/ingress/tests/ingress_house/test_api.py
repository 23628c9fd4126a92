"""livekit.Ingress, called by `livekit-api`."""

import aiohttp
import pytest
from livekit import api
from livekit.protocol import ingress, models

ID = {"participant_identity": "camera"}


async def refused(house, **fields):
    with pytest.raises(api.TwirpError) as caught:
        await house.define(**fields)
    return caught.value.code, caught.value.message


async def test_create_answers_every_field(house):
    made = await house.define(
        name="stage left",
        participant_name="Camera 1",
        participant_metadata='{"seat": 7}',
        enabled=True,
        audio=api.IngressAudioOptions(
            name="desk", source=models.SCREEN_SHARE_AUDIO, preset=ingress.OPUS_MONO_64KBS
        ),
        video=api.IngressVideoOptions(
            name="lens",
            source=models.CAMERA,
            options=ingress.IngressVideoEncodingOptions(
                video_codec=models.H264_BASELINE,
                frame_rate=25,
                layers=[models.VideoLayer(quality=models.HIGH, width=640, height=360, bitrate=9)],
            ),
        ),
    )

    assert made.ingress_id.startswith("IN_") and len(made.ingress_id) == 15
    assert len(made.stream_key) >= 16
    assert made.url == "rtmp://127.0.0.1:1935/live"
    assert (made.name, made.room_name) == ("stage left", "studio")
    assert (made.participant_identity, made.participant_name) == ("camera", "Camera 1")
    assert made.participant_metadata == '{"seat": 7}'
    assert made.reusable and made.enabled
    assert made.enable_transcoding and not made.bypass_transcoding
    assert made.audio.name == "desk" and made.audio.source == models.SCREEN_SHARE_AUDIO
    assert made.audio.preset == ingress.OPUS_MONO_64KBS
    layer = made.video.options.layers[0]
    assert (layer.quality, layer.width, layer.height, layer.bitrate) == (models.HIGH, 640, 360, 9)
    assert made.video.options.frame_rate == 25
    assert made.state.status == ingress.IngressState.ENDPOINT_INACTIVE
    assert (await house.look(made.ingress_id)) == made


async def test_keys_differ_and_are_not_stored_in_the_clear(house, tmp_path):
    first, second = await house.define(), await house.define()
    await house.server.events.flush()

    assert first.stream_key != second.stream_key
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("roomful.sqlite*"))
    assert first.ingress_id.encode() in stored
    assert first.stream_key.encode() not in stored


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"participant_identity": ""}, "participant_identity cannot be empty"),
        ({"participant_identity": "a\nb"}, "control characters"),
        ({"participant_identity": "i" * 257}, "participant_identity exceeds 256"),
        ({"input_type": 7}, "invalid ingress type 7"),
        ({"url": "rtmp://x"}, "does not take one"),
        ({"bypass_transcoding": True}, "bypass_transcoding is for WHIP_INPUT"),
        ({"audio": {"source": 1}}, "audio: a source cannot be CAMERA"),
        ({"audio": {"preset": 9}}, "audio: there is no preset 9"),
        ({"audio": {"options": {"audio_codec": 2}}}, "audio: codec 2 is none of"),
        ({"audio": {"options": {"channels": 3}}}, "audio: 3 channels"),
        ({"video": {"source": 2}}, "video: a source cannot be MICROPHONE"),
        ({"video": {"preset": 10}}, "video: there is no preset 10"),
        ({"video": {"options": {"video_codec": 3}}}, "video: codec 3 is none of"),
        ({"video": {"options": {"frame_rate": -1}}}, "video: frame_rate -1.0"),
        ({"video": {"options": {"layers": [{"quality": 2, "width": 640}]}}}, "layer HIGH is 640x0"),
        (
            {"video": {"options": {"layers": [{"quality": 2, "width": 641, "height": 360}]}}},
            "layer HIGH is 641x360",
        ),
        (
            {"video": {"options": {"layers": [{"width": 64, "height": 36}] * 2}}},
            "two layers have the same quality",
        ),
        (
            {
                "video": {
                    "options": {
                        "layers": [
                            {"quality": 0, "width": 640, "height": 360},
                            {"quality": 2, "width": 320, "height": 360},
                        ]
                    }
                }
            },
            "layer HIGH is smaller than layer LOW",
        ),
    ],
)
async def test_create_refuses(house, fields, words):
    code, message = await refused(house, **fields)

    assert code == "invalid_argument"
    assert words in message


async def test_layers_may_be_missing_and_equal(house):
    layers = [
        {"quality": 2, "width": 640, "height": 360},
        {"quality": 0, "width": 640, "height": 360},
    ]

    assert (await house.define(video={"options": {"layers": layers}})).ingress_id


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"url": "ftp://x"}, "invalid_argument", "http, https or srt"),
        ({"url": "https://x/y", "room_name": ""}, "invalid_argument", "room_name"),
        ({"url": "https://x/y", "enabled": False}, "invalid_argument", "enabled"),
        ({"url": "https://x/y"}, "unimplemented", "URL_INPUT"),
    ],
)
async def test_pulling_is_not_offered(house, fields, code, words):
    answer = await refused(house, input_type=ingress.URL_INPUT, **fields)

    assert answer[0] == code
    assert words in answer[1]


async def test_an_input_that_is_not_installed_names_its_extra(house):
    code, message = await refused(house, input_type=ingress.WHIP_INPUT)

    assert code == "unimplemented"
    assert "roomful[whip]" in message


async def test_transcoding_may_be_refused_for_rtmp(house):
    made = await house.define(enable_transcoding=False)

    assert not made.enable_transcoding


async def test_update_merges_and_checks_the_whole(house):
    made = await house.define(name="a", participant_metadata="m")

    async with house.client as client:
        changed = await client.ingress.update_ingress(
            api.UpdateIngressRequest(
                ingress_id=made.ingress_id, name="b", room_name="other", enabled=False
            )
        )
        with pytest.raises(api.TwirpError) as caught:
            await client.ingress.update_ingress(
                api.UpdateIngressRequest(
                    ingress_id=made.ingress_id, video=api.IngressVideoOptions(preset=99)
                )
            )

    assert (changed.name, changed.room_name, changed.participant_metadata) == ("b", "other", "m")
    assert changed.HasField("enabled") and not changed.enabled
    assert changed.stream_key == made.stream_key
    assert caught.value.code == "invalid_argument"
    assert await house.look(made.ingress_id) == changed


async def test_list_by_room_and_id(house):
    first = await house.define()
    second = await house.define(room_name="attic")

    async with house.client as client:
        every = await client.ingress.list_ingress(api.ListIngressRequest())
        attic = await client.ingress.list_ingress(api.ListIngressRequest(room_name="attic"))
        neither = await client.ingress.list_ingress(
            api.ListIngressRequest(room_name="attic", ingress_id=first.ingress_id)
        )

    assert {one.ingress_id for one in every.items} == {first.ingress_id, second.ingress_id}
    assert [one.ingress_id for one in attic.items] == [second.ingress_id]
    assert not neither.items


async def test_what_is_not_there_is_not_found(house):
    async with house.client as client:
        calls = (
            client.ingress.update_ingress(api.UpdateIngressRequest(ingress_id="IN_none")),
            client.ingress.list_ingress(api.ListIngressRequest(ingress_id="IN_none")),
            client.ingress.delete_ingress(api.DeleteIngressRequest(ingress_id="IN_none")),
        )
        for call in calls:
            with pytest.raises(api.TwirpError) as caught:
                await call
            assert (caught.value.code, caught.value.message) == (
                "not_found", "ingress does not exist",
            )  # fmt: skip


async def test_every_method_needs_ingress_admin(house):
    token = api.AccessToken("devkey", "secret of at least thirty-two bytes")
    token = token.with_grants(api.VideoGrants(room_admin=True, room_create=True)).to_jwt()
    base = "http" + house.server.url[2:] + "/twirp/livekit.Ingress/"
    headers = {"Authorization": f"Bearer {token}"}

    async with aiohttp.ClientSession(headers=headers) as http:
        for method in ("CreateIngress", "UpdateIngress", "ListIngress", "DeleteIngress"):
            async with http.post(base + method, json={}) as response:
                assert response.status == 401
                assert "ingressAdmin" in str(await response.json())
