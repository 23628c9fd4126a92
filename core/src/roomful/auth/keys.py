"""API keys and their secrets: from settings, or from a plugin that knows more of them."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping

from pydantic import SecretStr

from roomful.errors import ConfigError

log = logging.getLogger(__name__)

FindSecret = Callable[[str], Awaitable[str | None]]
"""hook `find_api_secret(key)`: the secret, or None for a key nobody knows"""

DEV_KEY, DEV_SECRET = "devkey", "secret"
SECRET_BYTES = 32
"""HS256 is as strong as its hash from this length on (RFC 7518 section 3.2)"""


async def _nobody(key: str) -> str | None:
    return None


class KeyRing:
    """Secrets by key. Shows names only, never a secret."""

    def __init__(
        self, keys: Mapping[str, SecretStr | str], find_api_secret: FindSecret | None = None
    ) -> None:
        self._secrets = {key: SecretStr(_plain(secret)) for key, secret in keys.items()}
        self._find = find_api_secret or _nobody

    def __repr__(self) -> str:
        return f"KeyRing({sorted(self._secrets)})"

    @property
    def names(self) -> tuple[str, ...]:
        """Keys of the settings, in their order; those of plugins are not known in advance."""
        return tuple(self._secrets)

    async def secret(self, key: str) -> str | None:
        """Return the secret of `key`, or None when neither settings nor a plugin know it."""
        known = self._secrets.get(key)
        if known is not None:
            return known.get_secret_value()
        return await self._find(key) or None

    def check(self, binds: Iterable[str], *, serving: bool) -> None:
        """Raise `ConfigError` for keys that must not be used on these addresses; warn of weak ones.

        `serving` is true for `serve` and false for `dev`, whose well-known pair is fine on
        loopback only.
        """
        dev = self._secrets.get(DEV_KEY)
        if dev is not None and dev.get_secret_value() == DEV_SECRET:
            _refuse_dev_pair(binds, serving=serving)
        for key, secret in self._secrets.items():
            if not secret.get_secret_value():
                raise ConfigError(f"[keys] {key}: the secret is empty; set one of 32 bytes or more")
            if len(secret.get_secret_value().encode()) < SECRET_BYTES:
                log.warning("API secret is shorter than 32 bytes", extra={"key": key})


def _refuse_dev_pair(binds: Iterable[str], *, serving: bool) -> None:
    if serving:
        raise ConfigError(
            f"[keys] {DEV_KEY}: the development pair is known to everybody; "
            "make a key and a secret of your own for `serve`"
        )
    public = [address for address in binds if not _is_loopback(address)]
    if public:
        raise ConfigError(
            f"bind {public[0]!r}: the development keys are for loopback only; "
            "bind to 127.0.0.1 or set [keys]"
        )


def _is_loopback(address: str) -> bool:
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _plain(secret: SecretStr | str) -> str:
    return secret.get_secret_value() if isinstance(secret, SecretStr) else secret
