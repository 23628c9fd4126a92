"""What a worker may say at `/agent`, and what becomes of one that says something else."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from livekit import api
from livekit.protocol import agent
from livekit.protocol.agent import JobStatus

from roomful_agents import endpoint, socket

from .conftest import KEY, SECRET, House, open_house, until
from .worker import worker_token

POLICY_VIOLATION = 1008


def test_the_bounds_that_tests_lean_on() -> None:
    assert endpoint.REGISTER_S == 10 and socket.MESSAGES_BURST == 500


async def test_register_is_answered_first(house: House) -> None:
    worker = await house.connect("?protocol=1&worker_token=x")
    await worker.say(ping=agent.WorkerPing(timestamp=7))
    assert (await worker.hear("pong")).pong.last_timestamp == 7
    answer = await worker.register(agent_name="helper", version="1.8.9")
    assert answer.worker_id.startswith("AW_")
    assert answer.server_info.agent_protocol == 1 and answer.server_info.node_id
    await worker.say(ping=agent.WorkerPing(timestamp=8))
    pong = (await worker.hear("pong")).pong
    assert pong.last_timestamp == 8 and pong.timestamp > 0


@pytest.mark.parametrize(
    "token", ["", "nonsense", worker_token(KEY, "wrong"), worker_token(KEY, SECRET, agent=False)]
)
async def test_only_tokens_of_workers_come_in(house: House, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(f"{house.http_url}/agent", headers=headers)
        assert refused.value.status == 401
        async with http.get(f"{house.http_url}/agent", headers=headers) as answer:
            assert answer.status == 404


async def test_one_that_does_not_register_in_time(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "REGISTER_S", 0.2)
    worker = await house.connect()
    assert await worker.closed() == (POLICY_VIOLATION, "no register within 0.2 s")


BAD: list[tuple[dict[str, Any], str]] = [
    ({"register": agent.RegisterWorkerRequest()}, "register came a second time"),
    ({"simulate_job": agent.SimulateJobRequest()}, "simulate_job is not offered here"),
    (
        {"update_worker": agent.UpdateWorkerStatus(load=float("nan"))},
        "update_worker: load nan is not a number from 0 to 1",
    ),
    ({"update_worker": agent.UpdateWorkerStatus(load=-1)}, "update_worker: load -1.0"),
    (
        {"availability": agent.AvailabilityResponse(job_id="x", available=True)},
        "availability: participant_identity is empty",
    ),
    (
        {
            "availability": agent.AvailabilityResponse(
                job_id="x",
                available=True,
                participant_identity="bot",
                participant_metadata="x" * (513 << 10),
            )
        },
        "availability: metadata size exceeds limits",
    ),
    (
        {
            "availability": agent.AvailabilityResponse(
                job_id="x",
                available=True,
                participant_identity="bot",
                participant_attributes={"sip.callID": "1"},
            )
        },
        "availability: attributes sip.* are set by the SIP transport alone",
    ),
    ({"update_job": agent.UpdateJobStatus(job_id="x", status=77)}, "update_job: status 77"),  # type: ignore[arg-type]
    ({}, "a WorkerMessage says nothing that is known here"),
]


@pytest.mark.parametrize(("message", "reason"), BAD, ids=[reason[:30] for _, reason in BAD])
async def test_a_bad_message_ends_its_worker_alone(
    house: House, message: dict[str, Any], reason: str
) -> None:
    good, bad = await house.worker(agent_name="good"), await house.worker()
    await bad.say(**message)
    code, said = await bad.closed()
    assert code == POLICY_VIOLATION and said.startswith(reason)
    await house.dispatch("studio", "good")
    assert (await good.accept()).job.room.name == "studio"


@pytest.mark.parametrize(
    ("register", "reason"),
    [
        ({"type": 9}, "register: job type 9 is not known"),
        ({"agent_name": "x" * 300}, "register: agent_name exceeds limits"),
        ({"namespace": "a\x00b"}, "register: namespace holds control characters"),
    ],
)
async def test_a_bad_registration(house: House, register: dict[str, Any], reason: str) -> None:
    worker = await house.connect()
    await worker.say(register=agent.RegisterWorkerRequest(**register))
    code, said = await worker.closed()
    assert code == POLICY_VIOLATION and said.startswith(reason)


async def test_what_comes_before_register(house: House) -> None:
    worker = await house.connect()
    await worker.status(0.5)
    assert await worker.closed() == (POLICY_VIOLATION, "update_worker came before register")


@pytest.mark.parametrize("version", ["2", "99", "-1", "one"])
async def test_an_unknown_version(house: House, version: str) -> None:
    worker = await house.connect(f"?protocol={version}")
    code, reason = await worker.closed()
    assert code == POLICY_VIOLATION
    assert reason == f"worker protocol '{version}' is not known: 1 is spoken here"


@pytest.mark.parametrize(
    ("send", "reason"),
    [
        (lambda w: w.websocket.send_str("{}"), "a frame of text: send binary WorkerMessages"),
        (lambda w: w.websocket.send_bytes(b"\xff\xff"), "a frame is not a WorkerMessage"),
        (
            lambda w: w.websocket.send_bytes(bytes(socket.MAX_MESSAGE + 1)),
            "a frame is malformed or larger than",
        ),
    ],
)
async def test_frames_that_are_no_messages(house: House, send: Any, reason: str) -> None:
    worker = await house.worker()
    await send(worker)
    code, said = await worker.closed()
    assert code in (POLICY_VIOLATION, 1009)
    assert said.startswith(reason) or code == 1009


async def test_a_flood_of_status_ends_its_worker_alone(house: House) -> None:
    good, bad = await house.worker(agent_name="good"), await house.worker()

    async def flood() -> None:
        while True:
            await bad.status(0.5)

    flooding = asyncio.create_task(flood())
    assert await bad.closed() == (POLICY_VIOLATION, "more than 50 messages a second")
    flooding.cancel()
    await asyncio.gather(flooding, return_exceptions=True)
    await house.dispatch("studio", "good")
    assert (await good.accept()).job.room.name == "studio"


async def test_a_worker_that_drains_or_is_full_gets_nothing(house: House) -> None:
    full, draining = await house.worker(), await house.worker()
    await full.status(0.1, agent.WorkerStatus.WS_FULL)
    await draining.say(update_worker=agent.UpdateWorkerStatus(load=0.1, draining=True))
    for worker in (full, draining):  # both were heard
        await worker.say(ping=agent.WorkerPing())
        await worker.hear("pong")
    free = await house.worker()
    await house.join("studio", "caller")
    assert (await free.accept()).job.state.worker_id == free.worker_id


async def test_one_that_says_yes_and_never_comes(tmp_path: Path) -> None:
    async with open_house(tmp_path, join_timeout_s=1) as house:
        idle = house.serve(await house.worker())
        await house.join("studio", "caller")
        await until(lambda: bool(idle.assignments))
        second = await house.worker()
        assignment = await second.accept()
        assert assignment.job.id == idle.assignments[0].job.id
        await house.join("studio", "", assignment.token)
        await second.report(assignment.job.id, JobStatus.JS_SUCCESS)


async def test_workers_are_told_when_the_server_goes(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        async with aiohttp.ClientSession() as http:
            headers = {"Authorization": f"Bearer {worker_token(KEY, SECRET)}"}
            websocket = await http.ws_connect(f"{house.http_url}/agent", headers=headers)
            await websocket.send_bytes(
                agent.WorkerMessage(register=agent.RegisterWorkerRequest()).SerializeToString()
            )
            await websocket.receive_bytes()
            closing = asyncio.create_task(house.server.__aexit__())
            message = await websocket.receive(timeout=10)
            assert (message.data, message.extra) == (1001, "the server is shutting down")
            await websocket.close()
            await closing


async def test_one_that_does_not_read(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is cut off once too much waits for it; its jobs go on to the next."""
    monkeypatch.setattr(socket, "MAX_BURST", 4 << 20)
    deaf = await house.worker(agent_name="helper")
    deaf.websocket._response.connection.transport.pause_reading()  # type: ignore[union-attr]
    for number in range(40):
        if not house.workers:
            break
        await house.dispatch(f"studio-{number}", "helper", metadata="x" * (500 << 10))
    await until(lambda: not house.workers)


async def test_a_token_query_serves_as_well(house: House) -> None:
    token = api.AccessToken(KEY, SECRET).with_grants(api.VideoGrants(agent=True)).to_jwt()
    async with aiohttp.ClientSession() as http:
        websocket = await http.ws_connect(f"{house.http_url}/agent?access_token={token}")
        await websocket.close()
