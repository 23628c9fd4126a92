"""Chromium with the published JavaScript client: its package, its pages, what they see and hear."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from ssl import SSLContext
from typing import Any

from aiohttp import web
from playwright.async_api import Browser, Page, async_playwright

from .media import eventually
from .server import RoomServer

ROOT = Path(__file__).resolve().parents[2]
FETCH = ROOT / "plugins/demo/fetch_client.py"
PAGE = Path(__file__).with_name("page")
CAMERA, MICROPHONE = "camera", "microphone"

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream=fps=15",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--allow-loopback-in-peer-connection",
]


def client_script() -> Path:
    """The JavaScript client, fetched once: the one that the demo's page uses, pinned by its hash."""
    fetched = subprocess.run(
        [sys.executable, str(FETCH)], capture_output=True, text=True, check=False
    )
    assert fetched.returncode == 0, fetched.stderr
    return FETCH.parent / "src/roomful_demo/page/client/livekit-client.umd.js"


@asynccontextmanager
async def page_address(
    host: str = "127.0.0.1", tls: SSLContext | None = None
) -> AsyncIterator[str]:
    """Serve the page and the client script; gives the page's address."""
    script = client_script()

    async def answer(request: web.Request) -> web.FileResponse:
        name = request.match_info["name"] or "index.html"
        return web.FileResponse(script if name == script.name else PAGE / name)

    application = web.Application()
    application.router.add_get("/{name:[a-z.-]*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, 0, ssl_context=tls)
        await site.start()
        port: int = runner.addresses[0][1]
        yield f"{'https' if tls else 'http'}://{host}:{port}/"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def chromium(executable: str | None = None, *flags: str) -> AsyncIterator[Browser]:
    """A headless browser with a camera and a microphone that are made up; `flags` beside ours."""
    path = executable or shutil.which("chromium") or shutil.which("google-chrome")
    assert path, "Chromium is missing: apt-get install chromium"
    async with async_playwright() as playwright:
        # a server named from outside may have a certificate that only this run knows
        trusting = ["--ignore-certificate-errors"] if os.environ.get("SSL_CERT_FILE") else []
        browser = await playwright.chromium.launch(
            executable_path=path, args=[*FLAGS, *trusting, *flags]
        )
        try:
            yield browser
        finally:
            await browser.close()


@dataclass(slots=True)
class Visitor:
    """A page in a room."""

    page: Page
    identity: str
    console: list[str]

    async def ask(self, expression: str, argument: object = None) -> Any:
        """Evaluate an expression of the page."""
        return await self.page.evaluate(expression, argument)

    async def join(
        self, server: RoomServer, token: str, options: dict[str, object] | None = None
    ) -> None:
        """Join a room; raises playwright's Error with the client's reason on refusal."""
        arguments = [server.url, token, options or {}]
        await self.ask("([url, token, options]) => join(url, token, options)", arguments)

    async def show(
        self, capture: dict[str, object] | None = None, publish: dict[str, object] | None = None
    ) -> str:
        """Publish the camera; gives the track's sid."""
        capture = capture or {"resolution": {"width": 960, "height": 540, "frameRate": 15}}
        return await self.ask("([a, b]) => camera(a, b)", [capture, publish])

    async def speak(self) -> str:
        """Publish the microphone; gives the track's sid."""
        return await self.ask("microphone()")

    async def incoming(self, identity: str, source: str) -> dict[str, Any] | None:
        """Counters of what comes in of somebody's track, None while nothing does."""
        return await self.ask("([who, source]) => incoming(who, source)", [identity, source])

    async def toggle(self, identity: str, method: str, *, times: int, pause_ms: float) -> None:
        """Call a method of both publications with false and true, pausing after each word."""
        arguments = [identity, [CAMERA, MICROPHONE], method, times, pause_ms]
        await self.ask("args => toggle(...args)", arguments)

    async def notices(self, name: str) -> list[list[Any]]:
        """What the notices of that name were about."""
        return await self.ask("name => notices.filter(n => n[0] === name).map(n => n[1])", name)

    async def hears_of(self, name: str, *, count: int = 1, within: float = 15.0) -> None:
        """Wait until the room told of it so many times."""
        await self.sees(lambda: self.notices(name), lambda got: len(got) >= count, within, name)

    async def sees(
        self,
        ask: Callable[[], Any],
        check: Callable[[Any], bool],
        within: float = 15.0,
        what: str = "",
    ) -> Any:
        """Ask until the answer passes; gives the answer, AssertionError with the last one else."""
        last: list[Any] = [None]

        async def poll() -> bool:
            last[0] = await ask()
            if last[0] is not None and check(last[0]):
                return True
            await asyncio.sleep(0.1)
            return False

        passed = await eventually(poll, within=within)
        assert passed, f"{self.identity}: {what} not within {within} s: {last[0]} {self.console}"
        return last[0]

    async def sees_width(self, identity: str, width: int, *, within: float = 20.0) -> None:
        """Wait until pictures of that width are decoded, and five of them."""
        seen = await self.sees(
            lambda: self.incoming(identity, CAMERA),
            lambda got: got["width"] == width and got["pictures"] > 0,
            within,
            f"width {width}",
        )
        await self.sees(
            lambda: self.incoming(identity, CAMERA),
            lambda got: got["pictures"] >= seen["pictures"] + 5 and got["width"] == width,
            within,
            f"more of width {width}",
        )

    async def sees_more(self, identity: str, pictures: int = 10, *, within: float = 15.0) -> None:
        """Wait for so many further decoded pictures, that are not one flat colour."""
        before = await self.incoming(identity, CAMERA)
        count = before["pictures"] if before else 0
        if before is None:
            count = 0
        await self.sees(
            lambda: self.incoming(identity, CAMERA),
            # after a full reconnection the counters start anew
            lambda got: got["pictures"] >= count + pictures or pictures <= got["pictures"] < count,
            within,
            f"{pictures} pictures after {count}",
        )
        await self.sees(
            lambda: self.ask("([a, b]) => colours(a, b)", [identity, CAMERA]),
            lambda got: got["spread"] > 3 and got["green"] > 40,
            within,
            "a picture with something on it",
        )

    async def hears_more(self, identity: str, *, within: float = 15.0) -> None:
        """Wait for sound that is not silence."""
        before = await self.incoming(identity, MICROPHONE)
        energy = before["energy"] if before else 0.0
        await self.sees(
            lambda: self.incoming(identity, MICROPHONE),
            lambda got: got["energy"] > energy + 1e-4 or 1e-4 < got["energy"] < energy,
            within,
            f"sound beyond {energy}",
        )

    async def packets_stop(self, identity: str, source: str, *, within: float = 10.0) -> None:
        """Wait for a second in which next to nothing comes in."""

        async def gain() -> int:
            one = await self.incoming(identity, source)
            await asyncio.sleep(1)
            other = await self.incoming(identity, source)
            return other["packets"] - one["packets"] if one and other else 0

        await self.sees(gain, lambda packets: packets <= 2, within, "packets stop")


@asynccontextmanager
async def visitor(browser: Browser, address: str, identity: str) -> AsyncIterator[Visitor]:
    """A fresh page, closed at the end."""
    context = await browser.new_context(
        permissions=["camera", "microphone"], ignore_https_errors=True
    )
    page = await context.new_page()
    console: list[str] = []
    page.on("console", lambda message: console.append(message.text[:300]))
    page.on("pageerror", lambda error: console.append(json.dumps(str(error))[:300]))
    await page.goto(address)
    try:
        yield Visitor(page, identity, console)
    finally:
        await page.evaluate("room?.disconnect()")
        await context.close()
