"""Live rooms: sessions, the manager and the door, with a transport that only remembers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from roomful.auth.grants import Grants
from roomful.clock import SystemClock
from roomful.errors import (
    ConfigError,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unimplemented,
)
from roomful.model.enums import DisconnectReason, ParticipantKind
from roomful.model.events import (
    DataMessage,
    DataReceived,
    LifeCycleEvent,
    Notice,
    ParticipantChanged,
    ParticipantJoined,
    ParticipantLeft,
    RoomChanged,
    RoomFinished,
    RoomOptions,
    RoomStarted,
)
from roomful.model.participant import Participant
from roomful.room.door import Door
from roomful.room.factories import Factories, JoinRequest
from roomful.room.manager import RoomManager
from roomful.room.session import RoomSession


@dataclass
class Remembering:
    """A connection that keeps what it is told."""

    told: list[Notice] = field(default_factory=list)
    closed: list[DisconnectReason] = field(default_factory=list)
    broken: bool = False

    def deliver(self, notice: Notice) -> None:
        if self.broken:
            raise RuntimeError("broken on purpose")
        self.told.append(notice)

    async def close(self, reason: DisconnectReason) -> None:
        self.closed.append(reason)


class RememberingFactory:
    transport = "test"
    kinds = frozenset(ParticipantKind)
    fails = False

    async def create(
        self, session: RoomSession, participant: Participant, request: JoinRequest
    ) -> Remembering:
        if self.fails:
            raise ConnectionError("no way")
        connection = Remembering()
        session.connect(participant.identity, connection)
        session.joined(participant.identity)
        session.activate(participant.identity)
        return connection


@dataclass
class House:
    """A manager and a door over it."""

    rooms: RoomManager
    door: Door
    factories: Factories
    factory: RememberingFactory
    log: list[LifeCycleEvent]

    async def join(self, identity: str, into: str = "studio", **grants: object) -> Remembering:
        connection = await self.door.join(request(identity, into, **grants))
        assert isinstance(connection, Remembering)
        return connection


def request(identity: str, into: str = "studio", **grants: object) -> JoinRequest:
    grants = {"room_join": True, "room": into, **grants}
    return JoinRequest("test", into, identity, Grants("key", identity=identity, **grants))  # type: ignore[arg-type]


def make_house(*, auto_create: bool = True, limit: int = 0, **options: object) -> House:
    log: list[LifeCycleEvent] = []

    async def prepare(name: str, options: RoomOptions, grants: Grants | None) -> RoomOptions:
        return options

    async def check(request: JoinRequest) -> None:
        if request.identity == "banned":
            raise PermissionDenied("you are banned")

    defaults = RoomOptions(**{"departure_timeout_s": 0, **options})  # type: ignore[arg-type]
    rooms = RoomManager(SystemClock(), defaults, log.append, prepare)
    factories, factory = Factories(), RememberingFactory()
    factories.register(factory, "testing")
    door = Door(rooms, factories, SystemClock(), check, auto_create=auto_create, max_participants=limit)
    return House(rooms, door, factories, factory, log)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    made = make_house()
    yield made
    await made.rooms.close(DisconnectReason.SERVER_SHUTDOWN)


async def until(condition: object, seconds: float = 2.0) -> None:
    """Wait for something the loop will bring about."""
    async with asyncio.timeout(seconds):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.001)


async def test_join_makes_the_room_and_logs_in_order(house: House):
    await house.join("ada")

    assert [type(e) for e in house.log] == [RoomStarted, ParticipantJoined]
    assert house.rooms.of("studio").info.num_participants == 1


async def test_joined_and_left_are_paired_and_the_vacant_room_ends(house: House):
    await house.join("ada")

    await house.rooms.of("studio").remove("ada", DisconnectReason.CLIENT_INITIATED)
    await until(lambda: house.rooms.find("studio") is None)

    assert [type(e) for e in house.log][-2:] == [ParticipantLeft, RoomFinished]


async def test_room_waits_departure_timeout_while_somebody_comes_back():
    house = make_house(departure_timeout_s=60)
    await house.join("ada")
    sid = house.rooms.of("studio").room.sid

    await house.rooms.of("studio").remove("ada", DisconnectReason.CLIENT_INITIATED)
    await house.join("ben")

    assert house.rooms.of("studio").room.sid == sid
    await house.rooms.close(DisconnectReason.SERVER_SHUTDOWN)


async def test_same_identity_replaces_the_older_participant(house: House):
    first = await house.join("ada")
    second = await house.join("ada")

    assert first.closed == [DisconnectReason.DUPLICATE_IDENTITY]
    assert second.closed == []
    assert house.rooms.of("studio").info.num_participants == 1


async def test_many_joins_of_one_identity_at_once_leave_one(house: House):
    connections = await asyncio.gather(*(house.join("ada") for _ in range(8)))

    assert sum(1 for c in connections if not c.closed) == 1
    joined = sum(isinstance(e, ParticipantJoined) for e in house.log)
    left = sum(isinstance(e, ParticipantLeft) for e in house.log)
    assert joined == left + 1


async def test_notices_reach_everybody_in_order(house: House):
    ada = await house.join("ada")
    await house.join("ben")

    house.rooms.of("studio").update_participant("ben", metadata="one")
    house.rooms.of("studio").update_participant("ben", metadata="two")

    said = [n.participant.metadata for n in ada.told if isinstance(n, ParticipantChanged)]
    assert said[-2:] == ["one", "two"]


async def test_broken_connection_ends_its_participant_only(house: House):
    ada, ben = await house.join("ada"), await house.join("ben")
    ada.broken = True

    house.rooms.of("studio").update_participant("ben", metadata="m")
    await until(lambda: ada.closed)

    assert ben.closed == []
    assert list(house.rooms.of("studio").room.participants) == ["ben"]


async def test_failed_connection_leaves_no_trace(house: House):
    house.factory.fails = True

    with pytest.raises(ConnectionError):
        await house.join("ada")

    assert house.rooms.of("studio").room.participants == {}


async def test_data_goes_to_its_destinations_and_never_back(house: House):
    ada, ben, cyd = [await house.join(name) for name in ("ada", "ben", "cyd")]
    session = house.rooms.of("studio")

    session.relay(DataMessage(b"all", True, "PA", "ada", 1))
    session.relay(DataMessage(b"ben", True, "PA", "ada", 2, frozenset({"ben", "ada"})))

    def got(connection: Remembering) -> list[bytes]:
        return [n.message.payload for n in connection.told if isinstance(n, DataReceived)]

    assert got(ada) == []
    assert got(ben) == [b"all", b"ben"]
    assert got(cyd) == [b"all"]


async def test_tap_takes_the_messages_for_its_identity(house: House):
    await house.join("ada")
    session = house.rooms.of("studio")
    tapped: list[bytes] = []
    session.taps["server"] = lambda message: tapped.append(message.payload)

    session.relay(DataMessage(b"x", True, "PA", "ada", 1, frozenset({"server"})))

    assert tapped == [b"x"]


async def test_counts_are_told_late_and_metadata_at_once(house: House):
    ada = await house.join("ada")
    await house.join("ben")
    assert not any(isinstance(n, RoomChanged) for n in ada.told)

    house.rooms.of("studio").set_metadata("m")

    (told,) = [n for n in ada.told if isinstance(n, RoomChanged)]
    assert (told.room.metadata, told.room.num_participants) == ("m", 2)


async def test_full_room_refuses(house: House):
    await house.rooms.get_or_create("small", RoomOptions(max_participants=1))
    await house.join("ada", "small")

    with pytest.raises(ResourceExhausted, match="max_participants is 1"):
        await house.join("ben", "small")


async def test_full_server_refuses():
    house = make_house(limit=2)
    await house.join("ada", "one")
    await house.join("ben", "two")

    with pytest.raises(ResourceExhausted, match=r"\[limits\] max_participants is 2"):
        await house.join("cyd", "three")
    await house.rooms.close(DisconnectReason.SERVER_SHUTDOWN)


async def test_recorders_do_not_count_towards_the_limit(house: House):
    await house.rooms.get_or_create("small", RoomOptions(max_participants=1))
    await house.join("ada", "small")

    await house.join("rec", "small", recorder=True, hidden=True)

    assert len(house.rooms.of("small").room.participants) == 2


@pytest.mark.parametrize(
    ("identity", "grants", "error"),
    [
        ("ada", {"room_join": False}, Unauthenticated),
        ("ada", {"room": "other"}, Unauthenticated),
        ("", {}, InvalidArgument),
        ("a" * 257, {}, InvalidArgument),
        ("a\n", {}, InvalidArgument),
        ("banned", {}, PermissionDenied),
        ("ada", {"attributes": {"sip.x": "1"}}, PermissionDenied),
    ],
)
async def test_door_refuses(house: House, identity: str, grants: dict[str, object], error: type):
    with pytest.raises(error):
        await house.join(identity, **grants)
    assert house.rooms.find("studio") is None


async def test_missing_room_is_not_found_when_joins_make_none():
    house = make_house(auto_create=False)

    with pytest.raises(NotFound, match="requested room does not exist"):
        await house.join("ada")
    await house.join("ada", room_create=True)
    await house.rooms.close(DisconnectReason.SERVER_SHUTDOWN)


async def test_removed_factory_makes_its_transport_refuse(house: House):
    house.factories.unregister("test")

    with pytest.raises(Unimplemented, match="no transport 'test'"):
        await house.join("ada")


async def test_two_factories_of_one_transport_name_both(house: House):
    with pytest.raises(ConfigError, match=r"'testing' and 'other'"):
        house.factories.register(RememberingFactory(), "other")


async def test_deleting_a_room_tells_everybody_why(house: House):
    ada = await house.join("ada")

    await house.rooms.delete("studio")

    assert ada.closed == [DisconnectReason.ROOM_DELETED]
    with pytest.raises(NotFound):
        await house.rooms.delete("studio")


async def test_room_is_made_once_when_many_ask_at_once(house: House):
    sessions = await asyncio.gather(*(house.rooms.get_or_create("r") for _ in range(10)))

    assert len({id(s) for s in sessions}) == 1
    assert sum(isinstance(e, RoomStarted) for e in house.log) == 1


async def test_reliable_messages_are_kept_for_those_who_resume(house: House):
    await house.join("ada")
    session = house.rooms.of("studio")
    for number in (1, 2, 3):
        session.relay(DataMessage(b"%d" % number, True, "PA_x", "x", number))

    now = session.clock.monotonic()
    missed = [m.payload for m in session.reliable.since("ada", {"PA_x": 1}, now)]
    late = [m.payload for m in session.reliable.since("ada", {}, now + 3)]

    assert missed == [b"2", b"3"]
    assert late == []
