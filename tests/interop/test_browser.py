"""The published JavaScript client in Chromium, with a camera and a microphone that are made up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from livekit import rtc
from playwright.async_api import Browser, Error

from .browser import CAMERA, Visitor, chromium, page_address, visitor
from .guest import guest
from .media import until
from .server import RoomServer

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

LAYERS = {"q": 320, "h": 640, "f": 960}
SIMULCAST = {
    "simulcast": True,
    "videoCodec": "vp8",
    "videoSimulcastLayers": [
        {"width": 320, "height": 180, "encoding": {"maxBitrate": 150_000, "maxFramerate": 15}},
        {"width": 640, "height": 360, "encoding": {"maxBitrate": 400_000, "maxFramerate": 15}},
    ],
    "videoEncoding": {"maxBitrate": 900_000, "maxFramerate": 15},
}
SMALL = {"resolution": {"width": 480, "height": 270, "frameRate": 15}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """One browser for the module; each visitor is a page with its own context."""
    async with chromium() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def address() -> AsyncIterator[str]:
    """Where the page is served."""
    async with page_address() as served:
        yield served


@asynccontextmanager
async def in_room(
    server: RoomServer,
    browser: Browser,
    address: str,
    identity: str,
    room: str,
    **options: object,
) -> AsyncIterator[Visitor]:
    """A page that has joined."""
    async with visitor(browser, address, identity) as someone:
        await someone.join(server, server.token(identity, room), options)
        yield someone


async def test_layers_are_switched_down_and_up(
    room_server: RoomServer, browser: Browser, address: str, room_name: str
) -> None:
    async with (
        in_room(room_server, browser, address, "talker", room_name, dynacast=True) as talker,
        in_room(room_server, browser, address, "viewer", room_name) as viewer,
    ):
        await talker.show(publish=SIMULCAST)
        await talker.speak()
        await viewer.sees_width("talker", LAYERS["f"], within=30)
        await viewer.hears_more("talker")
        outgoing = await talker.ask("outgoing('camera')")
        assert sorted(layer["rid"] for layer in outgoing) == ["f", "h", "q"]

        ask = "([who, quality]) => remote(who, 'camera').setVideoQuality(quality)"
        await viewer.ask(ask, ["talker", 0])
        await viewer.sees_width("talker", LAYERS["q"])
        await viewer.ask(ask, ["talker", 1])
        await viewer.sees_width("talker", LAYERS["h"])
        await viewer.ask(ask, ["talker", 2])
        await viewer.sees_width("talker", LAYERS["f"])

        await viewer.ask("remote('talker', 'camera').setVideoDimensions({width: 300, height: 168})")
        await viewer.sees_width("talker", LAYERS["q"])
        await viewer.ask("remote('talker', 'camera').setVideoDimensions({width: 960, height: 540})")
        await viewer.sees_width("talker", LAYERS["f"])
        await viewer.sees_more("talker")


async def test_adaptive_stream_takes_the_layer_that_fits_the_element(
    room_server: RoomServer, browser: Browser, address: str, room_name: str
) -> None:
    async with (
        in_room(room_server, browser, address, "talker", room_name, dynacast=True) as talker,
        in_room(room_server, browser, address, "viewer", room_name, adaptiveStream=True) as viewer,
    ):
        await talker.show(publish=SIMULCAST)
        await viewer.sees_width("talker", LAYERS["f"], within=30)

        await viewer.ask(
            "() => { const s = document.querySelector('video').style;"
            " s.width = '160px'; s.height = '90px'; }"
        )
        await viewer.sees_width("talker", LAYERS["q"])
        await viewer.ask("document.querySelector('video').style.display = 'none'")
        await viewer.packets_stop("talker", CAMERA, within=15)
        await viewer.ask(
            "() => { const s = document.querySelector('video').style;"
            " s.display = 'block'; s.width = '640px'; s.height = '360px'; }"
        )
        await viewer.sees_width("talker", LAYERS["h"], within=25)


@pytest.mark.parametrize("single", [True, False], ids=["single-pc", "dual-pc"])
async def test_muted_tracks_stop_and_go_on(
    room_server: RoomServer, browser: Browser, address: str, room_name: str, single: bool
) -> None:
    options = {"singlePeerConnection": single}
    async with (
        in_room(room_server, browser, address, "talker", room_name, **options) as talker,
        in_room(room_server, browser, address, "viewer", room_name, **options) as viewer,
    ):
        await talker.show(SMALL, {"simulcast": False, "videoCodec": "vp8"})
        await talker.speak()
        await viewer.sees_more("talker")
        await viewer.hears_more("talker")

        await talker.ask("room.localParticipant.setMicrophoneEnabled(false)")
        await talker.ask("room.localParticipant.setCameraEnabled(false)")
        await viewer.hears_of("trackMuted", count=2)
        await viewer.packets_stop("talker", CAMERA)

        await talker.ask("room.localParticipant.setMicrophoneEnabled(true)")
        await talker.ask("room.localParticipant.setCameraEnabled(true)")
        await viewer.hears_of("trackUnmuted", count=2)
        await viewer.sees_more("talker")
        await viewer.hears_more("talker")


@pytest.mark.parametrize(
    ("single", "adaptive"),
    [(True, False), (False, False), (True, True)],
    ids=["single-pc", "dual-pc", "adaptive"],
)
async def test_toggled_tracks_come_again(
    room_server: RoomServer,
    browser: Browser,
    address: str,
    room_name: str,
    single: bool,
    adaptive: bool,
) -> None:
    options = {"singlePeerConnection": single, "adaptiveStream": adaptive}
    async with (
        guest(room_server, "talker", room_name) as talker,
        in_room(room_server, browser, address, "viewer", room_name, **options) as viewer,
    ):
        await talker.show(simulcast=True)
        await talker.speak()
        await viewer.sees_more("talker")
        await viewer.hears_more("talker")

        # an adaptive client enables by itself, and refuses to be told
        for method in ["setSubscribed"] if adaptive else ["setSubscribed", "setEnabled"]:
            for ms in (0, 50):
                await viewer.toggle("talker", method, times=20, pause_ms=ms)
                await viewer.sees_more("talker")
                await viewer.hears_more("talker")


@pytest.mark.parametrize("single", [True, False], ids=["single-pc", "dual-pc"])
async def test_track_toggled_across_a_resume_comes_again(
    room_server: RoomServer, browser: Browser, address: str, room_name: str, single: bool
) -> None:
    options = {"singlePeerConnection": single}
    async with (
        guest(room_server, "talker", room_name) as talker,
        in_room(room_server, browser, address, "viewer", room_name, **options) as viewer,
    ):
        await talker.show()
        await talker.speak()
        await viewer.sees_more("talker")

        for turn, ms in enumerate((5, 50), start=1):
            await asyncio.gather(
                viewer.toggle("talker", "setSubscribed", times=10, pause_ms=ms),
                viewer.ask("room.simulateScenario('signal-reconnect')"),
            )
            await viewer.hears_of("reconnected", count=turn, within=20)
            await viewer.sees_more("talker")
            await viewer.hears_more("talker")
        assert not await viewer.notices("disconnected")


@pytest.mark.parametrize("single", [True, False], ids=["single-pc", "dual-pc"])
@pytest.mark.parametrize("scenario", ["signal-reconnect", "full-reconnect"])
async def test_media_goes_on_after_reconnecting(
    room_server: RoomServer,
    browser: Browser,
    address: str,
    room_name: str,
    scenario: str,
    single: bool,
) -> None:
    options = {"singlePeerConnection": single}
    async with (
        in_room(room_server, browser, address, "talker", room_name, **options) as talker,
        in_room(room_server, browser, address, "viewer", room_name, **options) as viewer,
    ):
        await talker.show(SMALL, {"videoCodec": "vp8"})
        await talker.speak()
        await viewer.sees_more("talker")
        await viewer.hears_more("talker")

        for shaken in (viewer, talker):
            await shaken.ask("name => room.simulateScenario(name)", scenario)
            await shaken.hears_of("reconnected", within=20)
            assert not await shaken.notices("disconnected")
            await viewer.sees_more("talker", 20)
            await viewer.hears_more("talker")


@pytest.mark.parametrize("codec", ["vp9", "av1", "h264"])
async def test_other_codecs_are_decoded(
    room_server: RoomServer, browser: Browser, address: str, room_name: str, codec: str
) -> None:
    async with (
        in_room(room_server, browser, address, "talker", room_name, dynacast=True) as talker,
        in_room(room_server, browser, address, "viewer", room_name, adaptiveStream=True) as viewer,
    ):
        await talker.show(SMALL, {"videoCodec": codec, "backupCodec": False})
        await viewer.sees_more("talker", 20, within=25)
        outgoing = await talker.ask("outgoing('camera')")
        assert {layer["codec"].lower() for layer in outgoing if layer["pictures"]} == {
            f"video/{codec}"
        }
        if codec != "h264":
            assert any(layer["scalability"].startswith("L3T3") for layer in outgoing) or any(
                layer["scalability"].startswith("L2T3") for layer in outgoing
            )


async def test_data_and_calls_go_both_ways(
    room_server: RoomServer, browser: Browser, address: str, room_name: str
) -> None:
    async with (
        in_room(room_server, browser, address, "page", room_name) as page,
        guest(room_server, "python", room_name) as python,
    ):
        await python.meets("page")
        await page.hears_of("participantConnected")
        await page.ask(
            "room.localParticipant.publishData("
            "new TextEncoder().encode('from page'), {reliable: true, topic: 't'})"
        )
        await until(lambda: bool(python.data))
        assert (python.data[0].data, python.data[0].topic) == (b"from page", "t")
        await python.local.publish_data(b"from python", topic="u")
        got = await page.sees(lambda: page.ask("data"), bool, what="data")
        assert got == [{"text": "from python", "from": "python", "topic": "u"}]

        answer = await python.local.perform_rpc(
            destination_identity="page", method="greet", payload="hello"
        )
        assert answer == "page got hello"

        async def greet(call: rtc.RpcInvocationData) -> str:
            return f"python got {call.payload}"

        python.local.register_rpc_method("greet", greet)
        answer = await page.ask(
            "room.localParticipant.performRpc("
            "{destinationIdentity: 'python', method: 'greet', payload: 'hi'})"
        )
        assert answer == "python got hi"

        texts: asyncio.Queue[rtc.TextStreamReader] = asyncio.Queue()
        python.room.register_text_stream_handler("chat", lambda r, _: texts.put_nowait(r))
        await page.ask("room.localParticipant.sendText('y'.repeat(30000), {topic: 'chat'})")
        reader = await asyncio.wait_for(texts.get(), 10)
        assert await asyncio.wait_for(reader.read_all(), 10) == "y" * 30_000


async def test_browser_and_python_hear_and_see_each_other(
    room_server: RoomServer, browser: Browser, address: str, room_name: str
) -> None:
    async with (
        in_room(room_server, browser, address, "page", room_name) as page,
        guest(room_server, "python", room_name) as python,
    ):
        await python.speak(440)
        await python.show()
        await page.show(SMALL, {"videoCodec": "vp8"})
        await page.speak()
        await page.sees(
            lambda: page.ask("([a, b]) => colours(a, b)", ["python", CAMERA]),
            lambda got: got["spread"] > 20,
            what="bars",
        )
        await page.hears_more("python")
        await (await python.eye("page")).goes_on(10)
        ear = await python.ear("page")
        levels = [(await ear.hear()).level for _ in range(3)]
        assert max(levels) > 100  # the made-up microphone beeps once a second


async def test_refused_token_is_explained(
    room_server: RoomServer, browser: Browser, address: str, room_name: str
) -> None:
    async with visitor(browser, address, "x") as someone:
        token = room_server.grant("x", room_list=True).to_jwt()
        with pytest.raises(Error, match="permission"):
            await someone.join(room_server, token)


async def test_leaving_page_is_gone_at_once(
    room_server: RoomServer, browser: Browser, address: str, room_name: str
) -> None:
    async with guest(room_server, "witness", room_name) as witness:
        async with in_room(room_server, browser, address, "page", room_name) as page:
            await witness.meets("page")
            await page.ask("room.disconnect()")
            gone = await witness.hears_of("participant_disconnected", within=3)
            assert gone.about[0].disconnect_reason == rtc.DisconnectReason.CLIENT_INITIATED
