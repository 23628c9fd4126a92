"""The HTTP application of a server: health, metrics, the API and the routes of plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from roomful.api.room_service import RoomService
from roomful.api.status import Status
from roomful.api.twirp import Twirp

if TYPE_CHECKING:
    from roomful.plugin.manager import Offers
    from roomful.server import RoomServer


def create_app(server: RoomServer, offers: Offers) -> web.Application:
    """Return the application with all routes."""
    app = web.Application(client_max_size=10 << 20)
    app.add_routes(Status(server, offers.health_checks).routes())
    services = [RoomService(server).service(), *(offer.value for offer in offers.rpc_services)]
    app.add_routes(Twirp(server.tokens, services).routes())
    app.add_routes(offers.routes)
    return app
