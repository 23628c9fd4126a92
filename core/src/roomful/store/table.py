"""Tables of a store, and transactions over them, on any backend.

A transaction keeps its writes to itself until its block ends, then makes them all at once; rows it
read or wrote must not have changed meanwhile, else it raises `Conflict` and nothing is written. So
nobody waits for a slow block, and two that touch the same row cannot both win.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from roomful.errors import LocalProtocolError
from roomful.store.backend import Backend, Change, Conflict, Expect, Extent, Record, Scan
from roomful.store.schema import Schema, Upgrade
from roomful.store.sealing import Sealer

T = TypeVar("T")

FIND_LIMIT = 1000
"""most rows of one `find`"""
UNKNOWN_REV = -1
"""what a row has inside a transaction that wrote it without having read it"""


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """A row and its revision, for `put(row, if_rev=entry.rev)`."""

    row: T
    rev: int


@dataclass(slots=True)
class _Transaction:
    """Writes that wait for the end of their block, and what they rely on."""

    changes: dict[tuple[str, str], Change] = field(default_factory=dict[tuple[str, str], Change])
    revs: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    """revisions that the changed rows will have"""

    def rely(self, expect: Expect) -> None:
        """Rely on a row's revision until the end. Raises `Conflict` when it has moved already."""
        if self.expects.setdefault((expect.table, expect.key), expect) != expect:
            raise Conflict(expect.table, expect.key)

    def write(self, change: Change, if_rev: int | None) -> int:
        """Take in a write; return the revision the row will have."""
        place = change.table, change.key
        if if_rev is not None and place in self.revs:
            if self.revs[place] != if_rev:
                raise Conflict(*place)
        elif if_rev is not None:
            self.rely(Expect(*place, if_rev))
        known = self.expects.get(place)
        self.changes[place] = change
        self.revs[place] = known.rev + 1 if known else UNKNOWN_REV
        if change.body is None:
            self.revs[place] = 0
        return self.revs[place]

    expects: dict[tuple[str, str], Expect] = field(default_factory=dict[tuple[str, str], Expect])


_current: ContextVar[_Transaction | None] = ContextVar("roomful_transaction", default=None)


class Store:
    """Tables over a backend; `server.store`."""

    def __init__(self, backend: Backend, sealer: Sealer) -> None:
        self.backend = backend
        self._sealer = sealer
        self._tables: set[str] = set()

    def table(
        self,
        name: str,
        row: type[T],
        *,
        key: str,
        indexes: tuple[str, ...] = (),
        version: int = 1,
        upgrade: Upgrade | None = None,
    ) -> Table[T]:
        """Open a table, once, at start; blocks while rows of an older version are upgraded.

        Raises `ConfigError` for rows of a newer version or that no upgrade covers, and `TypeError`
        for a row class that cannot be kept.
        """
        if name in self._tables:
            raise LocalProtocolError(f"table {name!r} is open already")
        schema = Schema(name, row, key=key, indexes=indexes, version=version, upgrade=upgrade)
        sealer = self._sealer
        self.backend.open_table(
            name, version, indexes, lambda was, body: schema.convert(was, body, sealer)
        )
        self._tables.add(name)
        return Table(self.backend, schema, sealer)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[None, None]:
        """Make all writes of the block at its end, or none. Raises `Conflict`.

        Point reads count as relied on; rows that `find` returned do not.
        """
        if _current.get() is not None:
            raise LocalProtocolError("a transaction is open already")
        transaction = _Transaction()
        token = _current.set(transaction)
        try:
            yield
        finally:
            _current.reset(token)
        if transaction.changes:
            await self.backend.apply(
                list(transaction.changes.values()), list(transaction.expects.values())
            )

    async def close(self) -> None:
        """Finish what is waiting and close the backend."""
        await self.backend.close()


class Table(Generic[T]):
    """Rows of one dataclass, by key."""

    def __init__(self, backend: Backend, schema: Schema[T], sealer: Sealer) -> None:
        self._backend, self._schema, self._sealer = backend, schema, sealer

    @property
    def name(self) -> str:
        return self._schema.table

    async def get(self, key: str) -> T | None:
        """Return the row of this key, or None."""
        entry = await self.entry(key)
        return entry.row if entry else None

    async def entry(self, key: str) -> Entry[T] | None:
        """Return the row of this key and its revision, or None."""
        record = await self._record(key)
        return Entry(self._load(record), record.rev) if record else None

    async def put(self, row: T, if_rev: int | None = None) -> int:
        """Write a row; return its new revision.

        `if_rev`: only if the row's revision is this one, 0: only if there is none. Raises
        `Conflict`.
        """
        key, body = self._schema.key_of(row), self._schema.dump(row, self._sealer)
        return await self._write(Change(self.name, key, body, self._schema.entries(row)), if_rev)

    async def delete(self, key: str, if_rev: int | None = None) -> None:
        """Delete a row; does nothing where there is none. Raises `Conflict`."""
        await self._write(Change(self.name, key, None), if_rev)

    async def find(self, *, after: str | None = None, limit: int = 100, **index: str) -> list[T]:
        """Return rows in the order of their keys, `limit` (1 to 1000) at a time.

        `after`: the last key of the page before. One index may be named: `find(numbers="+491")`.
        """
        if len(index) > 1 or index.keys() - set(self._schema.indexes):
            raise TypeError(f"table {self.name!r} is found by one of {self._schema.indexes}")
        by = next(iter(index.items()), None)
        scan = Scan(self.name, after, max(1, min(limit, FIND_LIMIT)), by)
        records = {record.key: record for record in await self._backend.scan(scan)}
        self._overlay(records, scan)
        return [self._load(records[key]) for key in sorted(records)[: scan.limit]]

    async def trim(self, until: str) -> int:
        """Delete all rows with keys up to and including `until`, apart from any transaction."""
        return await self._backend.trim(self.name, until)

    async def extent(self) -> Extent:
        """Return how many rows and bytes there are."""
        return await self._backend.extent(self.name)

    def _load(self, record: Record) -> T:
        return self._schema.load(record.key, record.body, self._sealer)

    async def _record(self, key: str) -> Record | None:
        transaction = _current.get()
        if transaction is None:
            return await self._backend.get(self.name, key)
        place = self.name, key
        if change := transaction.changes.get(place):
            return _written(change, transaction.revs[place])
        record = await self._backend.get(self.name, key)
        transaction.rely(Expect(self.name, key, record.rev if record else 0))
        return record

    async def _write(self, change: Change, if_rev: int | None) -> int:
        transaction = _current.get()
        if transaction is None:
            expects = [] if if_rev is None else [Expect(self.name, change.key, if_rev)]
            (rev,) = await self._backend.apply([change], expects)
            return rev
        return transaction.write(change, if_rev)

    def _overlay(self, records: dict[str, Record], scan: Scan) -> None:
        """Show a transaction its own writes; a page may then be shorter than its limit."""
        transaction = _current.get()
        if transaction is None:
            return
        for (table, key), change in transaction.changes.items():
            if table != self.name or (scan.after is not None and key <= scan.after):
                continue
            records.pop(key, None)
            record = _written(change, transaction.revs[table, key])
            if record and (scan.index is None or scan.index in change.index):
                records[key] = record


def _written(change: Change, rev: int) -> Record | None:
    return None if change.body is None else Record(change.key, rev, change.body)
