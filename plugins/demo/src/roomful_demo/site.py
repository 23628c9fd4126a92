"""The page's routes: fixed files under a strict policy, and the endpoint that lets a guest in.

Guests get a token that joins the one demo room and grants nothing else. The endpoint answers the
page itself only: same origin, JSON, and, where the server listens on loopback alone, under a
loopback name, so that no page of elsewhere reaches it by a name that it points here.
"""

from __future__ import annotations

import ipaddress
import json
import re
import secrets
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, cast

from aiohttp import web

if TYPE_CHECKING:
    from roomful.server import RoomServer

PATH = "/demo/"
ROOM = "demo"
TOKEN_TTL_S = 600
"""time to join; a participant that is in gets new tokens from the server"""
NAME_CHARACTERS = 40
BODY_BYTES = 4096

PAGE = Path(str(files("roomful_demo"))) / "page"
CLIENT = "livekit-client.umd.js"
FILES = {
    "": (PAGE / "index.html", "text/html; charset=utf-8"),
    "page.css": (PAGE / "page.css", "text/css; charset=utf-8"),
    "icon.svg": (PAGE / "icon.svg", "image/svg+xml"),
    **{
        f"{module}.js": (PAGE / f"{module}.js", "text/javascript; charset=utf-8")
        for module in ("page", "call", "tile", "chat", "dom")
    },
    CLIENT: (PAGE / "client" / CLIENT, "text/javascript; charset=utf-8"),
    f"{CLIENT}.LICENSE": (PAGE / "client" / "LICENSE", "text/plain; charset=utf-8"),
}
"""What the page consists of; there is no other way to a file."""

_SPACES = re.compile(r"\s+")


def has_client() -> bool:
    """Tell whether this installation carries the JavaScript client."""
    return FILES[CLIENT][0].is_file()


def guest_claims(identity: str, name: str) -> dict[str, object]:
    """Return the claims of a guest's token: joining the demo room, and nothing else."""
    return {"sub": identity, "name": name, "video": {"roomJoin": True, "room": ROOM}}


def clean_name(name: object) -> str:
    """Return what a guest wants to be called as one short printable line."""
    text = _SPACES.sub(" ", name) if isinstance(name, str) else ""
    text = "".join(letter for letter in text if letter.isprintable()).strip()
    return text[:NAME_CHARACTERS].strip() or "Guest"


class Site:
    """The page of one server."""

    def __init__(self, server: RoomServer) -> None:
        self._server = server
        self._loopback_only = all(_is_loopback(host) for host in server.settings.bind)

    def routes(self) -> list[web.RouteDef]:
        """Return what the demo adds to the HTTP port."""
        return [
            web.get(PATH.rstrip("/"), self._to_page),
            web.get(PATH + "{name:[a-zA-Z.-]*}", self._file),
            web.post(PATH + "token", self._token),
        ]

    async def _to_page(self, request: web.Request) -> web.Response:
        raise web.HTTPFound(PATH, headers=self._headers(request))

    async def _file(self, request: web.Request) -> web.StreamResponse:
        path, kind = FILES.get(request.match_info["name"], (None, ""))
        headers = self._headers(request)
        if path is None or not path.is_file():
            raise web.HTTPNotFound(headers=headers)
        return web.FileResponse(path, headers={**headers, "Content-Type": kind})

    async def _token(self, request: web.Request) -> web.Response:
        headers = {**self._headers(request), "Cache-Control": "no-store"}
        if (refusal := self._refusal(request)) is not None:
            return web.json_response({"error": refusal}, status=403, headers=headers)
        if (asked := await _asked(request)) is None:
            error = {"error": "send a JSON object with a name"}
            return web.json_response(error, status=400, headers=headers)
        name = clean_name(asked.get("name"))
        identity = f"guest-{secrets.token_hex(4)}"
        key = next(iter(self._server.settings.keys))
        token = await self._server.tokens.issue(
            key, guest_claims(identity, name), ttl_s=TOKEN_TTL_S
        )
        answer = {"token": token, "room": ROOM, "identity": identity, "name": name}
        return web.json_response(answer, headers=headers)

    def _refusal(self, request: web.Request) -> str | None:
        """Return why this request is not the page's own, None when it is."""
        if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            return "only the page itself may ask for a token"
        if request.content_type != "application/json":
            return "only JSON is read here"
        own = (f"http://{request.host}", f"https://{request.host}")
        if request.headers.get("Origin", own[0]) not in own:
            return "only the page itself may ask for a token"
        authority = _AUTHORITY.fullmatch(request.host)
        if authority is None or (self._loopback_only and not _is_loopback(authority["host"])):
            return "this server listens on loopback; open the page as http://127.0.0.1"
        return None

    def _headers(self, request: web.Request) -> dict[str, str]:
        return {
            "Content-Security-Policy": content_policy(request.secure, request.host),
            "X-Frame-Options": "DENY",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Permissions-Policy": (
                "camera=(self), microphone=(self), display-capture=(self), autoplay=(self), "
                "fullscreen=(self), geolocation=(), payment=(), usb=()"
            ),
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cache-Control": "no-cache",
        }


def content_policy(secure: bool, host: str) -> str:
    """Return the Content-Security-Policy; `host` is the authority the page was asked under."""
    signalling = f" {'wss' if secure else 'ws'}://{host}" if _AUTHORITY.fullmatch(host) else ""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "media-src 'self' blob:",
            f"connect-src 'self'{signalling}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


_AUTHORITY = re.compile(r"(?P<host>[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::\d{1,5})?")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


async def _asked(request: web.Request) -> dict[str, object] | None:
    """Return the JSON object that was sent, None for anything else."""
    if (request.content_length or 0) not in range(1, BODY_BYTES + 1):
        return None
    try:
        asked = json.loads(await request.read())
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, object]", asked) if isinstance(asked, dict) else None
