"""Every RoomService answer, field by field, against answers recorded from a reference.

``pytest tests/interop/test_room_service_answers.py --update-golden`` records them anew from the
server that ``ROOMFUL_TEST_SERVER`` names (see `data/README.md`).
"""

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest
from livekit import api, rtc

from .departures import accepted
from .guest import Guest, guest
from .recording import Answer, Tokens, differences, make
from .room_calls import CALLS, JSON, PROTOBUF
from .server import RoomServer

DATA = Path(__file__).with_name("data")
ROOM_SERVICE = DATA / "room_service_reference.json"


@pytest.mark.parametrize("content_type", [JSON, PROTOBUF], ids=["json", "protobuf"])
async def test_answers_agree_with_the_reference(
    room_server: RoomServer, room_name: str, content_type: str, update_golden: bool
) -> None:
    answers = await _answers(room_server, room_name, content_type)

    recorded = json.loads(ROOM_SERVICE.read_text()) if ROOM_SERVICE.exists() else {}
    if update_golden:
        assert not room_server.ours, "answers are recorded from a reference: ROOMFUL_TEST_SERVER"
        recorded[content_type] = answers
        ROOM_SERVICE.write_text(json.dumps(recorded, indent=1, sort_keys=True) + "\n")
    found = [
        f"{call}: {line}"
        for call, reference in recorded[content_type].items()
        for line in differences(answers[call], reference)
        if not (room_server.ours and accepted(call, line))
    ]
    assert not found, "\n" + "\n".join(found)


async def _answers(server: RoomServer, room: str, content_type: str) -> dict[str, Answer]:
    """The answers to all calls, by the call's name."""
    tokens = Tokens(server, room, f"{room}-empty", f"{room}-new")
    answers: dict[str, Answer] = {}
    async with server.api() as control, aiohttp.ClientSession() as session:
        await control.room.create_room(api.CreateRoomRequest(name=room, metadata="made"))
        await control.room.create_room(api.CreateRoomRequest(name=tokens.empty))
        async with (
            guest(server, "talker", room) as talker,
            guest(server, "listener", room) as other,
        ):
            names = tokens.names | {"$MIC": await _settled(control, room, talker, other)}
            for call in CALLS:
                answers[call.name] = await make(session, call, tokens, names, content_type)
    return answers


async def _settled(control: api.LiveKitAPI, room: str, talker: Guest, listener: Guest) -> str:
    """Publish, prepare methods, wait until the participants stand still; the microphone's sid."""

    async def greet(call: rtc.RpcInvocationData) -> str:
        return f"got {call.payload}"

    async def fail(_: rtc.RpcInvocationData) -> str:
        raise rtc.RpcError(4711, "as asked", "more")

    async def sleep(_: rtc.RpcInvocationData) -> str:
        await asyncio.sleep(3)
        return "too late"

    listener.local.register_rpc_method("greet", greet)
    listener.local.register_rpc_method("fail", fail)
    listener.local.register_rpc_method("sleep", sleep)
    microphone = await talker.speak()
    await (await listener.ear("talker")).hears_tone(440)
    await talker.show()
    await (await listener.eye("talker")).sees_bars()
    await talker.meets("listener")

    async def counted() -> bool:
        rooms = await control.room.list_rooms(api.ListRoomsRequest(names=[room]))
        return rooms.rooms[0].num_participants == 2 and rooms.rooms[0].num_publishers == 1

    for _ in range(100):
        if await counted():
            break
        await asyncio.sleep(0.1)
    return microphone.sid
