"""Errors as HTTP: one table for Twirp and for everything else on the port."""

from __future__ import annotations

from roomful.errors import ConfigError, RequestError, RoomfulError

HTTP_STATUS = {
    "canceled": 408,
    "unknown": 500,
    "invalid_argument": 400,
    "malformed": 400,
    "deadline_exceeded": 408,
    "not_found": 404,
    "bad_route": 404,
    "already_exists": 409,
    "permission_denied": 403,
    "unauthenticated": 401,
    "resource_exhausted": 429,
    "failed_precondition": 412,
    "aborted": 409,
    "out_of_range": 400,
    "unimplemented": 501,
    "internal": 500,
    "unavailable": 503,
    "data_loss": 500,
}
"""Twirp code → HTTP status (Twirp v7, errors)."""

PLAIN_STATUS = {**HTTP_STATUS, "resource_exhausted": 503}
"""The same outside Twirp: a limit that is reached is 503 there."""


def is_callers(error: RoomfulError) -> bool:
    """Whether its message may be told to the caller; else it is ours and gets an id instead."""
    if isinstance(error, ConfigError):
        return False
    return isinstance(error, RequestError) or error.code != "internal"
