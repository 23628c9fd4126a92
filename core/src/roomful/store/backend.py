"""What keeps records: the protocol below tables. SQLite is one, others come by the `store` hook."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from roomful.errors import FailedPrecondition


class Conflict(FailedPrecondition):
    """Somebody else changed the row meanwhile: read it again and decide anew."""

    retryable = True

    def __init__(self, table: str, key: str) -> None:
        super().__init__(f"row {key!r} of table {table!r} was changed by somebody else")


@dataclass(frozen=True, slots=True)
class Record:
    """One row as a backend keeps it."""

    key: str
    rev: int
    """counts the writes of this row, from 1"""
    body: str
    """JSON"""


@dataclass(frozen=True, slots=True)
class Change:
    """Write a row, or delete it when `body` is None."""

    table: str
    key: str
    body: str | None
    index: tuple[tuple[str, str], ...] = ()
    """(index name, value): what the row shall be found by"""


@dataclass(frozen=True, slots=True)
class Expect:
    """A condition of a batch: the row's revision, 0 where it must not exist."""

    table: str
    key: str
    rev: int


@dataclass(frozen=True, slots=True)
class Scan:
    """Rows in the order of their keys, by an index or all."""

    table: str
    after: str | None = None
    limit: int = 100
    index: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Extent:
    """How much a table holds."""

    rows: int = 0
    bytes: int = 0


Convert = Callable[[int, str], tuple[str, tuple[tuple[str, str], ...]]]
"""(version it was written with, body) → (body of today, index entries of today)"""


class Backend(Protocol):
    """Keeps records. What a call wrote is durable when it returns: it survives a killed process.

    Every method may raise `Unavailable` (disk full, too many waiting); nothing of it is written
    then.
    """

    def open_table(
        self, table: str, version: int, indexes: Sequence[str], convert: Convert
    ) -> None:
        """Make the table ready; called at start. Converts all rows when version or indexes differ.

        Raises `ConfigError` when the table was written by a newer version.
        """
        ...

    async def get(self, table: str, key: str) -> Record | None: ...

    async def scan(self, scan: Scan) -> list[Record]: ...

    async def apply(self, changes: Sequence[Change], expects: Sequence[Expect]) -> list[int]:
        """Make all changes and return the rows' new revisions.

        Makes none and raises `Conflict` when one of the conditions does not hold.
        """
        ...

    async def trim(self, table: str, until: str) -> int:
        """Delete rows with keys up to and including `until`; return how many there were."""
        ...

    async def extent(self, table: str) -> Extent: ...

    async def close(self) -> None:
        """Finish what is waiting and let go of everything."""
        ...
