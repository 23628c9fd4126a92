"""STUN and TURN servers that clients are told to use, with credentials that expire. Sans-IO.

Time-limited credentials as TURN servers know them (draft-uberti-behave-turn-rest-00): the user name
is `expiry:identity`, the password the base64 of its HMAC-SHA1 under a secret shared with the TURN
server. SHA-1 is what that scheme prescribes.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field

DEFAULT_TTL_S = 86_400


@dataclass(frozen=True, slots=True)
class IceServer:
    """What a client gets."""

    urls: tuple[str, ...]
    """`stun:host:port`, `turn:host:port?transport=udp`, `turns:…`"""
    username: str = ""
    credential: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class IceServerSpec:
    """What the operator set: nothing, fixed credentials, or a secret to make them from."""

    urls: tuple[str, ...]
    username: str = ""
    credential: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)
    ttl_s: int = DEFAULT_TTL_S

    def issue(self, identity: str, now_s: int) -> IceServer:
        """Return the server for one participant; `now_s`: Unix time."""
        if not self.secret:
            return IceServer(self.urls, self.username, self.credential)
        username = f"{now_s + self.ttl_s}:{identity}"
        digest = hmac.digest(self.secret.encode(), username.encode(), hashlib.sha1)
        return IceServer(self.urls, username, base64.b64encode(digest).decode())
