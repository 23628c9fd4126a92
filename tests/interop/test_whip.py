"""WHIP publishers of three makes, seen and heard by the Python SDK."""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from livekit import api, rtc

from .browser import chromium
from .guest import guest
from .media import number_of, numbered, until
from .relay import MediaRelay, Weather
from .server import RoomServer, start_roomful
from .test_webhooks import Inbox, free_port, settings
from .whip import BarsTrack, define, ffmpeg_whip, state_of, whip_publisher

pytestmark = pytest.mark.asyncio(loop_scope="module")

INACTIVE, PUBLISHING, ERROR = 0, 2, 3
SETTINGS = {
    "ROOMFUL_RTC__ICE_SERVERS": '[{"urls": ["stun:127.0.0.1:3478"]},'
    ' {"urls": ["turn:127.0.0.1:3478"], "username": "u", "credential": "c"}]',
    "ROOMFUL_PLUGINS__CONFIG__INGRESS_WHIP__MEDIA_TIMEOUT_S": "2",
    "ROOMFUL_LIMITS__MAX_CPU": "16",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def inbox() -> AsyncIterator[Inbox]:
    """A receiver of webhooks."""
    receiver = Inbox(free_port())
    async with receiver.open():
        yield receiver


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, inbox: Inbox):
    """One server for the module."""
    folder: Path = tmp_path_factory.mktemp("whip")
    with start_roomful(folder, settings=SETTINGS | settings(inbox.port)) as running:
        yield running


async def present(server: RoomServer, room: str) -> list[str]:
    """Identities in a room."""
    async with server.api() as client:
        listed = await client.room.list_participants(api.ListParticipantsRequest(room=room))
    return [one.identity for one in listed.participants]


async def becomes(server: RoomServer, ingress_id: str, status: int, within: float = 10.0):
    """Wait for a state."""
    seen: list[api.IngressState] = []
    async with asyncio.timeout(within):
        while not seen or seen[-1].status != status:
            await asyncio.sleep(0.1)
            seen.append(await state_of(server, ingress_id))
    return seen[-1]


async def test_aiortc_is_seen_and_heard_and_the_api_tells_the_truth(
    server: RoomServer, room_name: str, inbox: Inbox
) -> None:
    made = await define(server, room_name, participant_name="Studio", participant_metadata="m")
    assert made.url == f"{server.http_url}/whip"

    async with guest(server, "watcher", room_name) as watcher:
        async with whip_publisher(made.url, made.stream_key) as publisher:
            await publisher.publish()
            eye, ear = await watcher.eye("studio"), await watcher.ear("studio")
            await eye.sees_bars()
            await ear.hears_tone(440.0)
            remote = watcher.remote("studio")
            assert remote.kind == rtc.ParticipantKind.PARTICIPANT_KIND_INGRESS
            assert (remote.name, remote.metadata) == ("Studio", "m")
            assert remote.attributes["ingress.ingressID"] == made.ingress_id
            sources = {p.source for p in remote.track_publications.values()}
            assert sources == {rtc.TrackSource.SOURCE_CAMERA, rtc.TrackSource.SOURCE_MICROPHONE}
            await asyncio.sleep(3)
            state = await state_of(server, made.ingress_id)
            assert state.status == PUBLISHING
            assert (state.video.mime_type, state.audio.mime_type) == ("video/VP8", "audio/opus")
            assert (state.video.width, state.video.height) == (320, 240)
            assert state.video.average_bitrate > 10_000 and state.audio.average_bitrate > 5_000
            assert state.audio.sample_rate == 48_000
            assert {t.mime_type for t in state.tracks} == {"video/VP8", "audio/opus"}
            assert publisher.links == [
                '<stun:127.0.0.1:3478>; rel="ice-server"',
                '<turn:127.0.0.1:3478>; rel="ice-server"; username="u"; credential="c"; '
                'credential-type="password"',
            ]
            assert made.stream_key not in publisher.location + publisher.answer

            assert await publisher.delete() == 200
            await watcher.hears_of("participant_disconnected", lambda p: p.identity == "studio")
            assert await publisher.delete() == 404
    state = await state_of(server, made.ingress_id)
    assert state.status == INACTIVE and state.ended_at >= state.started_at

    def ours() -> dict[str, api.WebhookEvent]:
        return {e.event: e for e in inbox.events if e.ingress_info.ingress_id == made.ingress_id}

    await until(lambda: "ingress_ended" in ours(), what="webhook")
    assert list(ours()) == ["ingress_started", "ingress_ended"]
    assert not any(e.ingress_info.stream_key for e in ours().values())


@pytest.mark.parametrize("flags", ["", "dtls_active"], ids=["passive", "active"])
async def test_ffmpeg_publishes_in_both_dtls_roles(
    server: RoomServer, room_name: str, tmp_path: Path, flags: str
) -> None:
    made = await define(server, room_name)

    async with guest(server, "watcher", room_name) as watcher:
        url = f"{made.url}/{made.stream_key}"
        async with ffmpeg_whip(url, tmp_path, flags=flags) as child:
            try:
                eye, ear = await watcher.eye("studio"), await watcher.ear("studio")
            except AssertionError:
                raise AssertionError((tmp_path / "ffmpeg.log").read_text()) from None
            await eye.sees_bars()
            await ear.hears_tone(440.0)
            assert (await state_of(server, made.ingress_id)).video.mime_type == "video/H264"
            if flags:
                return
            # its kernel closes the HTTP connection, not the session: DTLS and consent are gone
            child.kill()
            await watcher.hears_of(
                "participant_disconnected", lambda p: p.identity == "studio", within=20
            )


async def test_lost_packets_are_asked_for_again(server: RoomServer, room_name: str) -> None:
    made = await define(server, room_name)
    relay = MediaRelay(Weather(loss=0.05))
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: relay, local_addr=("127.0.0.1", 0))
    seen: list[int] = []
    try:
        async with (
            guest(server, "watcher", room_name) as watcher,
            whip_publisher(made.url, made.stream_key, relay.port) as publisher,
        ):
            relay.server = ("127.0.0.1", await media_port_of(server, room_name))
            await publisher.publish(BarsTrack(numbered))
            assert publisher.server_port == relay.server[1]
            await watcher.eye("studio", lambda picture: seen.append(number_of(picture)))
            await until(lambda: len(seen) > 150, within=25, what="150 pictures")
    finally:
        relay.close()

    # one that does not come again stops the picture until a key frame; the client itself leaves out
    # single ones
    steady = [number for number in seen if number > seen[0] + 15]
    longest = max(later - before for before, later in pairwise(steady))
    assert relay.lost > 10
    assert longest <= 4, steady
    assert len(steady) > 0.85 * (steady[-1] - steady[0])


async def media_port_of(server: RoomServer, room: str) -> int:
    """The server's UDP port, by the answer that a publisher of another ingress gets."""
    made = await define(server, room, participant_identity="scout")
    async with whip_publisher(made.url, made.stream_key) as scout:
        await scout.publish(BarsTrack())
        assert await scout.delete() == 200
        return scout.server_port


async def test_busy_key_ghost_and_disabled(server: RoomServer, room_name: str) -> None:
    made = await define(server, room_name)
    async with whip_publisher(made.url, made.stream_key) as first:
        await first.publish(BarsTrack())
        await becomes(server, made.ingress_id, PUBLISHING)

        async with whip_publisher(f"{made.url}/{made.stream_key}") as second:
            with pytest.raises(AssertionError, match="409"):
                await second.publish(BarsTrack())
        assert await present(server, room_name) == ["studio"]

        await first.close()
        # the first one's silence is noticed: the encoder gets in again with its own key
        async with asyncio.timeout(12):
            while True:
                async with whip_publisher(f"{made.url}/{made.stream_key}") as again:
                    try:
                        await again.publish(BarsTrack())
                    except AssertionError:
                        await asyncio.sleep(0.5)
                        continue
                    await becomes(server, made.ingress_id, PUBLISHING)
                    break

    async with server.api() as client:
        await client.ingress.update_ingress(
            api.UpdateIngressRequest(ingress_id=made.ingress_id, enabled=False)
        )
    async with whip_publisher(made.url, made.stream_key) as third:
        with pytest.raises(AssertionError, match="403"):
            await third.publish(BarsTrack())


async def test_delete_ingress_cuts_off_and_the_resource_is_gone(
    server: RoomServer, room_name: str
) -> None:
    made = await define(server, room_name)
    async with whip_publisher(made.url, made.stream_key) as publisher:
        await publisher.publish(BarsTrack())
        await becomes(server, made.ingress_id, PUBLISHING)

        async with server.api() as client:
            await client.ingress.delete_ingress(
                api.DeleteIngressRequest(ingress_id=made.ingress_id)
            )

        assert await present(server, room_name) == []
        assert await publisher.delete() == 404


async def test_a_publisher_that_sends_nothing_is_ended_with_the_reason(
    server: RoomServer, room_name: str
) -> None:
    class Silent(BarsTrack):
        async def recv(self):
            await asyncio.Event().wait()

    made = await define(server, room_name)
    async with whip_publisher(made.url, made.stream_key) as publisher:
        await publisher.publish(Silent())

        state = await becomes(server, made.ingress_id, ERROR)

    assert state.error == "no media received"
    assert await present(server, room_name) == []


async def test_patch_and_preconditions(server: RoomServer, room_name: str) -> None:
    made = await define(server, room_name)
    async with whip_publisher(made.url, made.stream_key) as publisher:
        await publisher.publish(BarsTrack())
        await becomes(server, made.ingress_id, PUBLISHING)
        sdp = publisher.pc.localDescription.sdp
        ufrag = re.search(r"a=ice-ufrag:(\S+)", sdp)[1]  # pyright: ignore[reportOptionalSubscript]
        pwd = re.search(r"a=ice-pwd:(\S+)", sdp)[1]  # pyright: ignore[reportOptionalSubscript]
        known = f"a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\nm=video 9 UDP/TLS/RTP/SAVPF 0\r\n"
        candidate = (
            "a=candidate:1 1 udp 2130706431 127.0.0.1 4000 typ host\r\na=end-of-candidates\r\n"
        )

        assert (await publisher.patch(known + candidate, If_Match=publisher.etag))[0] == 204
        assert (await publisher.patch(known + candidate))[0] == 204
        assert (await publisher.patch(known + candidate, If_Match='"old"'))[0] == 412
        assert (await publisher.patch("garbage", If_Match=publisher.etag))[0] == 400
        assert (await publisher.patch("", If_Match=publisher.etag))[0] == 400
        assert (await publisher.patch(known + "a=candidate:x\r\n"))[0] == 400
        assert (await publisher.patch("a=mid:0\r\n", If_Match='"*"'))[0] == 400
        other = f"a=ice-ufrag:{secrets.token_hex(4)}\r\na=ice-pwd:{secrets.token_hex(16)}\r\n"
        assert (await publisher.patch(other, If_Match=publisher.etag))[0] == 400
        assert (await publisher.patch(known, Content_Type="text/plain"))[0] == 415

        status, fragment, etag = await publisher.patch(other, If_Match='"*"')
        assert status == 200
        assert etag and etag != publisher.etag
        assert "a=ice-lite" in fragment and "a=candidate:" in fragment
        old = re.search(r"a=ice-ufrag:(\S+)", publisher.answer)[1]  # pyright: ignore[reportOptionalSubscript]
        assert f"a=ice-ufrag:{old}" not in fragment
        # the pair of before stays in use until the new one is checked
        await asyncio.sleep(1.5)
        assert (await state_of(server, made.ingress_id)).status == PUBLISHING
        assert (await publisher.patch(other, If_Match=publisher.etag))[0] == 412
        assert await publisher.delete() == 200
        assert (await publisher.patch(known))[0] == 404


async def test_refusals_over_http(server: RoomServer, room_name: str) -> None:
    made = await define(server, room_name)
    url, sdp = f"{made.url}/{made.stream_key}", {"Content-Type": "application/sdp"}
    no_media = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"

    async with aiohttp.ClientSession() as http:

        async def post(target: str, body: bytes | str, **headers: str) -> tuple[int, str]:
            async with http.post(target, data=body, headers={**sdp, **headers}) as reply:
                return reply.status, await reply.text()

        assert (await post(made.url, no_media))[0] == 401
        assert (await post(url, no_media, **{"Content-Type": "text/plain"}))[0] == 415
        assert (await post(url, b""))[0] == 400
        assert (await post(url, b"\xff\x00garbage"))[0] == 400
        status, text = await post(url, no_media)
        assert status == 400 and "no media" in text
        assert (await post(url, b"x" * (65 << 10)))[0] == 413
        async with http.get(url) as reply:
            assert reply.status == 405 and "POST" in reply.headers["Allow"]
        async with http.get(f"{made.url}/resource/none") as reply:
            assert reply.status == 405
        async with http.delete(f"{made.url}/resource/none") as reply:
            assert reply.status == 404
            assert reply.content_type == "application/problem+json"
        async with http.options(made.url) as reply:
            assert reply.status == 204 and reply.headers["Accept-Post"] == "application/sdp"
        preflight = {
            "Origin": "https://elsewhere.example",
            "Access-Control-Request-Method": "PATCH",
            "Access-Control-Request-Headers": "authorization,if-match",
        }
        async with http.options(made.url, headers=preflight) as reply:
            assert reply.headers["Access-Control-Allow-Origin"] == "*"
            assert "if-match" in reply.headers["Access-Control-Allow-Headers"].lower()
    async with whip_publisher(made.url, "not-a-key") as stranger:
        with pytest.raises(AssertionError, match="404") as caught:
            await stranger.publish(BarsTrack())
    assert "not-a-key" not in str(caught.value)
    assert await present(server, room_name) == []


_PAGE = """
async ([url, codec, rids]) => {
  const media = await navigator.mediaDevices.getUserMedia(
    {audio: true, video: {width: 960, height: 540, frameRate: 15}});
  const pc = window.pc = new RTCPeerConnection();
  pc.addTransceiver(media.getAudioTracks()[0], {direction: "sendonly"});
  const scale = {[rids[0]]: 4, [rids[1]]: 2, [rids[2]]: 1};
  const sendEncodings = rids.length ? rids.map(rid => ({rid, scaleResolutionDownBy: scale[rid]})) : undefined;
  const video = pc.addTransceiver(media.getVideoTracks()[0], {direction: "sendonly", sendEncodings});
  const all = RTCRtpSender.getCapabilities("video").codecs;
  video.setCodecPreferences(all.filter(c => c.mimeType === codec || c.mimeType === "video/rtx"));
  await pc.setLocalDescription();
  await new Promise(done => {
    pc.onicegatheringstatechange = () => pc.iceGatheringState === "complete" && done();
    setTimeout(done, 2000);
  });
  const reply = await fetch(url, {method: "POST", body: pc.localDescription.sdp,
    headers: {"Content-Type": "application/sdp"}});
  if (reply.status !== 201) return {status: reply.status, text: await reply.text()};
  window.resource = new URL(reply.headers.get("Location"), reply.url).href;
  await pc.setRemoteDescription({type: "answer", sdp: await reply.text()});
  return {status: reply.status, etag: reply.headers.get("ETag")};
}
"""
_SENT = """async () => [...await pc.getStats()].map(([, s]) => s)
  .filter(s => s.type === "outbound-rtp" && s.kind === "video")
  .map(s => [s.rid || "", s.packetsSent])"""


@pytest.mark.browser
@pytest.mark.parametrize(
    ("codec", "rids"),
    [("video/H264", []), ("video/VP8", ["q", "h", "f"]), ("video/VP8", ["x", "y", "z"])],
    ids=["h264", "simulcast", "simulcast-unknown-names"],
)
async def test_a_page_publishes_and_layers_can_be_chosen(
    server: RoomServer, room_name: str, codec: str, rids: list[str]
) -> None:
    made = await define(server, room_name)
    async with chromium() as browser, guest(server, "watcher", room_name) as watcher:
        page = await browser.new_page()
        await page.goto(server.http_url)
        answer = await page.evaluate(_PAGE, [f"{made.url}/{made.stream_key}", codec, rids])
        assert answer["status"] == 201 and answer["etag"]
        eye = await watcher.eye("studio")
        await eye.goes_on(5)
        await watcher.ear("studio")
        state = await becomes(server, made.ingress_id, PUBLISHING)
        assert codec in {track.mime_type for track in state.tracks}
        if rids:
            await choose_layers(eye, watcher)
            sent = dict(await page.evaluate(_SENT))
            assert set(sent) == set(rids) and all(sent.values())
        status = await page.evaluate(
            "async () => (await fetch(resource, {method: 'DELETE'})).status"
        )
        assert status == 200
        await watcher.hears_of("participant_disconnected", lambda p: p.identity == "studio")


async def choose_layers(eye, watcher) -> None:
    """The subscriber gets the size that belongs to each quality."""
    publications = watcher.remote("studio").track_publications.values()
    video = next(p for p in publications if p.kind == rtc.TrackKind.KIND_VIDEO)
    assert video.simulcasted
    for quality, width in (
        (rtc.VideoQuality.VIDEO_QUALITY_HIGH, 960),
        (rtc.VideoQuality.VIDEO_QUALITY_LOW, 240),
        (rtc.VideoQuality.VIDEO_QUALITY_MEDIUM, 480),
    ):
        video.set_video_quality(quality)
        await until(
            lambda width=width: eye.picture is not None and eye.picture.shape[1] == width,
            within=20, what=f"width {width}",
        )  # fmt: skip
