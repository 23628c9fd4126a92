"""The HTTP side of WHIP: POST, OPTIONS, PATCH, DELETE (RFC 9725 section 4)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

from aiohttp import web

from roomful.errors import RoomfulError
from roomful_ingress_whip import sdpfrag
from roomful_ingress_whip.config import WhipConfig
from roomful_ingress_whip.connection import WhipConnection
from roomful_ingress_whip.offer import read_offer
from roomful_ingress_whip.problem import CONTENT_TYPE, Problem
from roomful_ingress_whip.publishers import Publishers
from roomful_ingress_whip.sdpfrag import Fragment
from roomful_rtc.ice_servers import IceServer
from roomful_rtc.plane import Plane

if TYPE_CHECKING:
    from roomful.server import RoomServer

SDP = "application/sdp"
RESOURCE = "/whip/resource"
METHODS = "POST, PATCH, DELETE, OPTIONS"
Handler = Callable[[web.Request], Awaitable[web.Response]]


class Routes:
    """Endpoints and resources of one server."""

    def __init__(self, server: RoomServer, publishers: Publishers, config: WhipConfig) -> None:
        self._server, self._publishers, self._config = server, publishers, config

    def routes(self) -> Iterable[web.RouteDef]:
        """Endpoints with the key in the path or as bearer; one resource for each publisher."""
        for path in (f"{RESOURCE}/{{id}}",):
            yield web.patch(path, _answering(self._patch))
            yield web.delete(path, _answering(self._delete))
            yield web.options(path, self._options)
        for path in ("/whip", "/whip/{key}", "/w", "/w/{key}"):
            yield web.post(path, _answering(self._post))
            yield web.options(path, self._options)

    async def _options(self, request: web.Request) -> web.Response:
        headers = {
            "Accept-Post": SDP,
            "Access-Control-Allow-Origin": "*",
            "Access-Control-Allow-Methods": METHODS,
            "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match",
        }
        return web.Response(status=204, headers=headers)

    async def _post(self, request: web.Request) -> web.Response:
        key = _stream_key(request)
        _check_type(request, SDP)
        offer = read_offer(await request.read(), self._publishers.capabilities)
        resource_id, connection, answer = await self._publishers.publish(key, offer)
        response = web.Response(status=201, text=answer, content_type=SDP)
        response.headers["Location"] = f"{RESOURCE}/{resource_id}"
        response.headers["ETag"] = connection.etag
        response.headers["Accept-Patch"] = sdpfrag.CONTENT_TYPE
        for link in self._links(resource_id):
            response.headers.add("Link", link)
        return response

    async def _patch(self, request: web.Request) -> web.Response:
        connection = self._publishers.find(request.match_info["id"])
        _check_type(request, sdpfrag.CONTENT_TYPE)
        match = request.headers.get("If-Match", "").strip()
        if not match and self._config.require_if_match:
            raise Problem(428, "PATCH needs If-Match with the ETag of the session")
        fragment = Fragment.parse(await request.read())
        if match.strip('"') == "*":
            return self._restart(connection, fragment)
        if match and match != connection.etag:
            raise Problem(412, "If-Match is of another ICE generation")
        if fragment.ufrag and not connection.has_ufrag(fragment.ufrag):
            raise Problem(400, 'other ICE credentials: a restart needs If-Match: "*"')
        # we are ice-lite: the client's checks tell us its addresses
        return web.Response(status=204, headers={"ETag": connection.etag})

    @staticmethod
    def _restart(connection: WhipConnection, fragment: Fragment) -> web.Response:
        if not fragment.ufrag or not fragment.pwd:
            raise Problem(400, "a restart needs ice-ufrag and ice-pwd")
        if connection.is_present(fragment.ufrag, fragment.pwd):
            return web.Response(status=204, headers={"ETag": connection.etag})
        ice = connection.restart(fragment.ufrag, fragment.pwd)
        return web.Response(
            text=sdpfrag.write_fragment(ice, connection.mids),
            content_type=sdpfrag.CONTENT_TYPE,
            headers={"ETag": connection.etag},
        )

    async def _delete(self, request: web.Request) -> web.Response:
        await self._publishers.end(request.match_info["id"])
        return web.Response()

    def _links(self, resource_id: str) -> Iterable[str]:
        plane = self._server.media
        assert isinstance(plane, Plane), "somebody was let in over it"
        for server in plane.ice_servers(resource_id):
            yield from (_link(url, server) for url in server.urls)


def _link(url: str, server: IceServer) -> str:
    parts = [f"<{url}>", 'rel="ice-server"']
    if server.username:
        parts += [
            f'username="{server.username}"',
            f'credential="{server.credential}"',
            'credential-type="password"',
        ]
    return "; ".join(parts)


def _stream_key(request: web.Request) -> str:
    """The key of the path, else of the header; some clients leave the word Bearer out."""
    if key := request.match_info.get("key", ""):
        return key
    words = request.headers.get("Authorization", "").split()
    if not words or words[-1].lower() == "bearer":
        raise Problem(
            401, "no stream key: put it into the path or send it as a bearer",
            {"WWW-Authenticate": "Bearer"},
        )  # fmt: skip
    return words[-1]


def _check_type(request: web.Request, wanted: str) -> None:
    if request.content_type.lower() != wanted:
        raise Problem(415, f"the content type must be {wanted}")


def _answering(handler: Handler) -> Handler:
    """Answer refusals as problem documents."""

    async def handle(request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except Problem as problem:
            refusal = problem
        except RoomfulError as error:
            refusal = Problem.of(error)
        return web.Response(
            status=refusal.status,
            body=refusal.body(),
            content_type=CONTENT_TYPE,
            headers=refusal.headers,
        )

    return handle
