"""The HTTP application of a server: health and the routes of plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from roomful.plugin.manager import Offers
    from roomful.server import RoomServer


def create_app(server: RoomServer, offers: Offers) -> web.Application:
    """Return the application with all routes."""
    app = web.Application(client_max_size=10 << 20)
    app.router.add_get("/", _health)
    app.add_routes(offers.routes)
    return app


async def _health(_: web.Request) -> web.Response:
    return web.Response(text="OK")
