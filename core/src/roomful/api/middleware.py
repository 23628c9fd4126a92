"""What holds for every request: CORS, bodies, errors with an id, the access log.

Cross-origin requests are free for all, because nothing here is authenticated by a cookie: a page
elsewhere can do no more than whoever holds the token. The access log shows a route's pattern, never
a query or a path as it came: tokens and stream keys travel in both.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from roomful.api.http_errors import PLAIN_STATUS, is_callers
from roomful.api.metrics import HttpCounts
from roomful.bounds import OTHER_BODY_BYTES
from roomful.clock import Clock
from roomful.errors import RoomfulError
from roomful.ids import random_text

log = logging.getLogger(__name__)
access_log = logging.getLogger("roomful.access")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Middleware = Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]

_PREFLIGHT_S = 86_400
_CALLER_LEFT = 499
"""no status of HTTP: the caller closed the connection before there was an answer"""
_QUIET = frozenset({"/", "/metrics"})
"""asked every few seconds by machines: not worth a line"""


def observing(counts: HttpCounts, clock: Clock) -> Any:
    """Return the outermost middleware: counts and logs every answer."""

    @web.middleware
    async def observe(request: web.Request, handler: Handler) -> web.StreamResponse:
        began, status = clock.monotonic(), 500
        try:
            response = await handler(request)
            status = response.status
        except web.HTTPException as answer:
            status = answer.status
            raise
        except asyncio.CancelledError:
            status = _CALLER_LEFT
            raise
        else:
            return response
        finally:
            counts.by_status[status] += 1
            _note(request, status, clock.monotonic() - began)

    return observe


@web.middleware
async def contain(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn errors into answers: the caller's with their words, ours with an id."""
    try:
        return await handler(request)
    except web.HTTPException:
        raise
    except ConnectionResetError:
        return web.Response(status=_CALLER_LEFT)  # nobody reads it
    except RoomfulError as error:
        if is_callers(error):
            headers = {"Retry-After": "1"} if error.retryable else None
            status = PLAIN_STATUS[error.code]
            return web.Response(status=status, text=error.message, headers=headers)
        return _internal(request, error)
    except Exception as error:  # noqa: BLE001 - one request's failure is contained here
        return _internal(request, error)


@web.middleware
async def guard_body(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse bodies that are packed, in parts, or longer than their route takes.

    API bodies have a limit of their own (`client_max_size` of the application).
    """
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        return web.Response(status=415, text="packed request bodies are not accepted")
    if request.content_type.startswith("multipart/"):
        return web.Response(status=415, text="multipart bodies are not accepted")
    if not request.path.lstrip("/").startswith("twirp/") and request.can_read_body:
        if (request.content_length or 0) > OTHER_BODY_BYTES:
            return web.Response(status=413, text=f"the body exceeds {OTHER_BODY_BYTES} bytes")
        request = request.clone(client_max_size=OTHER_BODY_BYTES)
    return await handler(request)


@web.middleware
async def answer_preflight(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a browser that asks whether it may call from another origin: it may."""
    asked = request.headers.get("Access-Control-Request-Method")
    if request.method != "OPTIONS" or asked is None or "Origin" not in request.headers:
        return await handler(request)
    headers = {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": asked,
        "Access-Control-Max-Age": str(_PREFLIGHT_S),
    }
    if names := request.headers.get("Access-Control-Request-Headers"):
        headers["Access-Control-Allow-Headers"] = names
    return web.Response(status=204, headers=headers)


async def set_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Let pages of any origin read every answer (signal `on_response_prepare`)."""
    response.headers["Server"] = "roomful"
    if "Origin" in request.headers:
        response.headers.setdefault("Access-Control-Allow-Origin", "*")
        response.headers.setdefault("Access-Control-Expose-Headers", "*")


def _internal(request: web.Request, error: Exception) -> web.Response:
    number = random_text(8)
    log.error(
        "request failed", exc_info=error, extra={"route": _route(request), "error_id": number}
    )
    return web.Response(status=500, text=f"internal error {number}")


def _note(request: web.Request, status: int, duration_s: float) -> None:
    route = _route(request)
    access_log.log(
        logging.DEBUG if route in _QUIET else logging.INFO,
        "request",
        extra={
            "method": request.method,
            "route": route,
            "status": status,
            "duration_ms": round(duration_s * 1000, 1),
            "pii_remote": request.remote,
        },
    )


def _route(request: web.Request) -> str:
    """The pattern of the route that matched: `/whip/{key}`; empty for none."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else ""
