"""The HTTP application of a server: health, metrics, the API, the routes of plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from roomful.api.connections import Door, GuardedRunner
from roomful.api.health import Health
from roomful.api.http_log import HttpLog
from roomful.api.metrics import HttpCounts, metrics_route
from roomful.api.middleware import (
    answer_preflight,
    contain,
    guard_body,
    observing,
    set_headers,
)
from roomful.api.room_service import RoomService
from roomful.api.slashes import DoubledSlashes
from roomful.api.twirp import Twirp
from roomful.bounds import API_BODY_BYTES, KEEP_ALIVE_S, REQUEST_LINE_BYTES

if TYPE_CHECKING:
    from roomful.plugin.manager import Offers
    from roomful.server import RoomServer

COUNTS = web.AppKey("roomful_http_counts", HttpCounts)
DOOR = web.AppKey("roomful_door", Door)


def create_app(server: RoomServer, offers: Offers) -> web.Application:
    """Return the application with all routes."""
    counts = HttpCounts()
    door = Door(counts, server.settings.trusted_proxies)
    app = web.Application(
        client_max_size=API_BODY_BYTES,
        middlewares=[observing(counts, server.clock), answer_preflight, contain, guard_body],
    )
    app[COUNTS], app[DOOR] = counts, door
    app.on_response_prepare.extend((set_headers, door.note_upgrade))
    services = [RoomService(server).service(), *(offer.value for offer in offers.rpc_services)]
    twirp = Twirp(
        server.tokens,
        services,
        requests_per_s=server.settings.limits.api_requests_per_s,
        clock=server.clock,
        door=door,
    )
    app.add_routes([web.get("/", Health(offers.health_checks, server.clock).handle)])
    app.add_routes([metrics_route(server, counts)])
    app.add_routes(twirp.routes())
    app.add_routes(offers.routes)
    app.router.register_resource(DoubledSlashes(app.router))
    return app


def create_runner(app: web.Application) -> GuardedRunner:
    """Return what serves the application on listeners, with the bounds of the port."""
    return GuardedRunner(
        app,
        app[DOOR],
        access_log=None,
        logger=HttpLog(app[COUNTS]),
        auto_decompress=False,
        handle_signals=False,
        keepalive_timeout=KEEP_ALIVE_S,
        max_line_size=REQUEST_LINE_BYTES,
        max_field_size=REQUEST_LINE_BYTES,
        shutdown_timeout=2.0,
    )
