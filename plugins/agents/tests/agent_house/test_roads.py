"""Every road by which a room's dispatches come to be, and what the API shows of them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from livekit import api
from livekit.protocol import agent, models
from livekit.protocol.agent import JobStatus, JobType

from roomful.model.enums import DisconnectReason, ParticipantKind

from .conftest import KEY, SECRET, House, open_house, until

ONE_HOUR_S = 3600


async def test_a_room_that_starts_is_dispatched_to_an_unnamed_worker(house: House) -> None:
    worker = await house.worker(type=JobType.JT_ROOM)
    await house.join("studio", "caller")
    assignment = await worker.accept(
        participant_identity="bot",
        participant_name="Bot",
        participant_metadata="made of tin",
        participant_attributes={"mood": "good", "lk.agent_name": "somebody else"},
    )
    job = assignment.job
    assert job.id.startswith("AJ_") and job.dispatch_id.startswith("AD_")
    assert (job.room.name, job.state.worker_id) == ("studio", worker.worker_id)
    assert job.state.status == JobStatus.JS_RUNNING
    assert not job.HasField("participant")

    grants = await house.server.tokens.verify(assignment.token)
    assert (grants.identity, grants.name, grants.metadata) == ("bot", "Bot", "made of tin")
    assert grants.kind is ParticipantKind.AGENT and grants.agent and grants.room == "studio"
    assert grants.attributes == {"mood": "good", "lk.agent_name": ""}
    assert grants.can_publish and grants.can_update_own_metadata
    left_s = grants.expires_at - house.server.clock.wall_ms() / 1000
    assert ONE_HOUR_S - 60 < left_s <= ONE_HOUR_S

    await house.join("studio", "", assignment.token)
    [shown] = await house.dispatches("studio")
    assert [j.state.participant_identity for j in shown.state.jobs] == ["bot"]


async def test_an_agent_alone_does_not_keep_its_room(house: House) -> None:
    worker = await house.worker()
    async with house.client as client:
        await client.room.create_room(
            api.CreateRoomRequest(name="studio", empty_timeout=1, departure_timeout=1)
        )
    assignment = await worker.accept()
    session = await house.join("studio", "", assignment.token)
    await until(lambda: house.server.rooms.find("studio") is None)
    assert session.finished
    assert (await worker.hear("termination")).termination.job_id == assignment.job.id


@pytest.mark.parametrize("kind", [JobType.JT_PARTICIPANT, JobType.JT_PUBLISHER])
async def test_a_job_for_each_participant_or_publisher(house: House, kind: Any) -> None:
    worker = await house.worker(type=kind)
    await house.join("studio", "caller")
    if kind == JobType.JT_PUBLISHER:
        house.publish("studio", "caller")
        house.publish("studio", "caller", "TR_2")
    assignment = await worker.accept()
    assert assignment.job.type == kind
    assert assignment.job.participant.identity == "caller"
    await house.join("studio", "", assignment.token)
    await house.server.events.flush()
    [dispatch] = await house.dispatches("studio")
    assert len(dispatch.state.jobs) == 1, "an agent wants no agent"


async def test_the_api_dispatches_by_name_and_deletes(house: House) -> None:
    nameless = house.serve(await house.worker())
    worker = await house.worker(agent_name="helper")
    made = await house.dispatch("studio", "helper", metadata="who: me", attributes={"a": "b"})
    assert (made.agent_name, made.room, made.metadata) == ("helper", "studio", "who: me")
    assert made.state.created_at and not made.state.jobs

    assignment = await worker.accept()
    assert assignment.job.metadata == "who: me" and assignment.job.attributes == {"a": "b"}
    assert assignment.job.agent_name == "helper" and assignment.job.dispatch_id == made.id
    grants = await house.server.tokens.verify(assignment.token)
    assert grants.attributes["lk.agent_name"] == "helper"
    session = await house.join("studio", "", assignment.token)
    await house.join("studio", "caller")
    await until(lambda: bool(nameless.assignments))

    shown = {d.agent_name: d for d in await house.dispatches("studio")}
    assert set(shown) == {"", "helper"}, "a room made by the way has its automatic dispatch, too"
    assert [j.id for j in shown["helper"].state.jobs] == [assignment.job.id]

    async with house.client as client:
        found = await client.agent_dispatch.get_dispatch(made.id, "studio")
        assert found is not None and found.id == made.id
        gone = await client.agent_dispatch.delete_dispatch(made.id, "studio")
        assert gone.state.deleted_at
        assert await client.agent_dispatch.get_dispatch(made.id, "studio") is None
        with pytest.raises(api.TwirpError, match="no dispatch") as refused:
            await client.agent_dispatch.delete_dispatch(made.id, "studio")
    assert refused.value.code == "not_found"
    assert (await worker.hear("termination")).termination.job_id == assignment.job.id
    await until(lambda: grants.identity not in session.room.participants)
    assert "caller" in session.room.participants


async def test_a_token_brings_its_agents(house: House) -> None:
    nameless = house.serve(await house.worker())
    worker = await house.worker(agent_name="helper")
    token = (
        api.AccessToken(KEY, SECRET)
        .with_identity("caller")
        .with_grants(api.VideoGrants(room_join=True, room="studio"))
        .with_room_config(
            api.RoomConfiguration(
                agents=[api.RoomAgentDispatch(agent_name="helper", metadata="hello")]
            )
        )
        .to_jwt()
    )
    await house.join("studio", "", token)
    assignment = await worker.accept()
    assert assignment.job.metadata == "hello"
    assert not nameless.jobs, "options that name agents are instead of automatic dispatch"
    assert [d.agent_name for d in await house.dispatches("studio")] == ["helper"]


async def test_create_room_brings_its_agents_and_refuses_bad_ones(house: House) -> None:
    worker = await house.worker(agent_name="helper")
    dispatch = api.RoomAgentDispatch(agent_name="helper")
    async with house.client as client:
        await client.room.create_room(api.CreateRoomRequest(name="studio", agents=[dispatch]))
        assert (await worker.accept()).job.room.name == "studio"
        large = api.RoomAgentDispatch(metadata="x" * (300 << 10))
        for bad, problem in (
            ([api.RoomAgentDispatch(agent_name="x" * 300)], "dispatch 1: agent_name exceeds"),
            ([api.RoomAgentDispatch(metadata="x" * (513 << 10))], "metadata size exceeds"),
            ([large, large], "dispatches together exceed"),
            ([dispatch] * 101, "101 dispatches, at most 100"),
        ):
            request = api.CreateRoomRequest(name="other", agents=bad)
            with pytest.raises(api.TwirpError, match=problem) as refused:
                await client.room.create_room(request)
            assert refused.value.code == "invalid_argument"
    assert house.server.rooms.find("other") is None


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"metadata": "x" * (513 << 10)}, "metadata size exceeds limits"),
        ({"attributes": {"a": "x" * (65 << 10)}}, "attribute size exceeds limits"),
        ({"agent_name": "x" * 257}, "agent_name exceeds limits"),
        ({"agent_name": "a\nb"}, "control characters"),
        ({"restart_policy": 9}, "restart_policy 9"),
    ],
)
async def test_the_api_refuses_what_is_out_of_bounds(
    house: House, fields: dict[str, Any], problem: str
) -> None:
    with pytest.raises(api.TwirpError, match=problem) as refused:
        await house.dispatch("studio", **fields)
    assert refused.value.code == "invalid_argument"
    assert house.server.rooms.find("studio") is None


async def test_rooms_that_are_not_there(tmp_path: Path) -> None:
    async with open_house(tmp_path, auto_create=False) as house:
        with pytest.raises(api.TwirpError, match="room does not exist") as refused:
            await house.dispatch("studio", "helper")
        assert refused.value.code == "not_found"
        with pytest.raises(api.TwirpError, match="room does not exist"):
            await house.dispatches("studio")


async def test_the_api_speaks_json_and_asks_for_an_admin_of_the_room(house: House) -> None:
    def headers(**video: Any) -> dict[str, str]:
        grants = api.VideoGrants(**video)
        token = api.AccessToken(KEY, SECRET).with_identity("me").with_grants(grants).to_jwt()
        return {"Authorization": f"Bearer {token}"}

    url = f"{house.http_url}/twirp/livekit.AgentDispatchService/CreateDispatch"
    body = {"room": "studio", "agentName": "helper", "unknown": 1}
    async with aiohttp.ClientSession() as http:
        admin = headers(room_admin=True, room="studio")
        async with http.post(url, json=body, headers=admin) as answer:
            made = json.loads(await answer.text())
            assert answer.status == 200, made
            assert made["agent_name"] == "helper" and made["id"].startswith("AD_")
        for video in ({"room_admin": True, "room": "other"}, {"room_join": True, "room": "studio"}):
            async with http.post(url, json=body, headers=headers(**video)) as answer:
                assert answer.status == 401


async def test_jobs_are_told_as_events(house: House) -> None:
    worker = await house.worker()
    await house.join("studio", "caller")
    assignment = await worker.accept(participant_identity="bot")
    await house.join("studio", "", assignment.token)
    await worker.report(assignment.job.id, JobStatus.JS_FAILED, "out of words")
    plugin_events = []

    while len(plugin_events) < 2:
        plugin_events = await house.events()
    started, ended = plugin_events
    assert [started.name, ended.name] == ["agent_job_started", "agent_job_ended"]
    job: Any = started.webhook["job"]
    assert job["id"] == assignment.job.id and job["state"]["status"] == "JS_RUNNING"
    job = ended.webhook["job"]
    assert (job["state"]["status"], job["state"]["error"]) == ("JS_FAILED", "out of words")
    room: Any = ended.webhook["room"]
    assert room["name"] == "studio" and ended.room is not None
    [dispatch] = await house.dispatches("studio")
    [kept] = dispatch.state.jobs
    assert kept.state.status == JobStatus.JS_FAILED and kept.state.ended_at


async def test_two_hundred_dispatches_follow_the_loads(house: House) -> None:
    light = house.serve(await house.worker(agent_name="helper"))
    heavy = house.serve(await house.worker(agent_name="helper"))
    await light.status(0.2)
    await heavy.status(0.6)
    for number in range(200):
        await house.dispatch(f"studio-{number % 4}", "helper")
    await until(lambda: len(light.assignments) + len(heavy.assignments) == 200)
    # binomial, n = 200, p = 0.8 / 1.2: 99 % of all runs are within
    assert 116 <= len(light.assignments) <= 150


async def test_permissions_are_what_the_worker_asked_within_its_token(house: House) -> None:
    worker = await house.connect(can_publish=False)
    await worker.register(
        allowed_permissions=models.ParticipantPermission(
            can_subscribe=True, can_publish=True, hidden=True, recorder=True
        )
    )
    await house.join("studio", "caller")
    grants = await house.server.tokens.verify((await worker.accept()).token)
    assert grants.can_subscribe and grants.hidden and not grants.recorder
    assert grants.can_publish is False and grants.can_publish_data is False


async def test_a_worker_that_is_killed_before_its_agent_joined(house: House) -> None:
    first = await house.worker()
    await house.join("studio", "caller")
    assignment = await first.accept()
    second = await house.worker()
    await first.websocket.close()
    again = await second.accept()
    assert again.job.id == assignment.job.id
    [dispatch] = await house.dispatches("studio")
    assert [j.state.worker_id for j in dispatch.state.jobs] == [second.worker_id]


async def test_a_worker_that_comes_back_reports_its_jobs(house: House) -> None:
    first = await house.worker()
    await house.join("studio", "caller")
    assignment = await first.accept()
    session = await house.join("studio", "", assignment.token)
    await first.websocket.close()
    second = await house.worker()
    await second.say(migrate_job=agent.MigrateJobRequest(job_ids=[assignment.job.id]))
    [dispatch] = await house.dispatches("studio")
    while dispatch.state.jobs[0].state.worker_id != second.worker_id:
        await asyncio.sleep(0.1)
        [dispatch] = await house.dispatches("studio")
    await session.remove(f"agent-{assignment.job.id}", DisconnectReason.CLIENT_INITIATED)
    assert (await second.hear("termination")).termination.job_id == assignment.job.id
