"""Log records of a worker become records of the server, by the worker's standard error.

A record is one line: the ASCII record separator (as RFC 7464 has it), a JSON object, a newline. All
else that a worker or a library in it writes is text: nobody's record, but the last of it is kept
for whoever asks why the worker ended.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Mapping
from typing import Any, cast

from roomful.token_bucket import TokenBucket

log = logging.getLogger(__name__)

SEPARATOR = b"\x1e"
LINE_BYTES = 16 << 10
TAIL_BYTES = 4 << 10
RECORDS_PER_S, RECORDS_BURST = 100, 200
_MESSAGE, _TRACE, _VALUE, _FIELDS = 2000, 4000, 500, 32
_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}\Z")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class WorkerLogHandler(logging.Handler):
    """In a worker: writes each record as a line to a descriptor."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._trace = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; what cannot be written is lost."""
        try:
            os.write(self._descriptor, self.line(record))
        except Exception:  # noqa: BLE001 - as every handler: a log line must not break the work
            self.handleError(record)

    def line(self, record: logging.LogRecord) -> bytes:
        """Return the line of a record."""
        own = [(key, value) for key, value in vars(record).items() if key not in _STANDARD]
        trace = self._trace.formatException(record.exc_info) if record.exc_info else ""
        entry = {
            "level": record.levelno,
            "logger": record.name[:_VALUE],
            "message": record.getMessage()[:_MESSAGE],
            "fields": {key: _plain(value) for key, value in own[:_FIELDS]},
            "trace": trace[-_TRACE:],
        }
        return SEPARATOR + json.dumps(entry).encode("ascii") + b"\n"


class WorkerOutput:
    """In the server: takes what a worker writes, logs its records with the job's fields.

    At most 100 records a second are logged; how many were not is said when there is room again.
    """

    def __init__(self, fields: Mapping[str, object]) -> None:
        self._fields = dict(fields)
        self._partial = b""
        self._tail = b""
        self._bucket = TokenBucket(RECORDS_PER_S, RECORDS_BURST)
        self._unsaid = 0

    @property
    def tail(self) -> str:
        """The last 4 KiB, records as text."""
        return (self._tail + self._partial)[-TAIL_BYTES:].decode("utf-8", "replace")

    def feed(self, data: bytes, now: float) -> None:
        """Take the next bytes."""
        *lines, self._partial = (self._partial + data).split(b"\n")
        if len(self._partial) > LINE_BYTES:
            lines.append(self._partial)
            self._partial = b""
        for line in lines:
            self._line(line[:LINE_BYTES], now)

    def _line(self, line: bytes, now: float) -> None:
        entry = _entry(line) if line.startswith(SEPARATOR) else None
        if entry is None:
            self._keep(line)
            return
        level, message, fields = entry
        trace = str(fields.get("trace", ""))
        self._keep(f"{logging.getLevelName(level)} {message}\n{trace}".strip().encode())
        if not self._bucket.take(now):
            self._unsaid += 1
            return
        if self._unsaid:
            log.warning("a worker logs too much", extra={**self._fields, "lines": self._unsaid})
            self._unsaid = 0
        log.log(level, "%s", message, extra={**fields, **self._fields})

    def _keep(self, line: bytes) -> None:
        self._tail = (self._tail + line + b"\n")[-TAIL_BYTES:]


def _entry(line: bytes) -> tuple[int, str, dict[str, object]] | None:
    """Return level, message and fields of a record's line, None when it is no record."""
    try:
        found: object = json.loads(line[1:])
        if b"\\u" in line:
            json.dumps(found, ensure_ascii=False).encode()  # half a surrogate pair
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    entry = cast("dict[str, Any]", found)
    level, own = entry.get("level"), entry.get("fields")
    level = level if isinstance(level, int) and 0 < level <= logging.CRITICAL else logging.INFO
    fields: dict[str, object] = {}
    if isinstance(own, dict):
        for key, value in list(cast("dict[str, object]", own).items())[:_FIELDS]:
            if _NAME.match(key) and key not in _STANDARD:
                fields[key] = _plain(value)
    fields["worker_logger"] = str(entry.get("logger", ""))[:_VALUE]
    if entry.get("trace"):
        fields["trace"] = str(entry["trace"])[-_TRACE:]
    return level, str(entry.get("message", ""))[:_MESSAGE], fields


def _plain(value: object) -> object:
    return value if isinstance(value, (bool, int, float)) or value is None else str(value)[:_VALUE]
