"""Twirp: `POST /twirp/<package>.<Service>/<Method>` in protobuf or JSON (Twirp v7 wire protocol).

The answer has the request's encoding; errors are always JSON `{"code", "msg", "meta"}`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from aiohttp import web
from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message

from roomful.api.absent import ABSENT
from roomful.api.service import RpcMethod, RpcService, destination_field
from roomful.auth.check import check
from roomful.auth.grants import Grants
from roomful.auth.token import TokenVerifier
from roomful.errors import RoomfulError, Unauthenticated
from roomful.ids import random_text

log = logging.getLogger(__name__)

MAX_BODY = 10 << 20
JSON, PROTOBUF = "application/json", "application/protobuf"

HTTP_STATUS = {
    "canceled": 408,
    "unknown": 500,
    "invalid_argument": 400,
    "malformed": 400,
    "deadline_exceeded": 408,
    "not_found": 404,
    "bad_route": 404,
    "already_exists": 409,
    "permission_denied": 403,
    "unauthenticated": 401,
    "resource_exhausted": 429,
    "failed_precondition": 412,
    "aborted": 409,
    "out_of_range": 400,
    "unimplemented": 501,
    "internal": 500,
    "unavailable": 503,
    "data_loss": 500,
}
"""Twirp code → HTTP status."""


class Twirp:
    """Dispatches calls to services."""

    def __init__(self, tokens: TokenVerifier, services: Iterable[RpcService]) -> None:
        self._tokens = tokens
        self._services = {service.name: service for service in services}

    def routes(self) -> Iterable[web.RouteDef]:
        """The one route of all services."""
        return [web.route("*", "/twirp/{service}/{method}", self.handle)]

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one call; whatever goes wrong becomes a Twirp error."""
        try:
            return await self._answer(request)
        except RoomfulError as error:
            return error_response(error.code, error.message, getattr(error, "meta", None))
        except web.HTTPRequestEntityTooLarge:
            return error_response(
                "resource_exhausted", f"the body exceeds {MAX_BODY} bytes", status=413
            )
        except Exception:  # one call's failure is contained here
            number = random_text(8)
            log.exception("call failed", extra={"path": request.path, "error_id": number})
            return error_response("internal", f"internal error {number}")

    async def _answer(self, request: web.Request) -> web.Response:
        name, method_name = request.match_info["service"], request.match_info["method"]
        if request.method != "POST":
            return _bad_route(
                request, f'unsupported method "{request.method}" (only POST is allowed)'
            )
        if request.content_type not in (JSON, PROTOBUF):
            kind = request.headers.get("Content-Type", "")
            return _bad_route(request, f'unexpected Content-Type: "{kind}"')
        method = self._method(name, method_name)
        if method is None:
            hint = ABSENT.get(name)
            if hint and (name not in self._services):
                return error_response("unimplemented", hint)
            return _bad_route(request, f'no handler for path "{request.path}"')
        grants = await self._grants(request)
        message = _decode(method, request.content_type, await request.read())
        check(
            grants, method.action, room=method.room(message), target=destination_field(message)
        )
        answer = await method.handler(message, grants)
        return _encode(answer, request.content_type)

    def _method(self, service: str, method: str) -> RpcMethod | None:
        found = self._services.get(service)
        return found.methods.get(method) if found else None

    async def _grants(self, request: web.Request) -> Grants:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("permissions denied")
        return await self._tokens.verify(token)


def error_response(
    code: str, message: str, meta: dict[str, str] | None = None, status: int | None = None
) -> web.Response:
    """Return a Twirp error."""
    body: dict[str, Any] = {"code": code, "msg": message}
    if meta:
        body["meta"] = meta
    return web.json_response(body, status=status or HTTP_STATUS[code])


def _bad_route(request: web.Request, message: str) -> web.Response:
    route = {"twirp_invalid_route": f"{request.method} {request.path}"}
    return error_response("bad_route", message, route)


class _Malformed(RoomfulError):
    code = "malformed"


def _decode(method: RpcMethod, kind: str, body: bytes) -> Message:
    message = method.request()
    if kind == PROTOBUF:
        try:
            message.ParseFromString(body)
        except DecodeError as error:
            raise _Malformed("the protobuf request could not be decoded") from error
        return message
    try:
        json_format.Parse(body or b"{}", message, ignore_unknown_fields=True, max_recursion_depth=32)
    except (json_format.ParseError, UnicodeDecodeError, RecursionError) as error:
        raise _Malformed("the json request could not be decoded") from error
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
    return web.Response(text=text, content_type=JSON)
