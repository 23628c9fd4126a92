"""Errors of remote method calls between participants, by the numbers clients use for them."""

from __future__ import annotations

from livekit.protocol import models

from roomful.errors import RequestError

UNSUPPORTED_METHOD = 1400
RECIPIENT_NOT_FOUND = 1401
REQUEST_PAYLOAD_TOO_LARGE = 1402
UNSUPPORTED_SERVER = 1403
UNSUPPORTED_VERSION = 1404
APPLICATION_ERROR = 1500
CONNECTION_TIMEOUT = 1501
RESPONSE_TIMEOUT = 1502
RECIPIENT_DISCONNECTED = 1503
RESPONSE_PAYLOAD_TOO_LARGE = 1504
SEND_FAILED = 1505

_TWIRP = {
    UNSUPPORTED_METHOD: "invalid_argument",
    RECIPIENT_NOT_FOUND: "not_found",
    REQUEST_PAYLOAD_TOO_LARGE: "invalid_argument",
    UNSUPPORTED_SERVER: "unimplemented",
    UNSUPPORTED_VERSION: "unimplemented",
    CONNECTION_TIMEOUT: "deadline_exceeded",
    RESPONSE_TIMEOUT: "canceled",
    RECIPIENT_DISCONNECTED: "unavailable",
}
"""RPC error → Twirp code; what the method itself raises is `internal`."""

_WORDS = {
    REQUEST_PAYLOAD_TOO_LARGE: "Request payload too large",
    CONNECTION_TIMEOUT: "Connection timeout",
    RESPONSE_TIMEOUT: "Response timeout",
    RECIPIENT_DISCONNECTED: "Recipient disconnected",
}


class RpcFailed(RequestError):
    """A method call did not give an answer; `meta` holds the far side's code and data."""

    def __init__(self, number: int, text: str = "", data: str = "") -> None:
        text = text or _WORDS.get(number, "the method failed")
        super().__init__(f"RpcError {number}: {text}" + (f": {data}" if data else ""))
        self.number = number
        self.code = _TWIRP.get(number, "internal")
        self.meta = {"rpc_code": str(number), "rpc_data": data}

    @classmethod
    def of(cls, error: models.RpcError) -> RpcFailed:
        """Return the error that a participant answered with."""
        return cls(error.code, error.message, error.data)
