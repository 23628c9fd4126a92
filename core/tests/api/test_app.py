"""What holds for the whole port: health, metrics, CORS, bodies, slashes, slow and many clients."""

import asyncio
import contextlib
import logging
from types import SimpleNamespace

import pytest
from aiohttp import web

from roomful.api import connections
from roomful.api import health as health_module
from roomful.api.source import source_of
from roomful.errors import NotFound, ResourceExhausted, Unauthenticated
from roomful.plugin.manager import Offers
from roomful.plugin.service import Offer

from .conftest import ADMIN, publish, signed

ORIGIN = {"Origin": "https://app.example"}


def routes(*definitions) -> Offers:
    return Offers((), (), definitions, (), ())


def checks(**found) -> Offers:
    async def check(answer):
        if isinstance(answer, Exception):
            raise answer
        if answer is Ellipsis:
            await asyncio.sleep(60)
        return answer

    offers = [
        Offer("acme", "acme 1", SimpleNamespace(name=name, check=lambda a=answer: check(a)))
        for name, answer in found.items()
    ]
    return Offers((), (), (), (), tuple(offers))


async def get(api, path, **headers):
    async with api.session.get(api.url + path, headers=headers) as answer:
        return answer.status, await answer.text(), answer.headers


class TestHealth:
    async def test_well_server_says_ok(self, make_api):
        api = await make_api(checks(disk=None))

        assert (await get(api, "/"))[:2] == (200, "OK")

    async def test_unwell_server_says_what_is_wrong(self, make_api, monkeypatch):
        monkeypatch.setattr(health_module, "CHECK_S", 0.01)
        api = await make_api(checks(disk="full", slow=..., bad=RuntimeError("x"), fine=None))

        status, text, _ = await get(api, "/")

        assert status == 406
        assert text.splitlines()[1:] == [
            "disk: full",
            "slow: no answer within 0 s",
            "bad: the check failed",
        ]

    async def test_asking_often_asks_the_checks_seldom(self, make_api):
        asked = []

        async def check():
            asked.append(1)

        offer = Offer("acme", "acme 1", SimpleNamespace(name="disk", check=check))
        api = await make_api(Offers((), (), (), (), (offer,)))

        for _ in range(5):
            await get(api, "/")

        assert len(asked) == 1


class TestMetrics:
    async def test_what_is_live_is_counted_without_names(self, api):
        session, _ = await api.server.enter("secret-room", "secret-name")
        publish(session, "secret-name")
        await api.call("ListRooms")

        status, text, headers = await get(api, "/metrics")

        assert status == 200
        assert headers["Content-Type"].startswith("text/plain")
        lines = text.splitlines()
        assert "roomful_rooms 1.0" in lines
        assert 'roomful_participants{kind="standard"} 1.0' in lines
        assert 'roomful_tracks{kind="audio"} 1.0' in lines
        assert 'roomful_http_requests_total{status="200"} 1.0' in lines
        assert any(line.startswith("process_cpu_seconds_total") for line in lines)
        assert "secret" not in text


class TestCors:
    async def test_page_of_any_origin_may_ask_and_call(self, api):
        preflight = {
            **ORIGIN,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        }
        url = api.url + "/twirp/livekit.RoomService/ListRooms"
        async with api.session.options(url, headers=preflight) as answer:
            assert answer.status == 204
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
            assert answer.headers["Access-Control-Allow-Methods"] == "POST"
            assert answer.headers["Access-Control-Allow-Headers"] == "authorization,content-type"
        for token in (signed(ADMIN), "garbage"):
            headers = {**ORIGIN, "Authorization": f"Bearer {token}"}
            async with api.session.post(url, json={}, headers=headers) as answer:
                assert answer.headers["Access-Control-Allow-Origin"] == "*"

    async def test_no_answer_allows_credentials(self, api):
        _, _, headers = await get(api, "/", **ORIGIN)

        assert "Access-Control-Allow-Credentials" not in headers

    async def test_route_that_sets_its_own_origin_keeps_it(self, make_api):
        async def handle(request):
            return web.Response(headers={"Access-Control-Allow-Origin": "https://only.example"})

        api = await make_api(routes(web.get("/own", handle)))

        assert (await get(api, "/own", **ORIGIN))[2].getall("Access-Control-Allow-Origin") == [
            "https://only.example"
        ]


class TestErrors:
    @pytest.mark.parametrize(
        ("error", "status", "text"),
        [
            (NotFound("no such thing"), 404, "no such thing"),
            (Unauthenticated("who?"), 401, "who?"),
            (ResourceExhausted("full"), 503, "full"),
            (web.HTTPConflict(text="twice"), 409, "twice"),
        ],
    )
    async def test_error_of_a_plugins_route_is_told(self, make_api, error, status, text):
        async def handle(request):
            raise error

        api = await make_api(routes(web.get("/x", handle)))

        got, told, headers = await get(api, "/x")
        assert (got, told) == (status, text)
        assert ("Retry-After" in headers) == (status == 503)

    async def test_failure_of_a_plugins_route_gives_a_number(self, make_api, caplog):
        async def handle(request):
            raise RuntimeError("path /etc/secret")

        api = await make_api(routes(web.get("/x/{key}", handle)))

        status, text, _ = await get(api, "/x/hunter2?access_token=hunter2")

        assert status == 500
        assert "secret" not in text
        (record,) = [r for r in caplog.records if r.message == "request failed"]
        assert text.endswith(record.error_id)
        assert record.route == "/x/{key}"

    async def test_answers_do_not_tell_what_they_are_made_with(self, api):
        _, _, headers = await get(api, "/")

        assert headers["Server"] == "roomful"

    async def test_unknown_path_is_404(self, api):
        assert (await get(api, "/nowhere"))[0] == 404


class TestAccessLog:
    async def test_line_shows_the_route_never_path_or_query(self, make_api, caplog):
        async def handle(request):
            return web.Response()

        api = await make_api(routes(web.get("/whip/{key}", handle)))
        with caplog.at_level(logging.INFO, "roomful.access"):
            await get(api, "/whip/hunter2?access_token=hunter2")
            await get(api, "/")

        (record,) = [r for r in caplog.records if r.name == "roomful.access"]
        assert (record.method, record.route, record.status) == ("GET", "/whip/{key}", 200)
        assert "hunter2" not in str(vars(record))


class TestBodies:
    @pytest.fixture
    async def echo(self, make_api):
        async def handle(request):
            return web.Response(text=str(len(await request.read())))

        return await make_api(routes(web.post("/echo", handle)))

    async def post(self, api, **more):
        async with api.session.post(api.url + "/echo", **more) as answer:
            return answer.status, await answer.text()

    async def test_route_of_a_plugin_takes_64_kib(self, echo):
        assert await self.post(echo, data=bytes(65_536)) == (200, "65536")
        assert (await self.post(echo, data=bytes(65_537)))[0] == 413

    async def test_length_that_is_not_announced_counts_too(self, echo):
        async def chunks():
            for _ in range(5):
                yield bytes(20_000)

        assert (await self.post(echo, data=chunks()))[0] == 413

    async def test_packed_and_multipart_bodies_are_refused(self, echo):
        assert (await self.post(echo, data=b"x", headers={"Content-Encoding": "gzip"}))[0] == 415
        kind = {"Content-Type": "multipart/form-data; boundary=x"}
        assert (await self.post(echo, data=b"x", headers=kind))[0] == 415


class TestSlashes:
    async def test_doubled_slash_at_the_start_means_one(self, make_api):
        async def socket(request):
            ws = web.WebSocketResponse()
            await ws.prepare(request)
            await ws.send_str(request.query["q"])
            return ws

        api = await make_api(routes(web.get("/rtc", socket)))

        assert (await api.call("ListRooms", path="//twirp/livekit.RoomService/"))[0] == 200
        async with api.session.ws_connect(api.url + "///rtc?q=a%2Fb&x=1") as ws:
            assert (await ws.receive_str()) == "a/b"
        assert (await get(api, "//nowhere"))[0] == 404
        assert (await get(api, "//"))[0] == 200


class TestConnections:
    @pytest.fixture(autouse=True)
    async def writers(self):
        self.opened = []
        yield
        for writer in self.opened:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def raw(self, api, data=b""):
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        self.opened.append(writer)
        writer.write(data)
        return reader, writer

    async def closed(self, reader) -> bool:
        try:
            return await asyncio.wait_for(reader.read(1), 5) == b""
        except ConnectionError:
            return True

    async def test_head_that_does_not_come_ends_the_connection(self, make_api, monkeypatch):
        monkeypatch.setattr(connections, "HEAD_S", 0.1)
        api = await make_api()
        silent, _ = await self.raw(api)
        slow, writer = await self.raw(api, b"GET / HTTP/1.1\r\nHost: x\r\nX: ")
        for _ in range(3):
            await asyncio.sleep(0.02)
            writer.write(b"x")

        assert await self.closed(silent)
        assert await self.closed(slow)

    async def test_head_in_pieces_is_served(self, make_api, monkeypatch):
        monkeypatch.setattr(connections, "HEAD_S", 0.2)
        api = await make_api()
        reader, writer = await self.raw(api)
        for piece in (b"GET / HTTP/1.1\r\nHost: x\r", b"\n\r", b"\n"):
            writer.write(piece)
            await asyncio.sleep(0.01)
        first = await asyncio.wait_for(reader.readuntil(b"\r\n\r\nOK"), 5)
        await asyncio.sleep(0.3)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")

        assert first.startswith(b"HTTP/1.1 200")
        assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\nOK"), 5)).startswith(
            b"HTTP/1.1 200"
        )

    async def test_source_that_proves_nothing_has_few_connections(self, make_api, monkeypatch):
        monkeypatch.setattr(connections, "UNPROVED_CONNECTIONS", 3)
        api = await make_api()
        kept = [await self.raw(api) for _ in range(3)]

        surplus, _ = await self.raw(api)
        assert await self.closed(surplus)
        kept[0][1].close()
        await kept[0][1].wait_closed()
        await asyncio.sleep(0.05)

        assert (await get(api, "/"))[0] == 200
        assert 'roomful_refused_total{reason="connections"} 1.0' in (await get(api, "/metrics"))[1]

    async def test_token_vouches_for_its_connection(self, make_api, monkeypatch):
        monkeypatch.setattr(connections, "UNPROVED_CONNECTIONS", 1)
        api = await make_api()

        for _ in range(3):
            reader, writer = await self.raw(api)
            writer.write(
                f"POST /twirp/livekit.RoomService/ListRooms HTTP/1.1\r\nHost: x\r\n"
                f"Authorization: Bearer {signed(ADMIN)}\r\nContent-Type: application/json\r\n"
                f"Content-Length: 2\r\n\r\n{{}}".encode()
            )
            assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.1 200")

    async def test_websocket_was_let_in_by_its_handler(self, make_api, monkeypatch):
        async def socket(request):
            ws = web.WebSocketResponse()
            await ws.prepare(request)
            async for _ in ws:
                pass
            return ws

        monkeypatch.setattr(connections, "UNPROVED_CONNECTIONS", 1)
        api = await make_api(routes(web.get("/rtc", socket)))
        sockets = [await api.session.ws_connect(api.url + "/rtc") for _ in range(3)]

        assert (await get(api, "/"))[0] == 200
        for ws in sockets:
            await ws.close()

    async def test_trusted_proxy_is_not_counted(self, make_api, monkeypatch):
        monkeypatch.setattr(connections, "UNPROVED_CONNECTIONS", 1)
        api = await make_api(trusted_proxies=["127.0.0.0/8"])
        for _ in range(3):
            await self.raw(api)

        assert (await get(api, "/"))[0] == 200

    async def test_request_line_of_32_kib_is_read(self, api):
        assert (await get(api, "/?join_request=" + "x" * 30_000))[0] == 200
        assert (await get(api, "/?join_request=" + "x" * 40_000))[0] == 400


@pytest.mark.parametrize(
    ("peer", "forwarded", "source"),
    [
        ("203.0.113.5", [], "203.0.113.5"),
        ("203.0.113.5", ["1.2.3.4"], "203.0.113.5"),
        ("10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["1.1.1.1", "198.51.100.7, 10.0.0.2"], "198.51.100.7"),
        ("10.0.0.1", ["10.0.0.9"], "10.0.0.9"),
        ("10.0.0.1", ["nonsense"], "10.0.0.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("::ffff:10.0.0.1", ["::ffff:198.51.100.7"], "198.51.100.7"),
        ("fe80::1%eth0", [], "fe80::1"),
        (None, [], ""),
    ],
)
def test_source_is_the_first_that_is_no_proxy_of_ours(peer, forwarded, source):
    from ipaddress import ip_network

    headers = SimpleNamespace(getall=lambda name, default: forwarded or default)
    request = SimpleNamespace(remote=peer, headers=headers)

    assert source_of(request, [ip_network("10.0.0.0/8")]) == source


async def raw(api, data: bytes) -> bytes:
    """What the port answers to these bytes, until it closes or is silent."""
    host, _, port = api.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(data)
    try:
        async with asyncio.timeout(2):
            return await reader.read(65536)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


class TestBytesThatAreNoRequest:
    async def test_bytes_that_are_no_http_are_counted_and_not_logged(self, api, caplog):
        answer = await raw(api, b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n")
        _, metrics, _ = await get(api, "/metrics")

        assert b" 400 " in answer.partition(b"\r\n")[0]
        assert 'reason="malformed"' in metrics
        assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []

    async def test_packed_body_is_refused_unread(self, api, caplog):
        answer = await raw(
            api,
            b"POST /twirp/livekit.RoomService/ListRooms HTTP/1.1\r\nHost: x\r\n"
            b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
        )

        assert b" 415 " in answer.partition(b"\r\n")[0]
        assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []

    async def test_body_announced_too_large_is_not_waited_for(self, api):
        head = (
            "POST /twirp/livekit.RoomService/ListRooms HTTP/1.1\r\nHost: x\r\n"
            "Content-Type: application/json\r\n"
            f"Authorization: Bearer {signed({'roomList': True})}\r\nContent-Length: {11 << 20}\r\n\r\n"
        )

        assert b" 413 " in (await raw(api, head.encode())).partition(b"\r\n")[0]

    async def test_caller_that_left_is_no_failure_of_ours(self, make_api, caplog):
        async def leave(request):
            raise ConnectionResetError("gone")

        api = await make_api(routes(web.get("/left", leave)))
        status, _, _ = await get(api, "/left")

        assert status == 499
        assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
