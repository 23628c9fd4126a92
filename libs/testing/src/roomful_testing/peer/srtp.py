"""SRTP of a raw peer on one reused buffer (RFC 3711, RFC 7714)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pylibsrtp import Error, Policy, Session, ffi, lib

BUFFER_BYTES = 2048
_OK = 0

PROFILES: dict[bytes, tuple[int, int, int]] = {
    b"SRTP_AEAD_AES_256_GCM": (Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 32, 12),
    b"SRTP_AEAD_AES_128_GCM": (Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 16, 12),
    b"SRTP_AES128_CM_SHA1_80": (Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 16, 14),
}
"""OpenSSL's name → (libsrtp's number, bytes of key, bytes of salt), in the order of preference"""


@dataclass(frozen=True, slots=True)
class Keys:
    """What a handshake brought: key and salt of either direction."""

    profile: bytes
    mine: bytes = field(repr=False)
    theirs: bytes = field(repr=False)


class Buffer:
    """Memory in which packets are received, written, sealed and opened."""

    __slots__ = ("_length", "memory", "view")

    def __init__(self) -> None:
        self.memory: Any = ffi.new("char[]", BUFFER_BYTES)
        self.view = memoryview(ffi.buffer(self.memory)).cast("B")
        self._length: Any = ffi.new("int *")

    def seal(self, context: Any, size: int) -> int:
        """Protect the first `size` bytes; return the new size. Raises ValueError."""
        self._length[0] = size
        if lib.srtp_protect(context, self.memory, self._length) != _OK:
            raise ValueError("a packet was not protected")
        return int(self._length[0])

    def open(self, context: Any, size: int) -> int:
        """Authenticate and decrypt the first `size` bytes; return the new size, 0 if refused."""
        self._length[0] = size
        if lib.srtp_unprotect(context, self.memory, self._length) != _OK:
            return 0
        return int(self._length[0])


class Ciphers:
    """Both directions. `tx` and `rx` go into `Buffer.seal` and `Buffer.open`."""

    def __init__(self, keys: Keys) -> None:
        self._out = _session(keys.profile, keys.mine, Policy.SSRC_ANY_OUTBOUND)
        self._in = _session(keys.profile, keys.theirs, Policy.SSRC_ANY_INBOUND)
        self.tx: Any = self._out._srtp[0]
        self.rx: Any = self._in._srtp[0]

    def seal_rtcp(self, packet: bytes) -> bytes:
        """Protect a compound packet."""
        return bytes(self._out.protect_rtcp(packet))

    def open_rtcp(self, data: bytes) -> bytes | None:
        """Decrypt a compound packet; None when it is not the peer's."""
        try:
            return bytes(self._in.unprotect_rtcp(data))
        except Error:
            return None


def outgoing(profile: bytes, key: bytes) -> Session:
    """A context that protects any stream; `key` is key and salt."""
    return _session(profile, key, Policy.SSRC_ANY_OUTBOUND)


def _session(profile: bytes, key: bytes, ssrc_type: int) -> Session:
    number, _, _ = PROFILES[profile]
    return Session(Policy(key=key, ssrc_type=ssrc_type, srtp_profile=number))
