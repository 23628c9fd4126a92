"""How rows of one table become JSON and back: codec, sealed fields, indexes, upgrades."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar, cast, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

from roomful.errors import ConfigError
from roomful.store.sealing import Sealer

T = TypeVar("T")

SEALED: Mapping[str, object] = {"sealed": True}
"""metadata of dataclass fields that are encrypted at rest; `sealed()` is the short way"""

Upgrade = Callable[[int, dict[str, Any]], dict[str, Any]]
"""(version a row was written with, its JSON) → the JSON of today's version"""


def sealed(*, default: Any = dataclasses.MISSING) -> Any:
    """Return a dataclass field that is encrypted at rest and never in a `repr`."""
    if default is dataclasses.MISSING:
        return dataclasses.field(repr=False, metadata=SEALED)
    return dataclasses.field(default=default, repr=False, metadata=SEALED)


class Schema(Generic[T]):
    """One table's shape. Raises `TypeError` for a class that cannot be kept: a bug of its author."""

    def __init__(
        self,
        table: str,
        row: type[T],
        *,
        key: str,
        indexes: tuple[str, ...],
        version: int,
        upgrade: Upgrade | None,
    ) -> None:
        fields = {field.name: field for field in dataclasses.fields(cast(Any, row))}
        unknown = {key, *indexes} - fields.keys()
        if unknown:
            raise TypeError(f"table {table!r}: {row.__name__} has no field {sorted(unknown)}")
        self.table, self.row, self.key = table, row, key
        self.indexes, self.version = indexes, version
        self._upgrade = upgrade
        self._sealed = frozenset(name for name, field in fields.items() if is_sealed(field))
        if self._sealed & {key, *indexes}:
            raise TypeError(f"table {table!r}: a sealed field cannot be searched")
        _refuse_hidden_seals(row)
        self._adapter: TypeAdapter[T] = TypeAdapter(row)

    def key_of(self, row: T) -> str:
        """Return the row's key; `TypeError` unless it is a text that is not empty."""
        key = getattr(row, self.key)
        if not isinstance(key, str) or not key:
            raise TypeError(f"table {self.table!r}: key {self.key!r} of a row is {key!r}")
        return key

    def entries(self, row: T) -> tuple[tuple[str, str], ...]:
        """Return (index, value) for everything the row is found by."""
        return tuple(
            dict.fromkeys(
                (name, value) for name in self.indexes for value in index_values(getattr(row, name))
            )
        )

    def dump(self, row: T, sealer: Sealer) -> str:
        """Return the row as JSON, with its sealed fields sealed."""
        data = self._adapter.dump_python(row, mode="json")
        for name in self._sealed:
            data[name] = sealer.seal(json.dumps(data[name]), self._place(self.key_of(row), name))
        return json.dumps(data, ensure_ascii=False, separators=(",", ":"))

    def load(self, key: str, body: str, sealer: Sealer) -> T:
        """Return the row; `ConfigError` when what is stored is not one."""
        if self._sealed:
            body = json.dumps(self._open(key, json.loads(body), sealer))
        return self._validated(key, body)

    def convert(
        self, version: int, body: str, sealer: Sealer
    ) -> tuple[str, tuple[tuple[str, str], ...]]:
        """Return body and index entries of today for a row of an older version."""
        data = json.loads(body)
        opened = self._open(str(data[self.key]), data, sealer)
        if version != self.version:
            if self._upgrade is None:
                raise ConfigError(
                    f"table {self.table!r} holds rows of version {version} and nothing upgrades "
                    f"them to {self.version}"
                )
            opened = self._upgrade(version, opened)
        row = self._validated(str(opened[self.key]), json.dumps(opened))
        return self.dump(row, sealer), self.entries(row)

    def _open(self, key: str, data: dict[str, Any], sealer: Sealer) -> dict[str, Any]:
        opened = dict(data)
        for name in self._sealed & data.keys():
            opened[name] = json.loads(sealer.open(data[name], self._place(key, name)))
        return opened

    def _validated(self, key: str, body: str) -> T:
        try:
            return self._adapter.validate_json(body)
        except ValidationError as error:
            places = ", ".join(".".join(map(str, e["loc"])) for e in error.errors())
            raise ConfigError(
                f"table {self.table!r} holds a row {key!r} that is no {self.row.__name__}: {places}"
            ) from None

    def _place(self, key: str, field: str) -> str:
        return f"{self.table}/{key}/{field}"


def is_sealed(field: dataclasses.Field[Any]) -> bool:
    """Whether this field is encrypted at rest."""
    return bool(field.metadata.get("sealed"))


def index_values(value: object) -> Iterable[str]:
    """Return what a field is found by: a list by each element, None by nothing."""
    if value is None:
        return []
    if isinstance(value, list | tuple | set | frozenset):
        return [str(item) for item in cast("Iterable[object]", value)]
    return [str(value)]


def _refuse_hidden_seals(row: type) -> None:
    """A sealed field below the top of a row would be written in the clear: refuse the class."""
    for hint in get_type_hints(row).values():
        for inner in _dataclasses_in(hint):
            if any(is_sealed(field) for field in dataclasses.fields(inner)):
                raise TypeError(f"{inner.__name__}: only fields at the top of a row can be sealed")
            _refuse_hidden_seals(inner)


def _dataclasses_in(hint: Any) -> list[type]:
    if dataclasses.is_dataclass(hint):
        return [cast(type, hint)]
    return [found for argument in get_args(hint) for found in _dataclasses_in(argument)]
