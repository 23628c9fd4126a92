"""The HTTP port: what is no request, too much of one, or a request for too much."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable

import pytest
from livekit.protocol import room as room_proto

from .arena import Arena
from .raw_socket import RawSocket

METHOD = "/twirp/livekit.RoomService/"
JSON, PROTOBUF = "application/json", "application/protobuf"


async def asked(arena: Arena, data: bytes, *, patience: float = 5.0) -> int:
    """The status for these bytes from a new address; 0 when the connection was closed."""
    raw = await RawSocket.open(arena.server.http_url, arena.source())
    try:
        await raw.write(data)
        return await raw.status(patience)
    finally:
        raw.close()


def call(arena: Arena, method: str, body: bytes, *headers: str, kind: str = JSON) -> bytes:
    """A well-formed API call, but for what the headers say beside it."""
    token = arena.server.grant("caller", room_list=True, room_create=True, room_admin=True,
                               room="r").to_jwt()  # fmt: skip
    lines = [
        f"POST {METHOD}{method} HTTP/1.1", "Host: x", f"Authorization: Bearer {token}",
        f"Content-Type: {kind}", *headers,
    ]  # fmt: skip
    if not any(
        line.lower().startswith(("content-length", "transfer-encoding")) for line in headers
    ):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def chunked(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


# --- heads ---------------------------------------------------------------------------------------

HEADS: dict[str, tuple[bytes, set[int]]] = {
    "10,000 headers": (
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(10_000))
        + b"\r\n", {400, 431},
    ),
    "a header of 100 KiB": (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", {400, 431}),
    "a path of 40 KiB": (b"GET /" + b"y" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", {400, 414}),
    "a length that is none": (
        b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", {400},
    ),
    "a negative length": (b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", {400}),
    "two lengths": (
        b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", {400},
    ),
    "a length and chunks": (
        b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\n\r\n", {400},
    ),
    "a chunk that is none": (
        b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", {400, 404},
    ),
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), {0, 400}),
    "HTTP/9.9": (b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", {0, 400, 505}),
    "NUL in a header": (b"GET / HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n", {400}),
    "a bare LF in a header": (b"GET / HTTP/1.1\r\nHost: x\r\nX: a\n b\r\n\r\n", {0, 200, 400}),
    "a method that is none": (b"G\x80T / HTTP/1.1\r\nHost: x\r\n\r\n", {0, 400}),
    "encoded dots": (b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", {400, 404}),
    "an upgrade to nothing": (
        b"GET /rtc HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", {400, 404},
    ),
    "an upgrade without a token": (
        b"GET /rtc HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", {401},
    ),
}  # fmt: skip


async def test_heads_that_are_none_are_refused(arena: Arena) -> None:
    async with arena.watch("http: heads", growth=16 << 20):
        found = {name: await asked(arena, head) for name, (head, _) in HEADS.items()}
    assert {n: s for n, s in found.items() if s not in HEADS[n][1]} == {}


# --- bodies --------------------------------------------------------------------------------------


async def bodies(arena: Arena) -> dict[str, int]:
    """What is asked and how it is answered."""
    deep = b'{"names":' + b"[" * 10_000 + b"]" * 10_000 + b"}"
    nested = b'{"roomPreset":' * 5000 + b'""' + b"}" * 5000
    requests = {
        "11 MiB announced": call(arena, "ListRooms", b"", f"Content-Length: {11 << 20}"),
        "deep JSON": call(arena, "ListRooms", deep),
        "nested objects": call(arena, "CreateRoom", nested),
        "no JSON": call(arena, "ListRooms", b"{" * 100),
        "JSON that is not UTF-8": call(arena, "ListRooms", b'{"names":["\xff\xfe"]}'),
        "a huge number": call(arena, "CreateRoom", b'{"emptyTimeout": 1e999999}'),
        "no protobuf": call(arena, "ListRooms", b"\xff" * 99, kind=PROTOBUF),
        "gzip": call(arena, "ListRooms", b"{}", "Content-Encoding: gzip"),
        "an unknown encoding": call(arena, "ListRooms", b"{}", "Content-Encoding: x-bomb"),
        "two encodings": call(arena, "ListRooms", b"{}", "Content-Encoding: gzip, br"),
        "multipart": call(arena, "ListRooms", b"--b--", kind="multipart/form-data; boundary=b"),
        "text": call(arena, "ListRooms", b"{}", kind="text/plain"),
        "metadata of 600 KiB": call(
            arena, "CreateRoom", json.dumps({"name": "r", "metadata": "m" * 600_000}).encode()
        ),
        "a name of 300 bytes": call(arena, "CreateRoom", b'{"name":"%s"}' % (b"n" * 300)),
        "an unknown method": call(arena, "Shutdown", b"{}"),
        "a path into nowhere": call(arena, "../../etc/passwd", b"{}"),
    }
    return {name: await asked(arena, request) for name, request in requests.items()}


async def test_bodies_that_are_none_are_refused(arena: Arena) -> None:
    async with arena.watch("http: bodies", growth=32 << 20):
        found = await bodies(arena)
    assert {n: s for n, s in found.items() if s not in (400, 404, 413, 415)} == {}


# --- much ----------------------------------------------------------------------------------------


async def endless_chunks(arena: Arena) -> None:
    """A body without a length that does not end: 10 MiB are read of it."""
    head = call(arena, "ListRooms", b"", "Transfer-Encoding: chunked")
    raw = await RawSocket.open(arena.server.http_url, arena.source())
    await raw.write(head)
    piece = chunked(bytes(1 << 20))
    for _ in range(12):
        await raw.write(piece)
    assert await raw.status() in (0, 413)
    raw.close()


async def tiny_chunks(arena: Arena) -> None:
    """50,000 chunks of a byte."""
    head = call(arena, "ListRooms", b"", "Transfer-Encoding: chunked")
    assert await asked(arena, head + chunked(*[b" "] * 50_000, b"{}") + b"0\r\n\r\n") == 200


async def large_and_valid(arena: Arena) -> None:
    """1 MiB of JSON, and of protobuf, that say what the API can read."""
    names = [f"room-{n}" for n in range(60_000)]
    body = json.dumps({"names": names}).encode()
    assert await asked(arena, call(arena, "ListRooms", body), patience=20) == 200
    packed = room_proto.ListRoomsRequest(names=names).SerializeToString()
    assert await asked(arena, call(arena, "ListRooms", packed, kind=PROTOBUF), patience=20) == 200


async def idle_connections(arena: Arena) -> None:
    """200 of one address: half of them are closed at once."""
    source = arena.source()
    opened = [await RawSocket.open(arena.server.http_url, source) for _ in range(200)]
    await asyncio.sleep(0.3)
    closed = 0
    for raw in opened:
        try:
            closed += await asyncio.wait_for(raw.reader.read(1), 0.001) == b""
        except (TimeoutError, ConnectionError) as error:
            closed += isinstance(error, ConnectionError)
    assert 90 <= closed <= 110
    assert await asked(arena, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") == 200
    for raw in opened:
        raw.close()


async def request_flood(arena: Arena) -> None:
    """Requests without a token, pipelined and on 20 connections, for a second."""
    source = arena.source()
    batch = b"GET /rtc/validate?access_token=x HTTP/1.1\r\nHost: x\r\n\r\n" * 20

    async def one() -> None:
        raw = await RawSocket.open(arena.server.http_url, source)
        for _ in range(10):
            await raw.write(batch)
            await asyncio.sleep(0.1)
        raw.close()

    await asyncio.gather(*(one() for _ in range(20)))


async def api_flood(arena: Arena) -> None:
    """600 calls with one key: more than 100/s are told to wait."""
    request = call(arena, "ListRooms", b"{}")
    raws = [await RawSocket.open(arena.server.http_url, arena.source()) for _ in range(10)]
    statuses: list[int] = []

    async def one(raw: RawSocket) -> None:
        for _ in range(60):
            await raw.write(request)
            statuses.append(await raw.status())
            length = 0
            while line := (await raw.reader.readline()).strip():
                if line.lower().startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            await raw.reader.readexactly(length)

    await asyncio.gather(*(one(raw) for raw in raws))
    for raw in raws:
        raw.close()
    assert set(statuses) == {200, 429}
    assert statuses.count(200) <= 200 + 100 * 6


async def garbage(arena: Arena) -> None:
    """300 connections whose first bytes are a request with some of them changed."""
    chance = random.Random(8)
    base = b"POST /twirp/livekit.RoomService/ListRooms HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
    for _ in range(30):
        raws = [await RawSocket.open(arena.server.http_url, arena.source()) for _ in range(10)]
        for raw in raws:
            data = bytearray(base)
            for _ in range(chance.randint(1, 6)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            await raw.write(bytes(data[: chance.choice((len(data), 30, 80))]))
        await asyncio.sleep(0.01)
        for raw in raws:
            raw.close()


async def pipelined_upgrade(arena: Arena) -> None:
    """A request behind an upgrade is no request: it is the WebSocket's, and garbage there."""
    token = arena.server.token("smuggler", "pipeline")
    upgrade = (
        f"GET /rtc?access_token={token} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    ).encode()
    raw = await RawSocket.open(arena.server.http_url, arena.source())
    await raw.write(upgrade + call(arena, "ListRooms", b"{}"))
    came = await raw.ended(5)
    raw.close()
    assert came.startswith(b"HTTP/1.1 101")
    assert came.count(b"HTTP/1.1") == 1


MUCH: dict[str, Callable[[Arena], Awaitable[None]]] = {
    "a body without end": endless_chunks,
    "50,000 chunks": tiny_chunks,
    "1 MiB that is valid": large_and_valid,
    "200 idle connections": idle_connections,
    "4,000 requests a second": request_flood,
    "600 API calls": api_flood,
    "300 broken requests": garbage,
    "a request behind an upgrade": pipelined_upgrade,
}


@pytest.mark.parametrize("name", MUCH)
async def test_much_is_bounded(arena: Arena, name: str) -> None:
    async with arena.watch(f"http: {name}", growth=128 << 20):
        await MUCH[name](arena)
