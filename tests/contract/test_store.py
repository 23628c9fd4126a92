"""What every store must hold, run over those we have; and what a file must survive."""

import asyncio
import contextvars
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field, replace
from enum import IntEnum
from pathlib import Path

import pytest

from roomful.errors import ConfigError, LocalProtocolError
from roomful.store import Conflict, Store, memory_store, open_store, sealed


class Colour(IntEnum):
    RED = 1
    BLUE = 2


@dataclass(frozen=True, slots=True)
class Part:
    name: str
    size: float = 0.5


@dataclass(frozen=True, slots=True)
class Trunk:
    id: str
    numbers: tuple[str, ...] = ()
    region: str | None = None
    colour: Colour = Colour.RED
    parts: tuple[Part, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    password: str = sealed(default="")


FULL = Trunk(
    "ST_1",
    ("+491", "+492"),
    "eu",
    Colour.BLUE,
    (Part("ä\N{SNOWMAN}", 1.25),),
    {"a": "b"},
    "hunter2",
)


def trunks(store: Store, **options):
    return store.table("sip.trunks", Trunk, key="id", indexes=("numbers", "region"), **options)


class StoreContract:
    """Subclasses supply `store`, an empty one."""

    async def test_row_comes_back_as_it_was_put(self, store):
        table = trunks(store)

        await table.put(FULL)

        assert await table.get("ST_1") == FULL

    async def test_missing_row_is_none(self, store):
        table = trunks(store)

        assert await table.get("ST_9") is None
        assert await table.entry("ST_9") is None

    async def test_put_replaces_and_delete_removes(self, store):
        table = trunks(store)
        await table.put(FULL)

        await table.put(replace(FULL, numbers=("+493",)))
        changed = await table.get("ST_1")
        await table.delete("ST_1")

        assert changed is not None
        assert changed.numbers == ("+493",)
        assert await table.get("ST_1") is None
        await table.delete("ST_1")

    async def test_row_is_found_by_each_value_of_an_index(self, store):
        table = trunks(store)
        await table.put(FULL)
        await table.put(Trunk("ST_2", ("+492",), "us"))

        assert [row.id for row in await table.find(numbers="+491")] == ["ST_1"]
        assert [row.id for row in await table.find(numbers="+492")] == ["ST_1", "ST_2"]
        assert [row.id for row in await table.find(region="us")] == ["ST_2"]
        assert await table.find(numbers="+499") == []

    async def test_changed_and_deleted_rows_leave_the_index(self, store):
        table = trunks(store)
        await table.put(FULL)
        await table.put(Trunk("ST_2", ("+491",)))

        await table.put(replace(FULL, numbers=("+495",)))
        await table.delete("ST_2")

        assert await table.find(numbers="+491") == []
        assert [row.id for row in await table.find(numbers="+495")] == ["ST_1"]

    async def test_pages_follow_each_other_in_the_order_of_keys(self, store):
        table = trunks(store)
        keys = [f"ST_{number:02}" for number in range(25)]
        for key in sorted(keys, key=lambda key: key[::-1]):
            await table.put(Trunk(key, ("+1",)))

        for index in ({}, {"numbers": "+1"}):
            seen: list[str] = []
            while page := await table.find(after=seen[-1] if seen else None, limit=10, **index):
                seen += [row.id for row in page]
            assert seen == keys

    async def test_find_by_what_is_no_index_is_a_bug(self, store):
        with pytest.raises(TypeError, match="found by one of"):
            await trunks(store).find(colour="1")

    async def test_stale_revision_is_refused_and_writes_nothing(self, store):
        table = trunks(store)
        rev = await table.put(FULL)
        await table.put(replace(FULL, region="us"), if_rev=rev)

        with pytest.raises(Conflict):
            await table.put(replace(FULL, region="asia"), if_rev=rev)
        with pytest.raises(Conflict):
            await table.delete("ST_1", if_rev=rev)

        entry = await table.entry("ST_1")
        assert entry is not None
        assert (entry.row.region, entry.rev) == ("us", rev + 1)

    async def test_revision_zero_means_only_if_it_is_new(self, store):
        table = trunks(store)

        await table.put(FULL, if_rev=0)

        with pytest.raises(Conflict):
            await table.put(FULL, if_rev=0)

    async def test_of_two_racing_writers_one_wins(self, store):
        table = trunks(store)
        rev = await table.put(FULL)

        results = await asyncio.gather(
            *(table.put(replace(FULL, region=str(n)), if_rev=rev) for n in range(8)),
            return_exceptions=True,
        )

        assert sum(isinstance(result, Conflict) for result in results) == 7

    async def test_tables_do_not_see_each_other(self, store):
        ours, theirs = trunks(store), store.table("other.rows", Trunk, key="id")
        await ours.put(FULL)

        assert await theirs.find() == []
        assert (await ours.extent()).rows == 1
        assert (await theirs.extent()).rows == 0

    async def test_name_is_opened_once(self, store):
        trunks(store)

        with pytest.raises(LocalProtocolError, match="open already"):
            trunks(store)

    async def test_trim_deletes_up_to_a_key(self, store):
        table = trunks(store)
        for number in range(5):
            await table.put(Trunk(f"ST_{number}", ("+1",)))

        assert await table.trim("ST_2") == 3

        assert [row.id for row in await table.find()] == ["ST_3", "ST_4"]
        assert [row.id for row in await table.find(numbers="+1")] == ["ST_3", "ST_4"]

    async def test_transaction_writes_all(self, store):
        table = trunks(store)

        async with store.transaction():
            await table.put(FULL)
            await table.put(Trunk("ST_2"))

        assert [row.id for row in await table.find()] == ["ST_1", "ST_2"]

    async def test_failing_transaction_writes_nothing(self, store):
        table = trunks(store)
        await table.put(FULL)

        with pytest.raises(ZeroDivisionError):
            async with store.transaction():
                await table.delete("ST_1")
                await table.put(Trunk("ST_2"))
                raise ZeroDivisionError

        assert [row.id for row in await table.find()] == ["ST_1"]

    async def test_transaction_sees_its_own_writes_and_nobody_else_does(self, store):
        table = trunks(store)
        await table.put(FULL)
        inside, may_end = asyncio.Event(), asyncio.Event()

        async def change() -> list[Trunk]:
            async with store.transaction():
                await table.delete("ST_1")
                await table.put(Trunk("ST_2", ("+491",)))
                assert await table.get("ST_1") is None
                found = await table.find(numbers="+491")
                inside.set()
                await may_end.wait()
                return found

        task = asyncio.ensure_future(change())
        await inside.wait()
        outside = await table.find(numbers="+491")
        may_end.set()

        assert [row.id for row in await task] == ["ST_2"]
        assert [row.id for row in outside] == ["ST_1"]

    async def test_transaction_whose_ground_moved_writes_nothing(self, store):
        table = trunks(store)
        await table.put(FULL)

        async def overtaken() -> None:
            async with store.transaction():
                row = await table.get("ST_1")
                assert row is not None
                await asyncio.get_running_loop().create_task(
                    table.put(replace(FULL, region="us")), context=plain
                )
                await table.put(Trunk("ST_2", region=row.region))

        plain = contextvars.copy_context()
        with pytest.raises(Conflict):
            await overtaken()

        assert [row.id for row in await table.find()] == ["ST_1"]

    async def test_counting_in_transactions_loses_no_step(self, store):
        table = trunks(store)
        await table.put(Trunk("ST_1", region="0"))

        async def step() -> None:
            while True:
                try:
                    async with store.transaction():
                        row = await table.get("ST_1")
                        assert row is not None
                        await table.put(replace(row, region=str(int(row.region or 0) + 1)))
                    return
                except Conflict:
                    continue

        await asyncio.gather(*(step() for _ in range(10)))

        row = await table.get("ST_1")
        assert row is not None
        assert row.region == "10"

    async def test_transactions_do_not_nest(self, store):
        async with store.transaction():
            with pytest.raises(LocalProtocolError, match="open already"):
                async with store.transaction():
                    pass

    async def test_many_writers_at_once_are_all_served(self, store):
        table = trunks(store)

        await asyncio.gather(*(table.put(Trunk(f"ST_{n:04}")) for n in range(1000)))

        assert (await table.extent()).rows == 1000


class TestMemory(StoreContract):
    @pytest.fixture
    async def store(self):
        store = memory_store()
        yield store
        await store.close()


class TestSqlite(StoreContract):
    @pytest.fixture
    async def store(self, tmp_path):
        store = open_store(tmp_path)
        yield store
        await store.close()


@pytest.fixture
def data(tmp_path) -> Path:
    return tmp_path


async def with_store(path: Path, use):
    store = open_store(path)
    try:
        return await use(store)
    finally:
        await store.close()


async def test_rows_survive_closing(data):
    async def write(store):
        await trunks(store).put(FULL)

    async def read(store):
        return await trunks(store).get("ST_1")

    await with_store(data, write)

    assert await with_store(data, read) == FULL


async def test_sealed_field_is_nowhere_in_the_files(data):
    async def write(store):
        await trunks(store).put(FULL)

    await with_store(data, write)

    assert b"hunter2" not in b"".join(file.read_bytes() for file in data.iterdir())
    assert "hunter2" not in repr(FULL)


async def test_files_are_their_owners_alone(data):
    async def write(store):
        await trunks(store).put(FULL)
        return {file.name: file.stat().st_mode & 0o777 for file in data.iterdir()}

    modes = await with_store(data, write)

    assert {"secret.key", "roomful.sqlite", "roomful.sqlite-wal"} <= modes.keys()
    assert set(modes.values()) == {0o600}


async def test_another_key_is_refused_before_anything_relies_on_it(data):
    async def write(store):
        await trunks(store).put(FULL)

    await with_store(data, write)
    (data / "secret.key").write_bytes(bytes(32))

    with pytest.raises(ConfigError, match="not the key of this data directory"):
        await with_store(data, write)


@dataclass(frozen=True, slots=True)
class OldTrunk:
    id: str
    number: str
    password: str = sealed(default="")


def from_old(version: int, row: dict) -> dict:
    assert version == 1
    return {"id": row["id"], "numbers": [row["number"]], "password": row["password"]}


async def write_old(store):
    await store.table("sip.trunks", OldTrunk, key="id").put(OldTrunk("ST_1", "+491", "hunter2"))


async def test_older_rows_are_upgraded_with_seals_and_indexes(data):
    async def read(store):
        return await trunks(store, version=2, upgrade=from_old).find(numbers="+491")

    await with_store(data, write_old)

    for _ in range(2):
        assert await with_store(data, read) == [Trunk("ST_1", ("+491",), password="hunter2")]


async def test_older_rows_that_nothing_upgrades_are_refused(data):
    async def read(store):
        trunks(store, version=2)

    await with_store(data, write_old)

    with pytest.raises(ConfigError, match="nothing upgrades"):
        await with_store(data, read)


async def test_rows_of_a_newer_version_are_refused(data):
    async def newer(store):
        trunks(store, version=3)

    async def older(store):
        trunks(store, version=2)

    await with_store(data, newer)

    with pytest.raises(ConfigError, match="newer version"):
        await with_store(data, older)


async def test_failing_upgrade_leaves_the_rows_as_they_were(data):
    def breaks(version: int, row: dict) -> dict:
        raise ConfigError("cannot")

    async def read_new(store):
        trunks(store, version=2, upgrade=breaks)

    async def read_old(store):
        return await store.table("sip.trunks", OldTrunk, key="id").get("ST_1")

    await with_store(data, write_old)
    with pytest.raises(ConfigError, match="cannot"):
        await with_store(data, read_new)

    assert await with_store(data, read_old) == OldTrunk("ST_1", "+491", "hunter2")


async def test_new_index_finds_old_rows(data):
    async def write(store):
        await store.table("sip.trunks", Trunk, key="id").put(FULL)

    async def read(store):
        return await trunks(store).find(region="eu")

    await with_store(data, write)

    assert await with_store(data, read) == [FULL]


async def test_open_directory_and_key_of_ours_are_closed_to_others(data):
    async def nothing(store):
        trunks(store)

    await with_store(data, nothing)
    data.chmod(0o755)
    (data / "secret.key").chmod(0o644)

    await with_store(data, nothing)

    assert data.stat().st_mode & 0o777 == 0o700
    assert (data / "secret.key").stat().st_mode & 0o777 == 0o600


async def test_directory_that_is_not_there_is_refused_naming_the_setting(data):
    with pytest.raises(ConfigError, match="setting 'data_dir'"):
        open_store(data / "missing")


async def test_file_that_is_no_database_is_refused_naming_the_remedy(data):
    (data / "roomful.sqlite").write_bytes(b"not a database" * 1000)

    async def use(store):
        trunks(store)

    with pytest.raises(ConfigError, match="no database of this server"):
        await with_store(data, use)


WRITES = """
import asyncio, sys
from pathlib import Path
from dataclasses import dataclass
from roomful.store import open_store

@dataclass(frozen=True, slots=True)
class Pair:
    id: str
    half: str

async def main():
    store = open_store(Path(sys.argv[1]))
    pairs = store.table("t.pairs", Pair, key="id", indexes=("half",))
    for number in range(100_000):
        async with store.transaction():
            await pairs.put(Pair(f"{number:06}a", "a"))
            await pairs.put(Pair(f"{number:06}b", "b"))
        print(number, flush=True)

asyncio.run(main())
"""


@dataclass(frozen=True, slots=True)
class Pair:
    id: str
    half: str


@pytest.mark.parametrize("acknowledged", [0, 1, 7, 40])
def test_killed_writer_loses_nothing_it_was_told_is_written(data, acknowledged):
    process = subprocess.Popen(
        [sys.executable, "-c", WRITES, str(data)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process, process.stdout as lines:
        told = [int(next(lines)) for _ in range(acknowledged + 1)]
        os.kill(process.pid, signal.SIGKILL)
        told += [int(line) for line in lines if line.endswith("\n")]

    async def read(store):
        pairs = store.table("t.pairs", Pair, key="id", indexes=("half",))
        rows = [await pairs.find(limit=1000), await pairs.find(limit=1000, half="a")]
        return [[row.id for row in found] for found in rows]

    both, firsts = asyncio.run(with_store(data, read))

    assert len(both) == 2 * len(firsts), "a transaction is whole or not there"
    assert len(firsts) in (len(told), len(told) + 1)
    assert firsts == [f"{number:06}a" for number in range(len(firsts))]
