"""Where requests may go: form, addresses, redirects; and that the address checked is the one used."""

import asyncio
import ipaddress
import socket
from types import SimpleNamespace

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver
from hypothesis import given, settings
from hypothesis import strategies as st
from yarl import URL

from roomful.errors import ConnectionLost, InvalidArgument, TransportTimeout
from roomful.outbound import Outbound, TargetPolicy, is_public, normalised

LOOPBACK = TargetPolicy(allow_private=(ipaddress.ip_network("127.0.0.0/8"),))
PUBLIC = "93.184.215.14"


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/",
        "file:///etc/passwd",
        "http://user@example.org/",
        "http://user:word@example.org/",
        "http://example.org:22/",
        "http://example.org:0/",
        "http://127.0.0.1/",
        "http://10.1.2.3/",
        "http://172.16.0.1/",
        "http://192.168.0.1/",
        "http://100.64.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://0.0.0.0/",
        "http://224.0.0.1/",
        "http://255.255.255.255/",
        "http://[::1]/",
        "http://[::]/",
        "http://[fe80::1%25eth0]/",
        "http://[fc00::1]/",
        "http://[fd00:ec2::254]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:169.254.169.254]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://[::127.0.0.1]/",
        "http://[ff02::1]/",
    ],
)
def test_url_that_its_form_refuses(url):
    with pytest.raises(InvalidArgument):
        TargetPolicy().check_url(URL(url))


@pytest.mark.parametrize(
    "url", ["https://example.org/x", f"http://{PUBLIC}:8080/", "https://[2606:2800:21f::1]/"]
)
def test_public_url_is_allowed(url):
    TargetPolicy().check_url(URL(url))


@pytest.mark.parametrize("url", ["http://127.0.0.1:1234/", "http://[::ffff:127.0.0.1]:1234/"])
def test_private_network_can_be_allowed(url):
    LOOPBACK.check_url(URL(url))


@settings(deadline=None)
@given(st.ip_addresses(v=4))
def test_ipv4_in_any_wrapping_is_judged_as_itself(address):
    number = int(address)
    for wrapped in (
        ipaddress.IPv6Address(0xFFFF << 32 | number),
        ipaddress.IPv6Address((0x0064FF9B << 96) | number),
        ipaddress.IPv6Address(0x2002 << 112 | number << 80),
    ):
        assert normalised(wrapped) == address
        assert is_public(wrapped) == is_public(address)


class Names(AbstractResolver):
    """Answers each name with the next of its lists, and counts the questions."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self._answers = answers
        self.asked: list[str] = []

    async def resolve(self, host, port=0, family=socket.AF_INET):
        self.asked.append(host)
        addresses = self._answers[host.partition(".")[0]].pop(0)
        return [
            {"hostname": host, "host": a, "port": port, "family": socket.AF_INET, "proto": 0,
             "flags": socket.AI_NUMERICHOST}
            for a in addresses
        ]  # fmt: skip

    async def close(self):
        pass


@pytest.fixture
async def site():
    """A server on loopback; `site.seen` are the requests it got."""

    async def handle(request: web.Request) -> web.StreamResponse:
        seen.append((request.method, request.path_qs, await request.read(), request.headers))
        if "to" in request.query:
            return web.Response(status=302, headers={"Location": request.query["to"]})
        if request.path == "/big":
            return web.Response(body=b"x" * 1_000_000)
        if request.path == "/never":
            await release.wait()
        return web.Response(text="hello", status=201)

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handle)
    seen: list[tuple] = []
    release = asyncio.Event()
    runner = web.AppRunner(app)
    await runner.setup()
    listener = web.TCPSite(runner, "127.0.0.1", 0)
    await listener.start()
    yield SimpleNamespace(port=runner.addresses[0][1], seen=seen)
    release.set()
    await runner.cleanup()


@pytest.fixture
async def outbound_to():
    made: list[Outbound] = []

    def make(policy: TargetPolicy | None = None, **names) -> Outbound:
        made.append(Outbound(policy, Names(**names)))
        return made[-1]

    yield make
    for outbound in made:
        await outbound.close()


async def test_operator_target_may_be_private(site, outbound_to):
    answer = await outbound_to().request(
        "POST",
        f"http://127.0.0.1:{site.port}/hook",
        operator=True,
        body=b"body",
        headers={"Authorization": "x"},
    )

    assert (answer.status, answer.body) == (201, b"hello")
    method, path, body, headers = site.seen[0]
    assert (method, path, body, headers["Authorization"]) == ("POST", "/hook", b"body", "x")


async def test_request_target_may_not(site, outbound_to):
    with pytest.raises(InvalidArgument):
        await outbound_to().request("GET", f"http://127.0.0.1:{site.port}/")
    assert site.seen == []


@pytest.mark.parametrize("addresses", [["127.0.0.1"], [PUBLIC, "127.0.0.1"], ["10.0.0.1"]])
async def test_name_of_a_private_address_is_refused(site, outbound_to, addresses):
    outbound = outbound_to(evil=[addresses])

    with pytest.raises(InvalidArgument, match="not a public address"):
        await outbound.request("GET", f"http://evil.example:{site.port}/")
    assert site.seen == []


async def test_name_is_resolved_once_and_that_address_used(site, outbound_to):
    outbound = outbound_to(LOOPBACK, name=[["127.0.0.1"], ["10.0.0.1"]])

    answer = await outbound.request("GET", f"http://name.example:{site.port}/")

    assert answer.status == 201
    assert outbound._resolver.asked == ["name.example"]


async def test_odd_spelling_of_an_address_is_resolved_and_judged(site):
    outbound = Outbound()

    for host in ("2130706433", "0177.0.0.1", "127.1", "localhost"):
        with pytest.raises(InvalidArgument):
            await outbound.request("GET", f"http://{host}:{site.port}/")
    await outbound.close()
    assert site.seen == []


async def test_connection_made_for_the_operator_is_not_used_for_a_request(site, outbound_to):
    outbound = outbound_to(host=[["127.0.0.1"], ["127.0.0.1"]])
    url = f"http://host.example:{site.port}/"

    await outbound.request("GET", url, operator=True)

    with pytest.raises(InvalidArgument):
        await outbound.request("GET", url)


async def test_redirect_is_not_followed_unless_asked_for(site, outbound_to):
    answer = await outbound_to(LOOPBACK).request("GET", f"http://127.0.0.1:{site.port}/?to=/b")

    assert (answer.status, len(site.seen)) == (302, 1)


async def test_redirect_takes_nothing_along_and_is_checked_like_the_first(site, outbound_to):
    outbound = outbound_to(LOOPBACK)

    await outbound.request(
        "POST", f"http://127.0.0.1:{site.port}/?to=/b", body=b"secret",
        headers={"Authorization": "secret"}, redirects=True,
    )  # fmt: skip

    method, path, body, headers = site.seen[1]
    assert (method, path, body) == ("GET", "/b", b"")
    assert "Authorization" not in headers
    for target in ("http://10.0.0.1/", "file:///etc/passwd"):
        with pytest.raises(InvalidArgument):
            await outbound.request(
                "GET", f"http://127.0.0.1:{site.port}/?to={target}", redirects=True
            )


async def test_operators_host_cannot_send_us_inside(site, outbound_to):
    url = f"http://127.0.0.1:{site.port}/?to=http://127.0.0.1:{site.port}/inside"

    with pytest.raises(InvalidArgument):
        await outbound_to().request("GET", url, operator=True, redirects=True)
    assert len(site.seen) == 1


async def test_endless_redirects_end(site, outbound_to):
    url = f"http://127.0.0.1:{site.port}/?to=/%3Fto%3D/%253Fto%253D/%25253Fto%25253D/%2525253Fto%2525253D/x"

    with pytest.raises(ConnectionLost, match="more than 3"):
        await outbound_to(LOOPBACK).request("GET", url, redirects=True)
    assert len(site.seen) == 4


async def test_long_answer_is_cut(site, outbound_to):
    answer = await outbound_to(LOOPBACK).request("GET", f"http://127.0.0.1:{site.port}/big")

    assert len(answer.body) == 65536


async def test_silent_host_is_given_up(site, outbound_to, monkeypatch):
    monkeypatch.setattr("roomful.outbound.OUTBOUND_WHOLE_S", 0.05)

    with pytest.raises(TransportTimeout):
        await outbound_to(LOOPBACK).request("GET", f"http://127.0.0.1:{site.port}/never")


async def test_closed_port_is_lost_and_the_url_not_repeated(outbound_to):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(ConnectionLost) as lost:
            await outbound_to(LOOPBACK).request("GET", f"http://127.0.0.1:{port}/?key=hunter2")

    assert "hunter2" not in lost.value.message


async def test_proxy_of_the_environment_is_not_used(site, outbound_to, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    answer = await outbound_to(LOOPBACK).request("GET", f"http://127.0.0.1:{site.port}/")

    assert answer.status == 201


async def test_url_that_cannot_be_parsed_is_refused(outbound_to):
    with pytest.raises(InvalidArgument):
        await outbound_to().request("GET", "http://[::1/")
