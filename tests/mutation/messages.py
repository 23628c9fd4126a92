"""Mutated protobuf messages: well-formed on the wire, hostile in what their fields say."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from .mutants import COUNT, SEED, mutated

F = FieldDescriptor
TEXTS = (
    "", "x", "x" * 300, "\x00", "a\nb", "é" * 40, "sip.x", "lk.x", "../..", "TR_x", "alice",
    "video/VP8", "99999999999999999999",
)  # fmt: skip
_SIGNED = (0, 1, -1, (1 << 31) - 1, -(1 << 31))
_NUMBERS: dict[int, Sequence[float]] = {
    F.CPPTYPE_INT32: _SIGNED,
    F.CPPTYPE_ENUM: (0, 1, 2, 3, 7, 99, (1 << 31) - 1, -1),
    F.CPPTYPE_UINT32: (0, 1, 2, 256, 65_536, (1 << 32) - 1),
    F.CPPTYPE_INT64: (*_SIGNED, (1 << 63) - 1, -(1 << 63)),
    F.CPPTYPE_UINT64: (0, 1, (1 << 64) - 1),
    F.CPPTYPE_BOOL: (False, True),
    F.CPPTYPE_FLOAT: (0.0, -1.0, float("inf"), float("nan")),
    F.CPPTYPE_DOUBLE: (0.0, -1.0, float("inf"), float("nan")),
}


def message_mutants(name: str, originals: Sequence[Message]) -> Iterator[bytes]:
    """2,000 variants with one to four fields changed, serialised; the same in every run."""
    chance = random.Random(f"{SEED} fields of {name}")
    for number in range(COUNT):
        message = type(originals[0])()
        message.CopyFrom(originals[number % len(originals)])
        for _ in range(chance.randint(1, 4)):
            _change(chance.choice(list(_parts(message))), chance)
        yield message.SerializeToString()


def _parts(message: Message) -> Iterator[Message]:
    """The message and all messages that are set within it."""
    yield message
    for field, value in message.ListFields():
        if field.cpp_type != F.CPPTYPE_MESSAGE or _is_map(field):
            continue
        for part in value if field.is_repeated else (value,):
            yield from _parts(part)


def _change(message: Message, chance: random.Random) -> None:
    fields = [field for field, _ in message.ListFields()] * 3 + list(message.DESCRIPTOR.fields)
    if not fields:
        return
    field = chance.choice(fields)
    if _is_map(field):
        _change_map(getattr(message, field.name), chance)
    elif field.is_repeated:
        _change_list(getattr(message, field.name), field, chance)
    elif field.cpp_type == F.CPPTYPE_MESSAGE:
        if chance.random() < 0.5:
            message.ClearField(field.name)
        else:
            getattr(message, field.name).SetInParent()
    else:
        setattr(message, field.name, _value(field, getattr(message, field.name), chance))


def _is_map(field: Any) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _change_map(values: Any, chance: random.Random) -> None:
    for _ in range(chance.choice((1, 1, 40))):
        try:
            values[chance.choice(TEXTS) + str(chance.randrange(99))] = chance.choice(TEXTS)
        except (TypeError, ValueError):
            return  # its values are messages or numbers


def _change_list(values: Any, field: Any, chance: random.Random) -> None:
    match chance.randrange(3):
        case 0:
            del values[:]
        case 1 if len(values):
            values.extend([values[0]] * chance.choice((1, 3, 100)))
        case _ if field.cpp_type == F.CPPTYPE_MESSAGE:
            values.add()
        case _:
            values.append(_value(field, "", chance))


def _value(field: Any, now: Any, chance: random.Random) -> Any:
    if field.cpp_type != F.CPPTYPE_STRING:
        return chance.choice(_NUMBERS[field.cpp_type])
    if field.type == F.TYPE_BYTES:
        return mutated(now or b"bytes", [b"other"], chance)
    if now and chance.random() < 0.5:
        return mutated(now.encode(), [b"other"], chance).decode("utf-8", "replace")
    return chance.choice(TEXTS)
