"""AMF0 (Action Message Format 0), both ways.

Numbers are floats, objects and ECMA arrays are dicts, strict arrays are lists, null and undefined
are None, dates are floats (ms since 1970). Nothing else is read.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import cast

from roomful.errors import LocalProtocolError, RemoteProtocolError

Value = float | bool | str | None | dict[str, "Value"] | list["Value"]

MAX_DEPTH = 16
MAX_ITEMS = 4096
"""values of one message, all levels together"""

_NUMBER, _BOOLEAN, _STRING, _OBJECT, _NULL = 0, 1, 2, 3, 5
_ECMA_ARRAY, _OBJECT_END, _STRICT_ARRAY, _LONG_STRING = 8, 9, 10, 12


def decode(data: bytes) -> list[Value]:
    """Return all values of a message. Raises `RemoteProtocolError`."""
    reader = _Reader(data)
    values: list[Value] = []
    while not reader.at_end:
        values.append(reader.value(0))
    return values


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self._at, self._items = data, 0, 0

    @property
    def at_end(self) -> bool:
        return self._at >= len(self._data)

    def take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._data):
            raise RemoteProtocolError("AMF0: a value runs past the end of its message")
        part, self._at = self._data[self._at : end], end
        return part

    def number(self, count: int) -> int:
        return int.from_bytes(self.take(count), "big")

    def text(self, length_bytes: int = 2) -> str:
        return self.take(self.number(length_bytes)).decode("utf-8", "replace")

    def value(self, depth: int) -> Value:
        self._items += 1
        if depth > MAX_DEPTH or self._items > MAX_ITEMS:
            raise RemoteProtocolError("AMF0: values are nested too deep, or too many")
        marker = self.number(1)
        if marker in (_OBJECT, _ECMA_ARRAY):
            self.take(4 if marker == _ECMA_ARRAY else 0)  # a count that encoders do not keep to
            return self._properties(depth)
        if marker == _STRICT_ARRAY:
            return self._array(depth)
        return self._scalar(marker)

    def _scalar(self, marker: int) -> Value:
        match marker:
            case 0:
                return struct.unpack(">d", self.take(8))[0]
            case 1:
                return self.number(1) != 0
            case 2:
                return self.text()
            case 5 | 6:
                return None
            case 11:
                # behind it a time zone, always 0
                return struct.unpack(">d", self.take(10)[:8])[0]
            case 12:
                return self.text(4)
            case _:
                raise RemoteProtocolError(f"AMF0: type {marker} is not expected")

    def _properties(self, depth: int) -> dict[str, Value]:
        found: dict[str, Value] = {}
        while True:
            name = self.text()
            if not name and self._data[self._at : self._at + 1] == bytes((_OBJECT_END,)):
                self._at += 1
                return found
            found[name] = self.value(depth + 1)

    def _array(self, depth: int) -> list[Value]:
        count = self.number(4)
        if count > MAX_ITEMS:
            raise RemoteProtocolError("AMF0: an array is too long")
        return [self.value(depth + 1) for _ in range(count)]


def encode(*values: object) -> bytes:
    """Return values as one message. Raises `LocalProtocolError` for what AMF0 cannot say."""
    return b"".join(map(_encode, values))


def _encode(value: object) -> bytes:
    match value:
        case None:
            return bytes((_NULL,))
        case bool():
            return bytes((_BOOLEAN, value))
        case int() | float():
            return bytes((_NUMBER,)) + struct.pack(">d", value)
        case str():
            return _encode_text(value)
        case Mapping():
            items = cast(Mapping[str, object], value).items()
            body = b"".join(_name(name) + _encode(item) for name, item in items)
            return bytes((_OBJECT,)) + body + b"\0\0" + bytes((_OBJECT_END,))
        case Sequence():
            items = cast(Sequence[object], value)
            head = bytes((_STRICT_ARRAY,)) + len(items).to_bytes(4, "big")
            return head + b"".join(map(_encode, items))
        case _:
            raise LocalProtocolError(f"AMF0 has no {type(value).__name__}")


def _encode_text(value: str) -> bytes:
    data = value.encode()
    if len(data) > 0xFFFF:
        return bytes((_LONG_STRING,)) + len(data).to_bytes(4, "big") + data
    return bytes((_STRING,)) + len(data).to_bytes(2, "big") + data


def _name(name: str) -> bytes:
    data = name.encode()
    if not 0 < len(data) <= 0xFFFF:
        raise LocalProtocolError("AMF0: a property's name is empty or too long")
    return len(data).to_bytes(2, "big") + data
