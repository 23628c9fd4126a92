"""Copies of data packets are shared out among rooms; what is taken too early is worked off."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from roomful.model.events import DataMessage
from roomful_webrtc.fan_out import (
    COPIES_BURST,
    COPIES_PER_S,
    COPIES_PER_TURN,
    ROOM_SHARE,
    Budget,
    FanOut,
)

MESSAGE = DataMessage(payload=b"x", reliable=True)


class Room:
    """Stands for a session with so many readers."""

    def __init__(self, readers: int) -> None:
        self.connections = dict.fromkeys(range(readers))
        self.relayed: list[DataMessage] = []

    def relay(self, message: DataMessage) -> None:
        self.relayed.append(message)


def room(readers: int) -> Any:
    return cast(Any, Room(readers))


def nothing() -> None:
    """Nobody waits for it."""


def test_a_debt_is_worked_off_by_time() -> None:
    budget = Budget(rate=100, burst=50)
    assert budget.debt_s(10.0) == 0
    budget.take(100)
    assert budget.debt_s(10.0) == pytest.approx(0.5)
    assert budget.debt_s(10.4) == pytest.approx(0.1)

    assert budget.debt_s(10.6) == 0


def test_time_that_was_not_used_fills_no_more_than_a_burst() -> None:
    budget = Budget(rate=100, burst=50)
    budget.debt_s(0.0)
    budget.debt_s(1000.0)
    budget.take(60)

    assert budget.debt_s(1000.0) == pytest.approx(0.1)


async def test_a_room_waits_for_its_share_and_the_others_do_not() -> None:
    fan_out, busy, quiet = FanOut(), room(50), room(50)
    now, waited = 1.0, 0.0
    for _ in range(1000):
        fan_out.relay(busy, MESSAGE, nothing)
        debt = fan_out.debt_s(busy, now)
        now, waited = now + debt, waited + debt
        assert fan_out.debt_s(quiet, now) == 0

    expected = (50_000 - COPIES_BURST * ROOM_SHARE) / (COPIES_PER_S * ROOM_SHARE)
    assert waited == pytest.approx(expected, rel=0.05)


async def test_all_rooms_together_wait_for_the_server() -> None:
    fan_out = FanOut()
    for _ in range(10):
        fan_out.relay(room(COPIES_BURST // 2), MESSAGE, nothing)

    assert fan_out.debt_s(room(1), 1.0) > 0


async def test_few_copies_are_sent_in_one_turn_of_the_loop() -> None:
    fan_out, there = FanOut(), room(COPIES_PER_TURN // 2)
    done: list[int] = []
    for number in range(6):
        fan_out.relay(there, MESSAGE, lambda number=number: done.append(number))
    turns: list[int] = []
    while len(there.relayed) < 6:
        await asyncio.sleep(0)
        turns.append(len(there.relayed))

    assert turns == [2, 4, 6]
    assert done == list(range(6))


async def test_a_packet_for_many_readers_has_a_turn_of_its_own() -> None:
    fan_out, there = FanOut(), room(1000)
    for _ in range(3):
        fan_out.relay(there, MESSAGE, nothing)
    await asyncio.sleep(0)

    assert len(there.relayed) == 1


async def test_a_room_that_is_gone_is_forgotten() -> None:
    fan_out, gone = FanOut(), room(1)
    fan_out.relay(gone, MESSAGE, nothing)
    await asyncio.sleep(0)
    del gone

    assert len(fan_out._rooms) == 0
