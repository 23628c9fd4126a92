"""The HTTP application of a server: health and the routes of plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from roomful.api.room_service import RoomService
from roomful.api.twirp import Twirp

if TYPE_CHECKING:
    from roomful.plugin.manager import Offers
    from roomful.server import RoomServer


def create_app(server: RoomServer, offers: Offers) -> web.Application:
    """Return the application with all routes."""
    app = web.Application(client_max_size=10 << 20)
    app.router.add_get("/", _health)
    services = [RoomService(server).service(), *(offer.value for offer in offers.rpc_services)]
    app.add_routes(Twirp(server.tokens, services).routes())
    app.add_routes(offers.routes)
    return app


async def _health(_: web.Request) -> web.Response:
    return web.Response(text="OK")
