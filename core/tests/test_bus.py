"""The bus in memory."""

import asyncio

import pytest

from roomful import bus as bus_module
from roomful.bus import MESSAGE_BYTES, MemoryBus


async def test_every_subscriber_of_the_topic_gets_it_in_order():
    bus = MemoryBus()
    async with (
        bus.subscribe("a") as first,
        bus.subscribe("a") as second,
        bus.subscribe("b") as other,
    ):
        for number in range(3):
            await bus.publish("a", bytes([number]))
        await bus.publish("b", b"b")

        assert [await anext(first) for _ in range(3)] == [b"\0", b"\1", b"\2"]
        assert await anext(second) == b"\0"
        assert await anext(other) == b"b"


async def test_reader_waits_for_what_comes():
    bus = MemoryBus()
    async with bus.subscribe("a") as subscription:
        reading = asyncio.ensure_future(anext(subscription))
        await asyncio.sleep(0)
        await bus.publish("a", b"x")

        assert await asyncio.wait_for(reading, 5) == b"x"


async def test_what_came_before_is_not_told():
    bus = MemoryBus()
    await bus.publish("a", b"early")
    async with bus.subscribe("a") as subscription:
        await bus.publish("a", b"late")

        assert await anext(subscription) == b"late"


async def test_slow_reader_loses_the_oldest(monkeypatch):
    monkeypatch.setattr(bus_module, "WAITING_MESSAGES", 2)
    bus = MemoryBus()
    async with bus.subscribe("a") as subscription:
        for number in range(4):
            await bus.publish("a", bytes([number]))

        assert await anext(subscription) == b"\2"


async def test_closing_ends_every_reader():
    bus = MemoryBus()
    async with bus.subscribe("a") as subscription:
        await bus.publish("a", b"x")
        await bus.close()

        assert [message async for message in subscription] == [b"x"]
    await bus.publish("a", b"y")


async def test_oversized_message_is_refused():
    with pytest.raises(ValueError, match="exceeds"):
        await MemoryBus().publish("a", bytes(MESSAGE_BYTES + 1))
