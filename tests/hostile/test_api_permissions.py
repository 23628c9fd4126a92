"""Every method of the API with every token that must not do, over HTTP, beside a witness."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import jwt
import pytest

from roomful.api.room_service import RoomService
from roomful.api.service import RpcMethod
from roomful.auth.check import API_RULES, claim_name

from ..interop.server import RoomServer
from .arena import Arena

ROOM, ELSEWHERE, DESTINATION = "matrix", "elsewhere", "matrix-too"


def methods() -> dict[str, RpcMethod]:
    """What the RoomService offers, and the action each method needs."""
    settings = SimpleNamespace(room=SimpleNamespace(enabled_codecs=()))
    return dict(RoomService(cast(Any, SimpleNamespace(settings=settings))).service().methods)


METHODS = methods()


def body(method: RpcMethod) -> bytes:
    """A request about the room, as far as the method's message names one."""
    fields = method.request.DESCRIPTOR.fields_by_name
    values = {"room": ROOM, "name": ROOM, "destination_room": DESTINATION, "identity": "nobody"}
    return json.dumps({k: v for k, v in values.items() if k in fields}).encode()


def claims(action: str, *, without: str = "", room: str = ROOM) -> dict[str, Any]:
    """The claims of a token with every grant an action needs, less one."""
    rule = API_RULES[action]
    made: dict[str, dict[str, Any]] = {"video": {}, "sip": {}}
    for need in rule.needs:
        if need != without:
            table, _, name = claim_name(need).partition(".")
            made[table][name] = True
    if rule.room and without != "room":
        made["video"]["room"] = room
    if rule.destination and without != "destination":
        made["video"]["destinationRoom"] = DESTINATION
    return made


def token(server: RoomServer, grants: dict[str, Any], *, secret: str = "", **more: Any) -> str:
    now = int(time.time())
    base = {"iss": server.key, "sub": "caller", "exp": now + 60, **grants, **more}
    return jwt.encode(base, secret or server.secret, "HS256")


def refused_tokens(server: RoomServer, action: str) -> Iterator[tuple[str, str | None]]:
    """What must not be let through for an action, by name."""
    rule, whole = API_RULES[action], claims(action)
    yield "no token", None
    yield "expired", token(server, whole, exp=int(time.time()) - 3600)
    yield "wrong secret", token(server, whole, secret="w" * 40)
    yield "unknown key", token(server, whole, iss="nobody")
    yield "no grants", token(server, {})
    for need in rule.needs:
        yield f"without {need}", token(server, claims(action, without=need))
    if rule.room:
        yield "another room", token(server, claims(action, room=ELSEWHERE))
        yield "no room", token(server, claims(action, without="room"))
    if rule.destination:
        yield "no destination", token(server, claims(action, without="destination"))


async def post(
    session: aiohttp.ClientSession, server: RoomServer, name: str, bearer: str | None
) -> tuple[int, str]:
    """Call a method; return status and words."""
    headers = {"Content-Type": "application/json"}
    if bearer is not None:
        headers["Authorization"] = f"Bearer {bearer}"
    url = f"{server.http_url}/twirp/livekit.RoomService/{name}"
    async with session.post(url, data=body(METHODS[name]), headers=headers) as answer:
        return answer.status, await answer.text()


async def test_no_method_lets_through_what_its_action_forbids(arena: Arena) -> None:
    server, found = arena.server, dict[str, tuple[int, str]]()
    async with arena.watch("api: every method, every forbidden token"), session(arena) as http:
        for name, method in METHODS.items():
            for case, bearer in refused_tokens(server, method.action):
                found[f"{name}: {case}"] = await post(http, server, name, bearer)
    assert len(found) > 80
    assert {case: answer for case, answer in found.items() if answer[0] != 401} == {}
    assert [case for case, (_, text) in found.items() if server.secret in text] == []


async def test_exactly_the_grants_are_enough_over_http(arena: Arena) -> None:
    server, found = arena.server, dict[str, int]()
    async with arena.watch("api: exactly the grants"), session(arena) as http:
        for name, method in METHODS.items():
            found[name], _ = await post(http, server, name, token(server, claims(method.action)))
    assert {name: status for name, status in found.items() if status in (401, 403)} == {}


def session(arena: Arena) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(local_addr=(arena.source(), 0), limit=1)
    )


# --- tokens that are none ------------------------------------------------------------------------


def unsigned(header: dict[str, Any], payload: dict[str, Any], signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(payload).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def bad_tokens(server: RoomServer) -> dict[str, str]:
    """Tokens for a join that nobody may join with."""
    now = int(time.time())
    grants = {"video": {"roomJoin": True, "room": ROOM}}
    whole = {"iss": server.key, "sub": "caller", "exp": now + 60, **grants}
    good = token(server, grants)
    head, payload, signature = good.split(".")
    return {
        "alg none": unsigned({"alg": "none", "typ": "JWT"}, whole),
        "alg NONE": unsigned({"alg": "NoNe"}, whole, b"x" * 32),
        "HS512": jwt.encode(whole, server.secret, "HS512"),
        "RS256 in the header": unsigned({"alg": "RS256"}, whole, b"x" * 32),
        "crit": jwt.encode(whole, server.secret, "HS256", headers={"crit": ["x"], "x": 1}),
        "b64": jwt.encode(whole, server.secret, "HS256", headers={"b64": False}),
        "an empty secret": unsigned({"alg": "HS256"}, whole, b""),
        "no signature": f"{head}.{payload}.",
        "two parts": f"{head}.{payload}",
        "a changed payload": f"{head}.{payload[:-4]}AAAA.{signature}",
        "no exp": jwt.encode({**grants, "iss": server.key, "sub": "x"}, server.secret, "HS256"),
        "exp a text": unsigned({"alg": "HS256"}, {**whole, "exp": "soon"}),
        "exp beyond all time": token(server, grants, exp=1 << 70),
        "expired by 61 s": token(server, grants, exp=now - 61),
        "not yet valid": token(server, grants, nbf=now + 3600),
        "no identity": token(server, grants, sub=""),
        "identity of 300 bytes": token(server, grants, sub="i" * 300),
        "identity with a control character": token(server, grants, sub="a\nb"),
        "another's webhook token": token(server, {}, sha256="x"),
        "no roomJoin": token(server, {"video": {"room": ROOM}}),
        "no room": token(server, {"video": {"roomJoin": True}}),
        "grants that are a list": token(server, {"video": [1, 2]}),
        "longer than 16 KiB": token(server, grants, metadata="m" * 17_000),
        "deep claims": token(server, {**grants, "x": json.loads("[" * 90 + "]" * 90)}) + "x",
        "garbage": "a.b.c",
        "not ASCII": "é" * 40,
    }


async def test_tokens_that_are_none_open_no_door(arena: Arena) -> None:
    server, found = arena.server, dict[str, tuple[int, str]]()
    async with arena.watch("api: tokens that are none"), session(arena) as http:
        for name, bearer in bad_tokens(server).items():
            url = f"{server.http_url}/rtc/validate"
            async with http.get(url, params={"access_token": bearer}) as answer:
                found[name] = answer.status, await answer.text()
    assert {n: a for n, a in found.items() if a[0] not in (400, 401)} == {}
    assert [n for n, (_, text) in found.items() if server.secret in text] == []


@pytest.mark.parametrize("late_s", [0, 55], ids=["fresh", "expired by 55 s"])
async def test_clocks_may_differ_by_a_minute(arena: Arena, late_s: int) -> None:
    grants = {"video": {"roomJoin": True, "room": ROOM}}
    bearer = token(arena.server, grants, exp=int(time.time()) - late_s + (60 if not late_s else 0))
    async with session(arena) as http:
        url = f"{arena.server.http_url}/rtc/validate"
        async with http.get(url, params={"access_token": bearer}) as answer:
            assert answer.status == 200
