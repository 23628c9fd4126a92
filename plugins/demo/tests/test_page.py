"""The page in a browser: people join, see, hear and write; hostile names stay text."""

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiohttp import web
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

from roomful_demo.picture import MARKER

pytestmark = [pytest.mark.interop, pytest.mark.browser]

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
]
PEOPLE = 5
"""presenter, listener, two media workers, and who joins"""
WITHIN_MS = 30_000
HOSTILE = "<img src=x onerror=alert(1)>"

# The colour in the middle of what is warm in a video's picture, as the page itself sees it.
MARKER_IN_PICTURE = """video => {
    if (!video.videoWidth) return null;
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    const context = canvas.getContext("2d");
    context.drawImage(video, 0, 0);
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    const warm = [];
    for (let i = 0; i < data.length; i += 4) {
        if (data[i] - data[i + 2] > 100) warm.push([data[i], data[i + 1], data[i + 2]]);
    }
    return warm[warm.length >> 1] ?? null;
}"""


@pytest.fixture(scope="module")
def link() -> Iterator[str]:
    """A running demo's join link; the page's client is fetched where it is not there yet."""
    fetch = Path(__file__).parents[1] / "fetch_client.py"
    subprocess.run([sys.executable, str(fetch)], check=True)
    command = [str(Path(sys.executable).with_name("roomful")), "demo", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if found := re.match(r"join at (http://\S+)", line):
                yield found[1]
                break
        else:
            raise RuntimeError(f"the demo ended with code {process.wait()}")
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    chromium = shutil.which("chromium")
    assert chromium, "these tests need Debian's chromium"
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield launched
        await launched.close()


async def opened(browser: Browser, link: str) -> tuple[Page, list[str]]:
    """A page at the entrance, and what its console complains of from now on."""
    page = await browser.new_page(viewport={"width": 1280, "height": 800})
    page.set_default_timeout(WITHIN_MS)
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        # the client says so when its timers come late, as on a busy machine
        late = "connection state mismatch" in message.text
        if message.type in ("error", "warning") and not late:
            complaints.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.goto(link)
    return page, complaints


async def joined(browser: Browser, link: str, name: str) -> tuple[Page, list[str]]:
    page, complaints = await opened(browser, link)
    await page.fill("#name", name)
    await page.click("#enter")
    await expect(page.locator("#room")).to_be_visible(timeout=WITHIN_MS)
    return page, complaints


async def test_who_joins_sees_the_presenter_and_is_greeted(browser: Browser, link: str) -> None:
    page, complaints = await joined(browser, link, "Somebody")

    await expect(page.locator(".tile")).to_have_count(PEOPLE, timeout=WITHIN_MS)
    video = page.locator("[data-identity=presenter] video")
    await expect(video).to_be_visible(timeout=WITHIN_MS)
    await page.wait_for_function(
        f"() => ({MARKER_IN_PICTURE})(document.querySelector('[data-identity=presenter] video'))"
    )
    marker = await video.evaluate(MARKER_IN_PICTURE)
    assert max(abs(a - b) for a, b in zip(marker, MARKER, strict=True)) <= 40
    await expect(page.locator("#messages")).to_contain_text("Hello Somebody!", timeout=WITHIN_MS)
    sounds = "[...document.querySelectorAll('audio')].filter(a => !a.paused && a.srcObject).length"
    assert await page.evaluate(sounds) == 2
    assert complaints == []


async def test_two_people_see_each_other_and_their_chat(browser: Browser, link: str) -> None:
    one, complaints = await joined(browser, link, HOSTILE)
    other, _ = await joined(browser, link, "Other")

    tile = other.locator(".tile", has=other.locator(f"text={HOSTILE}"))
    await expect(tile.locator("video")).to_be_visible(timeout=WITHIN_MS)
    await one.fill("#text", HOSTILE)
    await one.keyboard.press("Enter")
    message = other.locator("#messages li", has_text=HOSTILE).first
    await expect(message.locator("p")).to_have_text(HOSTILE, timeout=WITHIN_MS)
    assert await other.locator(".tile img, #messages img").count() == 0

    await one.click("#toggle-microphone")
    await expect(tile.locator(".tile-muted")).to_be_visible(timeout=WITHIN_MS)
    await one.click("#toggle-camera")
    await expect(tile.locator("video")).to_have_count(0, timeout=WITHIN_MS)
    await one.click("#leave-room")
    await expect(one.locator("#entrance")).to_be_visible(timeout=WITHIN_MS)
    await expect(tile).to_have_count(0, timeout=WITHIN_MS)
    assert complaints == []


async def test_on_a_phone_everything_fits(browser: Browser, link: str) -> None:
    page, _ = await joined(browser, link, "Somebody")
    await page.set_viewport_size({"width": 360, "height": 740})
    await page.click("#close-chat")
    await expect(page.locator(".tile")).to_have_count(PEOPLE, timeout=WITHIN_MS)

    sizes = await page.evaluate(
        """() => [document.documentElement.scrollWidth, ...["stage", "leave-room"].map(
            id => document.getElementById(id).getBoundingClientRect().right),
            ...[...document.querySelectorAll(".tile")].map(t => t.getBoundingClientRect().right)]"""
    )

    assert max(sizes) <= 360


async def test_without_the_client_the_page_says_what_is_missing(
    browser: Browser, link: str
) -> None:
    page = await browser.new_page()
    await page.route("**/livekit-client.umd.js", lambda route: route.fulfill(status=404))

    await page.goto(link)

    await expect(page.locator("#problem")).to_contain_text("JavaScript client is missing")
    await expect(page.locator("#enter")).to_be_disabled()


async def test_a_refused_token_is_said(browser: Browser, link: str) -> None:
    page, _ = await opened(browser, link)
    body = '{"error": "not today"}'
    await page.route("**/demo/token", lambda route: route.fulfill(status=403, body=body))

    await page.click("#enter")

    await expect(page.locator("#problem")).to_have_text("You could not join: not today")
    await expect(page.locator("#enter")).to_be_enabled()


async def test_the_page_does_not_load_in_a_frame_of_elsewhere(browser: Browser, link: str) -> None:
    async def framing(_: web.Request) -> web.Response:
        return web.Response(text=f"<iframe src='{link}'></iframe>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/", framing)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    page = await browser.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))

    await page.goto(f"http://127.0.0.1:{runner.addresses[0][1]}/")
    await runner.cleanup()

    assert len(page.frames) == 2
    assert await page.frames[1].locator("#enter").count() == 0
    assert any("frame-ancestors" in complaint for complaint in complaints)
