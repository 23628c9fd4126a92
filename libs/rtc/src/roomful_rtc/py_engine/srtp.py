"""SRTP for `PyEngine`: libsrtp called on reused buffers through pylibsrtp's cffi handle.

One context per peer and direction; streams appear by SSRC. Outgoing contexts refuse to protect an
index twice (RFC 3711 section 9.1: one nonce, one content); incoming ones refuse replays.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# (pylibsrtp's binding is generated and has no types)

from __future__ import annotations

from collections.abc import Callable
from socket import htonl
from typing import Any

from pylibsrtp import Policy, Session, ffi, lib

from roomful_rtc.engine import AES_128_CM, AES_128_GCM, AES_256_GCM, KEY_AND_SALT

OK = 0
AUTH_FAILED, REPLAYED, TOO_OLD = 7, 9, 10
"""`srtp_err_status_t` of libsrtp 2."""

WINDOW = 1024
"""Packets a replay window reaches back, both ways."""

MAX_TRAILER = 16
"""Longest authentication tag of the three profiles; no MKI is used."""

Transform = Callable[[Any, Any, Any], int]
"""(context handle, buffer, length cell) → status; works in place"""

protect: Transform = lib.srtp_protect
unprotect: Transform = lib.srtp_unprotect

_PROFILES: dict[str, int] = {
    AES_256_GCM: Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
    AES_128_GCM: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    AES_128_CM: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
}


class Buffer:
    """Memory that libsrtp works on in place, with a view and a length cell."""

    __slots__ = ("data", "length", "view")

    def __init__(self, size: int) -> None:
        self.data: Any = ffi.new("char[]", size)
        self.view = memoryview(ffi.buffer(self.data)).cast("B")
        self.length: Any = ffi.new("int *")


class Context:
    """One libsrtp context. `handle` goes into `protect` or `unprotect`."""

    __slots__ = ("_session", "handle")

    def __init__(self, profile: str, key: bytes, *, outgoing: bool) -> None:
        if profile not in _PROFILES:
            raise ValueError(f"unknown SRTP profile {profile!r}")
        if len(key) != KEY_AND_SALT[profile]:
            raise ValueError(f"{profile} needs {KEY_AND_SALT[profile]} bytes of key and salt")
        policy = Policy(
            key=key,
            ssrc_type=Policy.SSRC_ANY_OUTBOUND if outgoing else Policy.SSRC_ANY_INBOUND,
            srtp_profile=_PROFILES[profile],
        )
        policy.allow_repeat_tx = False
        policy.window_size = WINDOW
        self._session = Session(policy)
        copied: Any = policy.key
        copied[:] = bytes(len(key))
        self.handle: Any = self._session._srtp[0]  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]

    def forget(self, ssrc: int) -> None:
        """Free the stream of an SSRC, which must never be used with this key again."""
        lib.srtp_remove_stream(self.handle, htonl(ssrc))
