"""Connectivity checks of a raw peer, which is always controlling (RFC 8445)."""

from __future__ import annotations

import secrets
import string

from aioice import stun

ALPHABET = string.ascii_letters + string.digits
PRIORITY = 1_845_501_695  # of a peer-reflexive candidate


def word(length: int) -> str:
    """Random letters and digits."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


class Checks:
    """Makes checks that nominate at once and answers those of the other side."""

    def __init__(self) -> None:
        self.ufrag, self.pwd = word(4), word(24)
        self._tie_breaker = secrets.randbits(64)

    def request(self, ufrag: str, pwd: str) -> bytes:
        """A check to the peer with these credentials."""
        message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        message.attributes["USERNAME"] = f"{ufrag}:{self.ufrag}"
        message.attributes["PRIORITY"] = PRIORITY
        message.attributes["ICE-CONTROLLING"] = self._tie_breaker
        message.attributes["USE-CANDIDATE"] = None
        message.add_message_integrity(pwd.encode())
        message.add_fingerprint()
        return bytes(message)

    def take(self, data: bytes, address: tuple[str, int]) -> tuple[bool, bytes]:
        """Read a STUN message from `address`; return (our check was answered, what to answer)."""
        try:
            message = stun.parse_message(data)
        except ValueError:
            return False, b""
        if message.message_class == stun.Class.RESPONSE:
            return True, b""
        if message.message_class != stun.Class.REQUEST:
            return False, b""
        answer = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, message.transaction_id)
        answer.attributes["XOR-MAPPED-ADDRESS"] = address
        answer.add_message_integrity(self.pwd.encode())
        answer.add_fingerprint()
        return False, bytes(answer)
