"""The page's routes: policy, files, and whom the token endpoint answers."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from roomful.auth.token import Tokens
from roomful.settings import Settings
from roomful_demo import site
from roomful_demo.plugin import DemoPlugin
from roomful_demo.site import FILES, PATH, Site, clean_name, content_policy

KEYS = {"devkey": "secret"}
Client = TestClient[web.Request, web.Application]


@dataclass
class FakeServer:
    """What the page's routes need of a server."""

    settings: Settings
    tokens: Tokens


def server(mode: Any = "dev", **settings: Any) -> Any:
    return FakeServer(Settings(mode=mode, keys=KEYS, **settings), Tokens(KEYS))


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with opened(server()) as opened_client:
        yield opened_client


def opened(of: Any) -> Client:
    app = web.Application()
    app.add_routes(Site(of).routes())
    return TestClient(TestServer(app, host="127.0.0.1"))


# --- the token endpoint ---------------------------------------------------------------------------


async def test_a_guest_gets_a_token_that_joins_the_one_room_and_nothing_else(
    client: Client,
) -> None:
    answer = await client.post(f"{PATH}token", json={"name": "  Some\n body "})

    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    found = await answer.json()
    claims = jwt.decode(found["token"], "secret", algorithms=["HS256"])
    assert claims["video"] == {"roomJoin": True, "room": "demo"}
    assert (claims["sub"], claims["name"]) == (found["identity"], "Some body")
    assert claims["exp"] - claims["nbf"] == 600
    assert set(claims) == {"sub", "name", "video", "iss", "nbf", "exp"}


async def test_nothing_that_is_asked_for_beside_the_name_is_granted(client: Client) -> None:
    asked = {"name": "x", "room": "other", "identity": "listener", "video": {"roomAdmin": True}}

    found = await (await client.post(f"{PATH}token", json=asked)).json()

    claims = jwt.decode(found["token"], "secret", algorithms=["HS256"])
    assert claims["video"] == {"roomJoin": True, "room": "demo"}
    assert claims["sub"].startswith("guest-")


async def test_two_guests_of_one_name_are_two_participants(client: Client) -> None:
    first = await (await client.post(f"{PATH}token", json={"name": "x"})).json()
    second = await (await client.post(f"{PATH}token", json={"name": "x"})).json()

    assert first["identity"] != second["identity"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Host": "rebound.example"},
        {"Host": "127.0.0.1; x"},
        {"Host": "127.0.0.1@rebound.example"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
    ],
)
async def test_requests_that_are_not_the_pages_own_are_refused(
    client: Client, headers: dict[str, str]
) -> None:
    sent = {"Content-Type": "application/json", **headers}

    answer = await client.post(f"{PATH}token", data=b'{"name": "x"}', headers=sent)

    assert answer.status == 403
    assert "token" not in await answer.json()


async def test_the_pages_own_origin_is_answered(client: Client) -> None:
    origin = f"http://{client.host}:{client.port}"
    headers = {"Origin": origin, "Sec-Fetch-Site": "same-origin"}

    answer = await client.post(f"{PATH}token", json={"name": "x"}, headers=headers)

    assert answer.status == 200


@pytest.mark.parametrize(
    "body", [b"", b"no json", b"[]", b"3", b'{"name": "' + b"x" * 5000 + b'"}']
)
async def test_bodies_that_are_no_small_object_are_refused(client: Client, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}

    answer = await client.post(f"{PATH}token", data=body, headers=headers)

    assert answer.status == 400


@pytest.mark.parametrize("method", ["get", "put", "delete"])
async def test_tokens_are_only_posted_for(client: Client, method: str) -> None:
    answer = await getattr(client, method)(f"{PATH}token")

    assert answer.status in (404, 405)


async def test_a_server_that_others_reach_answers_under_any_name() -> None:
    async with opened(server(bind=("0.0.0.0",))) as client:
        answer = await client.post(
            f"{PATH}token", json={"name": "x"}, headers={"Host": "box.example"}
        )

    assert answer.status == 200


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("<b>x</b>", "<b>x</b>"),
        ("a\x1b[31m\u202eb\x00", "a[31mb"),
        ("  ", "Guest"),
        (None, "Guest"),
        (["x"], "Guest"),
        ("x" * 100, "x" * 40),
    ],
)
def test_names_become_one_short_printable_line(name: object, clean: str) -> None:
    assert clean_name(name) == clean


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in FILES if "livekit" not in name])
async def test_every_file_is_served_under_the_strict_policy(client: Client, name: str) -> None:
    answer = await client.get(PATH + name)

    assert answer.status == 200
    assert answer.headers["Content-Type"] == FILES[name][1]
    policy = answer.headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "style-src 'self'"} <= set(policy)
    assert {"frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"} <= set(policy)
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Access-Control-Allow-Origin" not in answer.headers


async def test_signalling_is_allowed_to_the_own_address_only(client: Client) -> None:
    policy = (await client.get(PATH)).headers["Content-Security-Policy"]

    assert f"connect-src 'self' ws://{client.host}:{client.port};" in policy


def test_a_host_that_is_no_authority_gets_into_no_policy() -> None:
    assert "connect-src 'self';" in content_policy(False, "x; script-src *")
    assert "connect-src 'self' wss://[::1]:7880;" in content_policy(True, "[::1]:7880")


async def test_the_path_without_its_slash_leads_to_the_page(client: Client) -> None:
    answer = await client.get("/demo", allow_redirects=False)

    assert (answer.status, answer.headers["Location"]) == (302, PATH)


@pytest.mark.parametrize(
    "path", ["nothing.js", "..%2fsite.py", "%2e%2e/site.py", "client/LICENSE", "page.css%00"]
)
async def test_there_is_no_way_to_other_files(client: Client, path: str) -> None:
    answer = await client.get(f"{PATH}{path}")

    assert answer.status == 404


async def test_a_missing_client_is_not_found_and_the_page_is_there_to_say_so(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FILES, site.CLIENT, (tmp_path / "none.js", "text/javascript"))

    assert not site.has_client()
    assert (await client.get(PATH + site.CLIENT)).status == 404
    assert (await client.get(PATH)).status == 200


def test_the_page_has_no_script_or_style_of_its_own_in_it() -> None:
    page = FILES[""][0].read_text(encoding="utf-8")

    assert "<style" not in page and "style=" not in page and "onclick" not in page
    assert all(
        line.strip().endswith("</script>") for line in page.splitlines() if "<script" in line
    )
    scripts = [path.read_text(encoding="utf-8") for path in FILES[""][0].parent.glob("*.js")]
    assert not any("innerHTML" in script or "eval(" in script for script in scripts)


# --- where it is on -------------------------------------------------------------------------------


def test_routes_are_offered_in_dev_and_not_in_serve() -> None:
    plugin = DemoPlugin()

    assert list(plugin.routes(server("serve"))) == []
    assert {route.path for route in plugin.routes(server("dev"))} >= {f"{PATH}token"}


async def test_answers_are_json_objects_with_the_reason(client: Client) -> None:
    answer = await client.post(f"{PATH}token", data=b"{}", headers={"Content-Type": "text/plain"})

    assert json.loads(await answer.text()) == {"error": "only JSON is read here"}
