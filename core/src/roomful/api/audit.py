"""Who did what by the API: one line a call, on a logger of its own, without payloads."""

from __future__ import annotations

import logging

from roomful.auth.grants import Grants

log = logging.getLogger("roomful.audit")


def record(grants: Grants | None, method: str, result: str, room: str = "") -> None:
    """Note one call; `result` is `ok` or the code of the error."""
    log.info(
        "api call",
        extra={
            "method": method,
            "result": result,
            "api_key": grants.issuer if grants else "",
            "pii_identity": grants.identity if grants else "",
            "pii_room": room,
        },
    )
