"""Refusals as HTTP: status and a sentence, as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus

from roomful.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ProtocolError,
    ResourceExhausted,
    RoomfulError,
    Unauthenticated,
    Unavailable,
    Unimplemented,
)

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_S = 5

_STATUS: tuple[tuple[type[RoomfulError], int], ...] = (
    (NotFound, 404),
    (PermissionDenied, 403),
    (Unauthenticated, 403),
    (AlreadyExists, 409),
    (FailedPrecondition, 409),
    (InvalidArgument, 400),
    (ProtocolError, 400),
    (ResourceExhausted, 503),
    (Unavailable, 503),
    (Unimplemented, 503),
)


class Problem(Exception):
    """What a client is answered instead of what it asked for. Holds no stream key."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail
        self.headers = dict(headers or {})
        if status == 503:
            self.headers.setdefault("Retry-After", str(RETRY_AFTER_S))

    @classmethod
    def of(cls, error: RoomfulError) -> Problem:
        """What stands for an error; the error itself where it is ours."""
        status = next((status for kind, status in _STATUS if isinstance(error, kind)), 0)
        if not status:
            raise error
        return cls(status, error.message)

    def body(self) -> bytes:
        """The body of the answer."""
        title = HTTPStatus(self.status).phrase
        return json.dumps({"title": title, "status": self.status, "detail": self.detail}).encode()
