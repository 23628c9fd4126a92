"""Row classes that cannot be kept are refused when the table is opened."""

from dataclasses import dataclass

import pytest

from roomful.errors import ConfigError
from roomful.store.schema import Schema, sealed
from roomful.store.sealing import Sealer


@dataclass(frozen=True)
class Inner:
    secret: str = sealed()


@dataclass(frozen=True)
class Outer:
    id: str
    inner: tuple[Inner, ...] = ()


@dataclass(frozen=True)
class Row:
    id: str
    secret: str = sealed(default="")
    size: int = 0


def schema(row: type, **options) -> Schema:
    options = {"key": "id", "indexes": (), "version": 1, "upgrade": None} | options
    return Schema("t.rows", row, **options)


def test_seal_below_the_top_is_refused():
    with pytest.raises(TypeError, match="Inner: only fields at the top"):
        schema(Outer)


def test_sealed_field_cannot_be_searched():
    with pytest.raises(TypeError, match="cannot be searched"):
        schema(Row, indexes=("secret",))


def test_unknown_field_is_named():
    with pytest.raises(TypeError, match="has no field"):
        schema(Row, indexes=("colour",))


@pytest.mark.parametrize("key", ["", None, 5])
def test_key_is_a_text(key):
    with pytest.raises(TypeError, match="key 'id' of a row"):
        schema(Row).key_of(Row(key))


def test_stored_row_of_another_shape_is_refused_naming_the_field_not_the_value():
    with pytest.raises(ConfigError, match="no Row: size") as refused:
        schema(Row).load(
            "a", '{"id": "a", "secret": "' + "A" * 40 + '", "size": "hunter2"}', Open()
        )

    assert "hunter2" not in str(refused.value)


class Open(Sealer):
    """Opens anything: the seal is not what the test is about."""

    def __init__(self):
        super().__init__(bytes(32))

    def open(self, sealed: str, place: str) -> str:
        return '""'


def test_sealed_value_opens_in_its_own_place_only():
    sealer = Sealer.random()
    text = sealer.seal("hunter2", "t.rows/a/secret")

    assert sealer.open(text, "t.rows/a/secret") == "hunter2"
    for wrong in ((text, "t.rows/b/secret"), ("AAAA", "t.rows/a/secret"), ("%", "x")):
        with pytest.raises(ConfigError, match="does not open"):
            sealer.open(*wrong)
    with pytest.raises(ConfigError, match="does not open"):
        Sealer.random().open(text, "t.rows/a/secret")


def test_same_text_is_never_sealed_the_same_way_twice():
    sealer = Sealer.random()

    assert len({sealer.seal("a", "place") for _ in range(100)}) == 100


def test_key_of_another_length_is_refused():
    with pytest.raises(ConfigError, match="32 bytes"):
        Sealer(b"short")
