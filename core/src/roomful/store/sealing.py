"""Secrets at rest: AES-256-GCM (NIST SP 800-38D) with a key of the data directory.

What is sealed is bound to its place (table, row, field): a sealed value copied to another row does
not open there. Nonces are 96 random bits, a fresh one for each value.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from roomful.errors import ConfigError

KEY_BYTES = 32
_NONCE_BYTES = 12


class Sealer:
    """Seals and opens texts with one key."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ConfigError(f"the key of the data directory is not {KEY_BYTES} bytes long")
        self._aead = AESGCM(key)
        self.fingerprint = hashlib.sha256(b"roomful store key\0" + key).hexdigest()[:16]
        """tells keys apart without telling the key"""

    @classmethod
    def random(cls) -> Sealer:
        """A key that is gone with the process; for stores in memory."""
        return cls(secrets.token_bytes(KEY_BYTES))

    def seal(self, text: str, place: str) -> str:
        """Return the sealed text as base64."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._aead.encrypt(nonce, text.encode(), place.encode())
        return base64.b64encode(nonce + sealed).decode()

    def open(self, sealed: str, place: str) -> str:
        """Return the text; `ConfigError` when key, place or value are not the ones it was made with."""
        try:
            raw = base64.b64decode(sealed, validate=True)
            return self._aead.decrypt(
                raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], place.encode()
            ).decode()
        except (InvalidTag, binascii.Error, ValueError) as error:
            raise ConfigError(
                f"a sealed value of {place!r} does not open with data_dir/secret.key: "
                "put back the key that belongs to this data directory"
            ) from error
