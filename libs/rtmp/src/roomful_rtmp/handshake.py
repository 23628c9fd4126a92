"""The simple handshake, both roles (RTMP 1.0 section 5.2).

C0 must be version 3; of C1 and S1 only the length counts; S2 echoes C1, C2 echoes S1, and neither
is checked, since encoders fill them with what they like.
"""

from __future__ import annotations

from roomful.errors import RemoteProtocolError

VERSION = 3
BLOCK = 1536
_RANDOM = bytes(range(256)) * 6
"""not random: nothing here is authenticated by it"""


class Handshake:
    """One side; `output` is what to send, `rest` what came after the far side's last block."""

    def __init__(self, *, is_client: bool) -> None:
        self._is_client = is_client
        self._data = bytearray()
        self._answered = False
        self.output = bytearray()
        self.done = False
        if is_client:
            self.output += bytes((VERSION,)) + self._block()

    @staticmethod
    def _block() -> bytes:
        return bytes(8) + _RANDOM[: BLOCK - 8]

    def receive(self, data: bytes) -> bytes:
        """Take bytes; return those that belong to chunks already. Raises `RemoteProtocolError`."""
        self._data += data
        if self._data and self._data[0] != VERSION:
            raise RemoteProtocolError("no RTMP: the first byte is not version 3")
        if not self._answered and len(self._data) >= 1 + BLOCK:
            self._answered = True
            theirs = bytes(self._data[1 : 1 + BLOCK])
            if not self._is_client:
                self.output += bytes((VERSION,)) + self._block()
            self.output += theirs
        if len(self._data) < 1 + 2 * BLOCK:
            return b""
        self.done = True
        rest = bytes(self._data[1 + 2 * BLOCK :])
        self._data.clear()
        return rest
