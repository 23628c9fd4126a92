"""Control messages of the link as bytes: JSON objects whose "t" says what they are.

Those that the ends of every link speak are in `vocabulary`. What publishes, subscribes or belongs to
one kind of job is made and read by those who need it; an unknown "t" is ignored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, TypeVar, cast

from roomful.errors import LocalProtocolError, RemoteProtocolError
from roomful_rtc.link.record import BODY_BYTES, CONTROL, HEADER, STREAM_MAX

DEPTH = 32
"""objects and lists within each other"""

Message = Mapping[str, Any]
"""A control message; `message["t"]` is a string."""

_Value = TypeVar("_Value")


def control_record(message: Mapping[str, object], stream: int = 0) -> bytes:
    """Build a record.

    Args:
        message: with "t".
        stream: of what the message is about where it must keep its place among that stream's
            records, as the notice of its end must.

    Raises:
        LocalProtocolError: no JSON, no "t", or too long.
    """
    try:
        text = json.dumps(message, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        body = text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise LocalProtocolError(f"message {message.get('t')!r} is no JSON: {error}") from None
    if not isinstance(message.get("t"), str):
        raise LocalProtocolError("a control message needs a string 't'")
    if len(body) > BODY_BYTES:
        raise LocalProtocolError(
            f"message {message['t']!r} has {len(body)} bytes, {BODY_BYTES} are allowed"
        )
    return HEADER.pack(len(body), CONTROL, 0, stream) + body


def read_control(body: bytes | memoryview) -> Message:
    """Read the body of a control record.

    Raises:
        RemoteProtocolError: no JSON object with a "t", or one that could not be passed on.
    """
    raw = bytes(body)
    try:
        message: object = json.loads(raw.decode(), parse_constant=_refuse_constant)
        if b"\\u" in raw:
            json.dumps(message, ensure_ascii=False).encode()  # half a surrogate pair
    except (ValueError, RecursionError) as error:
        raise RemoteProtocolError(f"control is no JSON: {type(error).__name__}") from None
    if not isinstance(message, dict):
        raise RemoteProtocolError("control is no JSON object")
    found = cast("dict[str, Any]", message)
    if not isinstance(found.get("t"), str):
        raise RemoteProtocolError("control without a string 't'")
    if raw.count(b"{") + raw.count(b"[") > DEPTH and _depth(found) > DEPTH:
        raise RemoteProtocolError("control is nested too deeply")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _depth(message: object) -> int:
    level, depth = [message], 0
    while level and depth <= DEPTH:
        depth += 1
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))
            for inner in _inside(cast("dict[str, object] | list[object]", outer))
        ]
    return depth


def _inside(value: dict[str, object] | list[object]) -> Sequence[object]:
    return list(value.values()) if isinstance(value, dict) else value


def field(message: Message, name: str, kind: type[_Value]) -> _Value:
    """Return a field of a message; `RemoteProtocolError` when it is missing or of another type."""
    value = message.get(name)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise RemoteProtocolError(f"{message['t'][:40]!r}: {name!r} is no {kind.__name__}")
    return value


def stream_field(message: Message, name: str) -> int:
    """Return a stream id of a message; `RemoteProtocolError` when it is none."""
    value = field(message, name, int)
    if not 0 < value <= STREAM_MAX:
        raise RemoteProtocolError(f"{message['t'][:40]!r}: {name!r} is no stream")
    return value
