"""SRTP written out once more from the RFCs, on `cryptography` only: the judge of engines.

Key derivation is RFC 3711 section 4.3 (RFC 7714 section 11 for GCM), the transforms are RFC 3711
section 4.1.1 with HMAC-SHA1-80 and RFC 7714 section 8. One packet at a time, roll-over counter
given by the caller. Slow, plain, for tests.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from roomful_rtc.engine import AES_128_CM, AES_128_GCM, AES_256_GCM

_KEY_AND_SALT_SIZES = {AES_256_GCM: (32, 12), AES_128_GCM: (16, 12), AES_128_CM: (16, 14)}
_LABEL_CIPHER, _LABEL_AUTH, _LABEL_SALT = 0, 1, 2
_TAG = 10


def keystream(key: bytes, counter: bytes, size: int) -> bytes:
    """AES in counter mode from a 16-byte counter block."""
    encryptor = Cipher(algorithms.AES(key), modes.CTR(counter)).encryptor()
    return encryptor.update(bytes(size))


def derive(master: bytes, salt: bytes, label: int, size: int) -> bytes:
    """One session key, with a key derivation rate of 0."""
    padded = salt.ljust(14, b"\0")
    start = int.from_bytes(padded, "big") ^ label << 48
    return keystream(master, (start << 16).to_bytes(16, "big"), size)


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """What one direction of one peer is protected with."""

    profile: str
    cipher: bytes
    auth: bytes
    salt: bytes

    @classmethod
    def of(cls, profile: str, key_and_salt: bytes) -> SessionKeys:
        key_size, salt_size = _KEY_AND_SALT_SIZES[profile]
        master, salt = key_and_salt[:key_size], key_and_salt[key_size:]
        return cls(
            profile,
            derive(master, salt, _LABEL_CIPHER, key_size),
            derive(master, salt, _LABEL_AUTH, 20),
            derive(master, salt, _LABEL_SALT, salt_size),
        )

    def protect(self, plain: bytes, roc: int) -> bytes:
        at = _head_size(plain)
        head, payload = plain[:at], plain[at:]
        if self.profile == AES_128_CM:
            body = head + _xor(payload, self._stream(head, roc, len(payload)))
            return body + self._tag(body, roc)
        return head + AESGCM(self.cipher).encrypt(self._nonce(head, roc), payload, head)

    def unprotect(self, data: bytes, roc: int) -> bytes:
        """Raises `cryptography.exceptions.InvalidTag` or `ValueError` when it is not genuine."""
        at = _head_size(data)
        head = data[:at]
        if self.profile == AES_128_CM:
            body, tag = data[:-_TAG], data[-_TAG:]
            if not hmac.compare_digest(tag, self._tag(body, roc)):
                raise ValueError("the tag is wrong")
            return head + _xor(body[at:], self._stream(head, roc, len(body) - at))
        return head + AESGCM(self.cipher).decrypt(self._nonce(head, roc), data[at:], head)

    def _stream(self, head: bytes, roc: int, size: int) -> bytes:
        ssrc, index = int.from_bytes(head[8:12], "big"), _index(head, roc)
        salt = int.from_bytes(self.salt, "big") << 16
        counter = salt ^ ssrc << 64 ^ index << 16
        return keystream(self.cipher, counter.to_bytes(16, "big"), size)

    def _tag(self, body: bytes, roc: int) -> bytes:
        return hmac.new(self.auth, body + roc.to_bytes(4, "big"), hashlib.sha1).digest()[:_TAG]

    def _nonce(self, head: bytes, roc: int) -> bytes:
        ssrc = int.from_bytes(head[8:12], "big")
        value = ssrc << 48 | roc << 16 | int.from_bytes(head[2:4], "big")
        return (value ^ int.from_bytes(self.salt, "big")).to_bytes(12, "big")


def _head_size(data: bytes) -> int:
    size = 12 + 4 * (data[0] & 0x0F)
    if data[0] & 0x10:
        size += 4 + 4 * int.from_bytes(data[size + 2 : size + 4], "big")
    return size


def _index(head: bytes, roc: int) -> int:
    return roc << 16 | int.from_bytes(head[2:4], "big")


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
