"""The log: order, durability before telling, cursors, bounds, and what a kill leaves behind."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from roomful.clock import SystemClock
from roomful.errors import InvalidArgument, Unavailable
from roomful.eventlog import EventLog, EventRecord
from roomful.eventlog import log as log_module
from roomful.eventlog.record import EventRow, key_of
from roomful.model.events import PluginEvent, RoomFinished
from roomful.store import Store, memory_store, open_store


@pytest.fixture
async def store():
    store = memory_store()
    yield store
    await store.close()


@pytest.fixture
def told() -> list[EventRecord]:
    return []


@pytest.fixture
async def events(store, clock, told):
    events = EventLog(store, clock, told.append)
    await events.start()
    yield events
    await events.stop()


def note(number: int, size: int = 0) -> PluginEvent:
    return PluginEvent("note", None, {"n": number, "fill": "x" * size})


def numbers(records: list[EventRecord]) -> list[object]:
    return [r.event.webhook["n"] for r in records if isinstance(r.event, PluginEvent)]


async def test_events_are_read_as_they_were_told_in_order(events, told, scene, clock):
    for event in scene.every():
        events.submit(event)
    await events.flush()

    records = await events.read(0)

    assert records == told
    assert [record.event for record in records] == scene.every()
    assert [record.seq for record in records] == list(range(1, 10))
    assert len({record.id for record in records}) == 9
    assert all(record.id.startswith("EV_") for record in records)
    assert {record.created_at_ms for record in records} == {clock.now_ms}
    assert (records[1].name, records[1].room, records[7].room) == (
        "participant_joined", "main", "",
    )  # fmt: skip
    assert events.last_seq == 9


async def test_pages_follow_each_other(events):
    for number in range(10):
        events.submit(note(number))
    await events.flush()

    first = await events.read(0, limit=4)
    second = await events.read(first[-1].seq, limit=100)

    assert numbers(first + second) == list(range(10))


async def test_nobody_is_told_what_is_not_written(store, clock, told, monkeypatch):
    events = EventLog(store, clock, told.append)
    await events.start()
    apply = store.backend.apply

    async def full(*arguments):
        raise Unavailable("disk full")

    monkeypatch.setattr(log_module, "RETRY_S", 0)
    store.backend.apply = full
    events.submit(note(1))
    for _ in range(10):
        await asyncio.sleep(0)
    before = list(told)
    store.backend.apply = apply
    events.submit(note(2))
    await events.flush()
    await events.stop()

    assert before == []
    assert numbers(told) == [1, 2]
    assert told == await events.read(0)


async def test_stop_writes_what_is_waiting(store, clock, told):
    events = EventLog(store, clock, told.append)
    await events.start()
    for number in range(2000):
        events.submit(note(number))

    await events.stop()

    assert numbers(told) == list(range(2000))


async def test_waiter_wakes_when_there_is_more(events):
    waiter = asyncio.ensure_future(events.wait(0))
    await asyncio.sleep(0)
    assert not waiter.done()

    events.submit(note(1))

    await asyncio.wait_for(waiter, 5)


async def test_event_that_cannot_be_written_is_its_makers_fault(events):
    with pytest.raises(InvalidArgument):
        events.submit(PluginEvent("odd", None, {"x": object()}))
    events.submit(note(1))
    await events.flush()

    assert numbers(await events.read(0)) == [1]


async def test_too_many_waiting_drops_the_newest_and_counts(events, monkeypatch):
    monkeypatch.setattr(log_module, "WAITING_EVENTS", 3)
    for number in range(5):
        events.submit(note(number))
    await events.flush()

    assert numbers(await events.read(0)) == [0, 1, 2]
    assert events.dropped == 2


class TestCursor:
    async def test_new_cursor_begins_at_the_end(self, events):
        events.submit(note(1))
        await events.flush()

        assert (await events.cursor("hook")).position == 1

    async def test_position_outlives_the_log(self, store, clock, tmp_path):
        for expected in (0, 3, 3):
            store = open_store(tmp_path)
            events = EventLog(store, clock)
            await events.start()
            cursor = await events.cursor("hook")
            assert cursor.position == expected
            if not expected:
                for number in range(5):
                    events.submit(note(number))
                await events.flush()
                await cursor.advance(3)
                await cursor.advance(2)
            else:
                assert numbers(await events.read(cursor.position)) == [3, 4]
            await events.stop()
            await store.close()

    async def test_cursor_of_nobody_is_forgotten(self, events):
        kept = await events.cursor("hook:a")
        await events.cursor("hook:b")
        await events.cursor("other")
        events.submit(note(1))
        await events.flush()

        await events.forget_cursors("hook:", keep=["hook:a"])

        assert (await events.cursor("hook:b")).position == 1
        assert (await events.cursor("hook:a")) is kept
        assert (await events.cursor("other")).position == 0


class TestBounds:
    @pytest.fixture(autouse=True)
    def small(self, monkeypatch):
        monkeypatch.setattr(log_module, "TRIM_EVERY", 10)
        monkeypatch.setattr(log_module, "KEEP_EVENTS", 50)

    async def fill(self, events, count: int, size: int = 0) -> None:
        for number in range(count):
            events.submit(note(number, size))
            if number % 10 == 9:
                await events.flush()
        await events.flush()

    async def test_oldest_go_when_there_are_too_many(self, events):
        await self.fill(events, 200)
        await events.stop()

        assert len(await events.read(0, limit=1000)) <= 60
        assert events.last_seq == 200
        assert events.dropped == 0, "no cursor was waiting for them"

    async def test_what_a_cursor_still_wanted_is_counted(self, events):
        cursor = await events.cursor("hook")
        await self.fill(events, 100)
        await cursor.advance(70)
        await self.fill(events, 10)
        await events.stop()

        assert events.dropped == 50
        assert (await events.read(cursor.position))[0].seq == 71

    async def test_too_many_bytes_count_too(self, events, monkeypatch):
        monkeypatch.setattr(log_module, "KEEP_BYTES", 20_000)
        await self.fill(events, 40, size=1000)
        await events.stop()

        assert 10 <= len(await events.read(0, limit=1000)) <= 25

    async def test_what_all_have_passed_goes_after_a_day(self, events, clock):
        fast, slow = await events.cursor("fast"), await events.cursor("slow")
        await self.fill(events, 20)
        await fast.advance(20)
        await slow.advance(15)
        clock.now_ms += log_module.KEEP_PASSED_MS - 1
        await self.fill(events, 10)
        before = (await events.read(0))[0].seq

        clock.now_ms += 2
        await self.fill(events, 10)
        await events.stop()

        assert before == 1
        assert (await events.read(0))[0].seq == 16, "the slow one has not passed it"
        assert events.dropped == 0


async def test_line_that_cannot_be_read_is_no_wall(store, clock):
    store_table = store.table
    tables = {}
    store.table = lambda name, *a, **k: tables.setdefault(name, store_table(name, *a, **k))
    events = EventLog(store, clock)
    await tables["core.events"].put(EventRow(key_of(1), "EV_1", clock.now_ms, "garbage"))
    await events.start()
    events.submit(note(2))
    await events.flush()

    records = await events.read(0)
    await events.stop()

    assert [(record.seq, record.name) for record in records] == [(1, ""), (2, "note")]


async def test_unclean_end_is_completed_at_the_next_start(store, clock, scene, tmp_path):
    first = open_store(tmp_path)
    events = EventLog(first, clock)
    await events.start()
    for event in (scene.started(), scene.joined(), scene.joined("bob"), scene.left("bob")):
        events.submit(event)
    await events.flush()
    await events.stop()
    await first.close()

    second, told = open_store(tmp_path), []
    events = EventLog(second, clock, told.append)
    added = await events.start()
    await events.stop()
    await second.close()

    assert added == 2
    assert [record.name for record in told] == ["participant_left", "room_finished"]
    assert isinstance(told[-1].event, RoomFinished)


JOINS = """
import asyncio, sys
from pathlib import Path
from runpy import run_path
from roomful.clock import SystemClock
from roomful.eventlog import EventLog
from roomful.store import open_store

Scene = run_path(sys.argv[2])["Scene"]

async def main():
    events = EventLog(open_store(Path(sys.argv[1])), SystemClock())
    await events.start()
    for number in range(100_000):
        scene = Scene(f"room{number}")
        events.submit(scene.started())
        for identity in "abc":
            events.submit(scene.joined(identity))
        for identity in "ab":
            events.submit(scene.left(identity))
        if number % 3:
            events.submit(scene.left("c"))
            events.submit(scene.finished())
        await events.flush()
        print(number, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("rooms", [1, 12])
def test_killed_server_leaves_none_missing_and_all_paired(tmp_path, rooms):
    script = [
        sys.executable,
        "-c",
        JOINS,
        str(tmp_path),
        str(Path(__file__).with_name("conftest.py")),
    ]
    process = subprocess.Popen(script, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process, process.stdout as lines:
        last = [int(next(lines)) for _ in range(rooms)][-1]
        os.kill(process.pid, signal.SIGKILL)
        lines.read()

    records = asyncio.run(all_after_restart(tmp_path))

    started = [r.room for r in records if r.name == "room_started"]
    assert started[: last + 1] == [f"room{number}" for number in range(last + 1)]
    assert Counter(started) == Counter(r.room for r in records if r.name == "room_finished")
    people = [
        Counter(r.event.participant.sid for r in records if r.name == name)
        for name in ("participant_joined", "participant_left")
    ]
    assert people[0] == people[1]
    assert set(people[0].values()) == {1}


async def all_after_restart(path: Path) -> list[EventRecord]:
    store: Store = open_store(path)
    events = EventLog(store, SystemClock())
    await events.start()
    records: list[EventRecord] = []
    while page := await events.read(records[-1].seq if records else 0, limit=1000):
        records += page
    await events.stop()
    await store.close()
    return records
