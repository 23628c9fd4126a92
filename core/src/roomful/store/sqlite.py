"""The default backend: one SQLite file in WAL mode, synced at every commit.

Layout (`user_version` 1): `tables` knows each table's version and indexes, `rows` holds JSON by
table and key, `found` the index entries.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from roomful.errors import ConfigError
from roomful.store.backend import Change, Conflict, Convert, Expect, Extent, Record, Scan
from roomful.store.writer import Writer

LAYOUT = 1
_OPEN_DEADLINE_S = 300.0
"""rows of an older version are upgraded within this"""

_CREATE = """
CREATE TABLE tables (name TEXT PRIMARY KEY, version INTEGER NOT NULL, indexes TEXT NOT NULL);
CREATE TABLE rows (
    tbl TEXT NOT NULL, key TEXT NOT NULL, rev INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (tbl, key)
) WITHOUT ROWID;
CREATE TABLE found (
    tbl TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, key TEXT NOT NULL,
    PRIMARY KEY (tbl, name, value, key)
) WITHOUT ROWID;
CREATE INDEX found_by_key ON found (tbl, key);
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""

_PUT = """
INSERT INTO rows (tbl, key, rev, body) VALUES (?, ?, 1, ?)
ON CONFLICT (tbl, key) DO UPDATE SET rev = rev + 1, body = excluded.body
RETURNING rev
"""
_SCAN = "SELECT key, rev, body FROM rows WHERE tbl = ? AND key > ? ORDER BY key LIMIT ?"
_SCAN_INDEX = """
SELECT r.key, r.rev, r.body FROM found f JOIN rows r ON r.tbl = f.tbl AND r.key = f.key
WHERE f.tbl = ? AND f.name = ? AND f.value = ? AND f.key > ? ORDER BY f.key LIMIT ?
"""


class SqliteBackend:
    """Records in a file, or in memory where `path` is None."""

    def __init__(self, path: Path | None, key_fingerprint: str = "") -> None:
        """Open or make the file. Raises `ConfigError` when it cannot be used."""
        connection = _connect(path)
        try:
            _prepare(connection, key_fingerprint)
        except sqlite3.Error as error:
            connection.close()
            raise ConfigError(
                f"{str(path)!r} is no database of this server ({error}): "
                "move it away or set another data_dir"
            ) from error
        except ConfigError:
            connection.close()
            raise
        self._writer = Writer(connection)

    def open_table(
        self, table: str, version: int, indexes: Sequence[str], convert: Convert
    ) -> None:
        """Make a table ready; see `Backend.open_table`."""

        def run(connection: sqlite3.Connection) -> None:
            _open_table(connection, table, version, sorted(indexes), convert)

        self._writer.submit(run, writes=True).result(_OPEN_DEADLINE_S)

    async def get(self, table: str, key: str) -> Record | None:
        """Return one row or None."""

        def run(connection: sqlite3.Connection) -> Record | None:
            sql = "SELECT key, rev, body FROM rows WHERE tbl = ? AND key = ?"
            row = connection.execute(sql, (table, key)).fetchone()
            return Record(*row) if row else None

        return await asyncio.wrap_future(self._writer.submit(run, writes=False))

    async def scan(self, scan: Scan) -> list[Record]:
        """Return a page of rows."""

        def run(connection: sqlite3.Connection) -> list[Record]:
            after = scan.after or ""  # no key is empty
            if scan.index is None:
                rows = connection.execute(_SCAN, (scan.table, after, scan.limit))
            else:
                arguments = (scan.table, *scan.index, after, scan.limit)
                rows = connection.execute(_SCAN_INDEX, arguments)
            return [Record(*row) for row in rows]

        return await asyncio.wrap_future(self._writer.submit(run, writes=False))

    async def apply(self, changes: Sequence[Change], expects: Sequence[Expect]) -> list[int]:
        """Make all changes or none; see `Backend.apply`."""

        def run(connection: sqlite3.Connection) -> list[int]:
            for expect in expects:
                if _rev(connection, expect.table, expect.key) != expect.rev:
                    raise Conflict(expect.table, expect.key)
            return [_change(connection, change) for change in changes]

        return await asyncio.wrap_future(self._writer.submit(run, writes=True))

    async def trim(self, table: str, until: str) -> int:
        """Delete rows up to and including a key; return how many there were."""

        def run(connection: sqlite3.Connection) -> int:
            arguments = (table, until)
            connection.execute("DELETE FROM found WHERE tbl = ? AND key <= ?", arguments)
            rows = connection.execute("DELETE FROM rows WHERE tbl = ? AND key <= ?", arguments)
            return rows.rowcount

        return await asyncio.wrap_future(self._writer.submit(run, writes=True))

    async def extent(self, table: str) -> Extent:
        """Return how much a table holds."""

        def run(connection: sqlite3.Connection) -> Extent:
            sql = "SELECT count(*), coalesce(sum(length(body)), 0) FROM rows WHERE tbl = ?"
            return Extent(*connection.execute(sql, (table,)).fetchone())

        return await asyncio.wrap_future(self._writer.submit(run, writes=False))

    async def close(self) -> None:
        """Finish what is queued and close the file."""
        await self._writer.close()


def _connect(path: Path | None) -> sqlite3.Connection:
    try:
        if path is not None:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        # The writer's thread is its only user from here on.
        return sqlite3.connect(
            path or ":memory:", isolation_level=None, check_same_thread=False, timeout=5.0
        )
    except (OSError, sqlite3.Error) as error:
        raise ConfigError(f"{str(path)!r} cannot be opened ({error}): check data_dir") from error


def _prepare(connection: sqlite3.Connection, key_fingerprint: str) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    (layout,) = connection.execute("PRAGMA user_version").fetchone()
    if layout > LAYOUT:
        raise ConfigError(
            f"the data directory was written by a newer version (layout {layout}, ours is "
            f"{LAYOUT}): install that version or set another data_dir"
        )
    if layout == 0:
        connection.executescript(f"BEGIN;{_CREATE}PRAGMA user_version = {LAYOUT};COMMIT;")
    _check_key(connection, key_fingerprint)


def _check_key(connection: sqlite3.Connection, fingerprint: str) -> None:
    """What is sealed opens with one key only: refuse another before anything relies on it."""
    if not fingerprint:
        return
    row = connection.execute("SELECT value FROM meta WHERE name = 'key'").fetchone()
    if row is None:
        connection.execute("INSERT INTO meta VALUES ('key', ?)", (fingerprint,))
    elif row[0] != fingerprint:
        raise ConfigError(
            "data_dir/secret.key is not the key of this data directory: put the right one back"
        )


def _open_table(
    connection: sqlite3.Connection, table: str, version: int, indexes: list[str], convert: Convert
) -> None:
    sql = "SELECT version, indexes FROM tables WHERE name = ?"
    known = connection.execute(sql, (table,)).fetchone()
    wanted = (version, json.dumps(indexes))
    if known == wanted:
        return
    if known is not None:
        if known[0] > version:
            raise ConfigError(
                f"table {table!r} was written by a newer version ({known[0]}, ours is {version}): "
                "install that version or set another data_dir"
            )
        _convert_rows(connection, table, known[0], convert)
    connection.execute("INSERT OR REPLACE INTO tables VALUES (?, ?, ?)", (table, *wanted))


def _convert_rows(
    connection: sqlite3.Connection, table: str, version: int, convert: Convert
) -> None:
    connection.execute("DELETE FROM found WHERE tbl = ?", (table,))
    rows = connection.execute("SELECT key, body FROM rows WHERE tbl = ?", (table,)).fetchall()
    for key, body in rows:
        new, index = convert(version, body)
        sql = "UPDATE rows SET body = ? WHERE tbl = ? AND key = ?"
        connection.execute(sql, (new, table, key))
        _index(connection, table, key, index)


def _rev(connection: sqlite3.Connection, table: str, key: str) -> int:
    sql = "SELECT rev FROM rows WHERE tbl = ? AND key = ?"
    row = connection.execute(sql, (table, key)).fetchone()
    return int(row[0]) if row else 0


def _change(connection: sqlite3.Connection, change: Change) -> int:
    place = (change.table, change.key)
    connection.execute("DELETE FROM found WHERE tbl = ? AND key = ?", place)
    if change.body is None:
        connection.execute("DELETE FROM rows WHERE tbl = ? AND key = ?", place)
        return 0
    _index(connection, *place, change.index)
    return int(connection.execute(_PUT, (*place, change.body)).fetchone()[0])


def _index(
    connection: sqlite3.Connection, table: str, key: str, index: Sequence[tuple[str, str]]
) -> None:
    sql = "INSERT INTO found VALUES (?, ?, ?, ?)"
    connection.executemany(sql, [(table, name, value, key) for name, value in index])
