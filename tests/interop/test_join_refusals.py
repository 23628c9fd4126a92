"""What a client is told when it may not join, field by field against a reference.

``--update-golden`` records the answers anew (see `data/README.md`).
"""

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from .join_requests import JOIN_REQUEST, KNOCKS, Knock
from .recording import comparable, text_or_json
from .server import RoomServer

REFERENCE = Path(__file__).with_name("data") / "join_reference.json"
PATHS = ["/rtc/validate", "/rtc/v1/validate"]


@pytest.mark.parametrize("path", PATHS)
async def test_answers_agree_with_the_reference(
    room_server: RoomServer, path: str, update_golden: bool
) -> None:
    async with aiohttp.ClientSession() as session:
        answers = {k.name: await _knock(session, room_server, path, k) for k in KNOCKS}

    recorded = json.loads(REFERENCE.read_text()) if REFERENCE.exists() else {}
    if update_golden:
        assert not room_server.ours, "answers are recorded from a reference: ROOMFUL_TEST_SERVER"
        recorded[path] = answers
        REFERENCE.write_text(json.dumps(recorded, indent=1, sort_keys=True) + "\n")
    found = [
        f"{knock.name}: {answers[knock.name]} instead of {recorded[path][knock.name]}"
        for knock in KNOCKS
        if not _agree(knock, answers[knock.name], recorded[path][knock.name], room_server)
    ]
    assert not found, "\n" + "\n".join(found)


async def test_a_plain_request_to_the_socket_path_is_not_found(room_server: RoomServer) -> None:
    token = room_server.token("x", "somewhere")
    async with aiohttp.ClientSession() as session:
        for path in ("/rtc", "/rtc/v1"):
            url = f"{room_server.http_url}{path}?access_token={token}"
            async with session.get(url) as response:
                assert response.status == 404


async def test_two_slashes_at_the_start_are_taken_as_one(room_server: RoomServer) -> None:
    async with aiohttp.ClientSession() as session:
        token = room_server.token("x", "somewhere")
        url = f"{room_server.http_url}//rtc/validate?access_token={token}"
        async with session.get(url) as response:
            assert (response.status, await response.text()) == (200, "success")


async def test_health_is_told_at_the_root(room_server: RoomServer) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.get(room_server.http_url + "/") as response,
    ):
        assert (response.status, await response.text()) == (200, "OK")


async def _knock(
    session: aiohttp.ClientSession, server: RoomServer, path: str, knock: Knock
) -> dict[str, Any]:
    query = {"protocol": "16", "sdk": "python"}
    if path.startswith("/rtc/v1") and knock.request:
        query["join_request"] = JOIN_REQUEST
    query |= knock.query or {}
    headers = {"Origin": "http://elsewhere.example"}
    if knock.token is not None:
        headers["Authorization"] = f"Bearer {knock.token(server)}"
    async with session.get(server.http_url + path, params=query, headers=headers) as response:
        return {
            "status": response.status,
            "content_type": response.headers.get("Content-Type", "").split(";")[0],
            "allowed_origin": response.headers.get("Access-Control-Allow-Origin", ""),
            "body": comparable(text_or_json(await response.read()), {}),
        }


def _agree(
    knock: Knock, answer: dict[str, Any], reference: dict[str, Any], server: RoomServer
) -> bool:
    """The words of a refusal are our own: they name what was wrong, and never repeat the token."""
    if not server.ours or not knock.says:
        return answer == reference
    assert "<token>" not in answer["body"]
    return knock.says in answer["body"] and answer | {"body": ""} == reference | {"body": ""}
