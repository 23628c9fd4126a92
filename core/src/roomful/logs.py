"""One formatter for every log record of the process, as text or as JSON lines.

A record is a constant message plus fields (`extra={...}`), and the fields of the context it came
from: `with log_fields(room=…, participant=…)`. Personal data is allowed in fields whose name begins
with `pii_` only; one setting leaves them all out. Control characters are escaped in both formats,
so that a name chosen by a stranger cannot forge a line.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Literal, TextIO

PERSONAL = "pii_"

_context: ContextVar[Mapping[str, object]] = ContextVar(
    "roomful_log_fields", default=MappingProxyType({})
)
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_ESCAPES = {
    code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if code != 0x0A
} | {0x0A: "\\n", 0x2028: "\\u2028", 0x2029: "\\u2029"}


@contextmanager
def log_fields(**fields: object) -> Generator[None]:
    """Add fields to every record logged inside, tasks made inside included."""
    token = _context.set({**_context.get(), **fields})
    try:
        yield
    finally:
        _context.reset(token)


def configure_logging(
    style: Literal["text", "json"],
    level: str,
    *,
    personal_data: bool = True,
    stream: TextIO | None = None,
) -> None:
    """Make the root logger write to `stream` (standard error) in one style; for programs only."""
    handler = logging.StreamHandler(stream or sys.stderr)
    formatter = JsonFormatter if style == "json" else TextFormatter
    handler.setFormatter(formatter(personal_data=personal_data))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(capture=True)


class FieldsFormatter(logging.Formatter):
    """Abstract: collects a record's fields."""

    def __init__(self, *, personal_data: bool = True) -> None:
        super().__init__()
        self._personal_data = personal_data

    def fields(self, record: logging.LogRecord) -> dict[str, object]:
        """Return the fields of context and record, personal ones only where allowed."""
        own = {key: value for key, value in vars(record).items() if key not in _STANDARD}
        return {
            key: value
            for key, value in {**_context.get(), **own}.items()
            if self._personal_data or not key.startswith(PERSONAL)
        }

    def trace(self, record: logging.LogRecord) -> str:
        """Return the traceback and stack of a record, one escaped line each, or nothing."""
        parts = [self.formatException(record.exc_info)] if record.exc_info else []
        if record.stack_info:
            parts.append(self.formatStack(record.stack_info))
        return "\n".join(_escaped(line) for part in parts for line in part.split("\n"))


class TextFormatter(FieldsFormatter):
    """`12:00:00.000 INFO  roomful.server started port=7880`, a traceback indented below."""

    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {key}={_shown(value)}" for key, value in self.fields(record).items())
        clock = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        message = _escaped(record.getMessage())
        line = f"{clock}Z {record.levelname:<7} {record.name} {message}{fields}"
        trace = self.trace(record)
        return line + "".join(f"\n    {row}" for row in trace.split("\n")) if trace else line


class JsonFormatter(FieldsFormatter):
    """One JSON object a line: time, level, logger, message, the fields, trace."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry |= {k: v for k, v in self.fields(record).items() if k not in entry}
        if trace := self.trace(record):
            entry["trace"] = trace
        return json.dumps(entry, default=str)


def _shown(value: object) -> str:
    text = _escaped(str(value))
    return json.dumps(text, ensure_ascii=False) if " " in text or not text else text


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES)
