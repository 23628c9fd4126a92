"""Twirp: `POST /twirp/<package>.<Service>/<Method>` in protobuf or JSON (Twirp v7 wire protocol).

The answer has the request's encoding; errors are always JSON `{"code", "msg", "meta"}`. The order
at the door: route → encoding → token → rate → size → parse → permission → handler.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aiohttp import web
from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message

from roomful.api import audit
from roomful.api.absent import ABSENT
from roomful.api.connections import Door
from roomful.api.http_errors import HTTP_STATUS, is_callers
from roomful.api.service import RpcMethod, RpcService, destination_field
from roomful.auth.check import check
from roomful.auth.grants import Grants
from roomful.auth.token import TokenVerifier
from roomful.bounds import API_BODY_BYTES, API_BODY_S, API_BURST_S, JSON_DEPTH
from roomful.clock import Clock, SystemClock
from roomful.errors import (
    ResourceExhausted,
    RoomfulError,
    TransportTimeout,
    Unauthenticated,
    Unimplemented,
)
from roomful.ids import random_text
from roomful.token_bucket import BucketTable

log = logging.getLogger(__name__)

LARGE_BODY = 32 << 10
"""bytes; parsing takes up to a millisecond for each 4 KiB"""
JSON, PROTOBUF = "application/json", "application/protobuf"

__all__ = ["HTTP_STATUS", "JSON", "PROTOBUF", "Twirp", "error_response"]


class BadRoute(RoomfulError):
    """There is nothing at this path in this way."""

    code = "bad_route"

    def __init__(self, request: web.Request, message: str) -> None:
        super().__init__(message)
        self.meta = {"twirp_invalid_route": f"{request.method} {request.path}"}


class Malformed(RoomfulError):
    """The body is not what its type and the method say."""

    code = "malformed"


@dataclass(slots=True)
class _Call:
    """What is known so far of one call; for the audit log."""

    name: str = ""
    grants: Grants | None = None
    room: str = ""


class Twirp:
    """Dispatches calls to services."""

    def __init__(
        self,
        tokens: TokenVerifier,
        services: Iterable[RpcService],
        *,
        requests_per_s: float = 100,
        clock: Clock | None = None,
        door: Door | None = None,
    ) -> None:
        """`door` is told of connections that a valid token came by."""
        self._tokens, self._door = tokens, door
        self._services = {service.name: service for service in services}
        self._clock = clock or SystemClock()
        self._buckets = BucketTable(requests_per_s, API_BURST_S * requests_per_s)

    def routes(self) -> Iterable[web.RouteDef]:
        """The one route of all services."""
        return [web.route("*", "/twirp/{service}/{method}", self.handle)]

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one call; whatever goes wrong becomes a Twirp error."""
        call = _Call()
        try:
            response = await self._answer(request, call)
        except RoomfulError as error:
            response, result = _refusal(error, call), error.code
        except web.HTTPRequestEntityTooLarge:
            text = f"the body exceeds {API_BODY_BYTES} bytes"
            response, result = error_response("resource_exhausted", text, status=413), "too_large"
        except Exception as error:  # noqa: BLE001 - one call's failure is contained here
            response, result = _internal(error, call), "internal"
        else:
            result = "ok"
        if call.name:
            audit.record(call.grants, call.name, result, call.room)
        return response

    async def _answer(self, request: web.Request, call: _Call) -> web.Response:
        method = self._route(request)
        call.name = f"{request.match_info['service']}/{request.match_info['method']}"
        call.grants = await self._grants(request)
        if not self._buckets.take(call.grants.issuer, self._clock.monotonic()):
            raise ResourceExhausted("too many requests with this API key: slow down")
        message = await _message(method, request.content_type, await _body(request))
        call.room = method.room(message)
        check(call.grants, method.action, room=call.room, target=destination_field(message))
        answer = await method.handler(message, call.grants)
        return _encode(answer, request.content_type)

    def _route(self, request: web.Request) -> RpcMethod:
        """Return the method, or raise what tells why there is none."""
        if request.method != "POST":
            text = f'unsupported method "{request.method}" (only POST is allowed)'
            raise BadRoute(request, text)
        if request.content_type not in (JSON, PROTOBUF):
            kind = request.headers.get("Content-Type", "")
            raise BadRoute(request, f'unexpected Content-Type: "{kind}"')
        name = request.match_info["service"]
        service = self._services.get(name)
        method = service.methods.get(request.match_info["method"]) if service else None
        if method is not None:
            return method
        if service is None and name in ABSENT:
            raise Unimplemented(ABSENT[name])
        raise BadRoute(request, f'no handler for path "{request.path}"')

    async def _grants(self, request: web.Request) -> Grants:
        header = request.headers.get("Authorization", "")
        token = request.query.get("access_token", "")
        if header:
            scheme, _, token = header.partition(" ")
            if scheme.lower() != "bearer":
                raise Unauthenticated("invalid authorization header: it must begin with 'Bearer '")
        if not token:
            raise Unauthenticated("permissions denied")
        grants = await self._tokens.verify(token.strip())
        if self._door is not None:
            self._door.proved(request.transport)
        return grants


def error_response(
    code: str, message: str, meta: Mapping[str, str] | None = None, status: int | None = None
) -> web.Response:
    """Return a Twirp error."""
    body: dict[str, object] = {"code": code, "msg": message}
    if meta:
        body["meta"] = dict(meta)
    return web.Response(
        body=json.dumps(body).encode(),
        status=status or HTTP_STATUS[code],
        headers={"Content-Type": JSON},
    )


def _refusal(error: RoomfulError, call: _Call) -> web.Response:
    if not is_callers(error):
        return _internal(error, call)
    return error_response(error.code, error.message, getattr(error, "meta", None))


def _internal(error: Exception, call: _Call) -> web.Response:
    """The log tells what happened, the caller gets a number to ask by."""
    number = random_text(8)
    log.error("call failed", exc_info=error, extra={"method": call.name, "error_id": number})
    return error_response("internal", f"internal error {number}", {"error_id": number})


async def _body(request: web.Request) -> bytes:
    if (request.content_length or 0) > API_BODY_BYTES:
        raise web.HTTPRequestEntityTooLarge(API_BODY_BYTES, request.content_length or 0)
    try:
        async with asyncio.timeout(API_BODY_S):
            return await request.read()
    except TimeoutError as error:
        raise TransportTimeout("the body did not arrive in time") from error


async def _message(method: RpcMethod, kind: str, body: bytes) -> Message:
    """Parse a body; a large one in a thread, so that the loop goes on meanwhile."""
    if len(body) > LARGE_BODY:
        return await asyncio.to_thread(_decode, method, kind, body)
    return _decode(method, kind, body)


def _decode(method: RpcMethod, kind: str, body: bytes) -> Message:
    message = method.request()
    if kind == PROTOBUF:
        try:
            message.ParseFromString(body)
        except (DecodeError, ValueError) as error:
            raise Malformed("the protobuf request could not be decoded") from error
        return message
    if not body.lstrip().startswith(b"{"):  # the parser takes an empty list for a message
        raise Malformed("the json request could not be decoded")
    try:
        json_format.Parse(body, message, ignore_unknown_fields=True, max_recursion_depth=JSON_DEPTH)
    except (json_format.ParseError, ValueError, RecursionError) as error:
        raise Malformed("the json request could not be decoded") from error
    return message


def _encode(message: Message, kind: str) -> web.Response:
    if kind == PROTOBUF:
        return web.Response(body=message.SerializeToString(), content_type=PROTOBUF)
    text = json_format.MessageToJson(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
        indent=None,
    )
    return web.Response(body=text.encode(), headers={"Content-Type": JSON})
