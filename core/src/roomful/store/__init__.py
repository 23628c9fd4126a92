"""What outlives the process: tables of frozen dataclasses, kept by a backend.

    trunks = server.store.table("sip.trunks", Trunk, key="id", indexes=("numbers",), version=2,
                                upgrade=upgrade)
    await trunks.put(trunk)
    async with server.store.transaction():
        ...

Table names begin with the plugin's name and a dot. No SQL leaves this package.
"""

from pathlib import Path

from roomful.store.backend import Backend, Change, Conflict, Expect, Extent, Record, Scan
from roomful.store.schema import SEALED, sealed
from roomful.store.sealing import Sealer
from roomful.store.secret_key import load_sealer
from roomful.store.sqlite import SqliteBackend
from roomful.store.table import Entry, Store, Table


def open_store(data_dir: Path) -> Store:
    """Return the store of a data directory: SQLite. Raises `ConfigError`.

    The caller holds the directory's lock: a database has one writer.
    """
    sealer = load_sealer(data_dir)
    return Store(SqliteBackend(data_dir / "roomful.sqlite", sealer.fingerprint), sealer)


def memory_store() -> Store:
    """Return a store that is gone with the process; for tests."""
    return Store(SqliteBackend(None), Sealer.random())


__all__ = [
    "SEALED",
    "Backend",
    "Change",
    "Conflict",
    "Entry",
    "Expect",
    "Extent",
    "Record",
    "Scan",
    "Sealer",
    "SqliteBackend",
    "Store",
    "Table",
    "memory_store",
    "open_store",
    "sealed",
]
