"""What must hold before any listener opens; every way to fail is one `ConfigError`."""

from __future__ import annotations

import errno
import socket

from roomful.auth.keys import KeyRing
from roomful.errors import ConfigError
from roomful.settings import Settings


def preflight(settings: Settings) -> None:
    """Check keys and ports; the server itself checks its data directory and TLS files."""
    KeyRing(settings.keys).check(settings.bind, serving=not settings.is_dev)
    for address in settings.bind:
        _check_port(address, settings.port)


def _check_port(address: str, port: int) -> None:
    """Bind once and let go; the server binds again a moment later."""
    try:
        found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror:
        raise ConfigError(f"setting 'bind': {address!r} is no address; correct it") from None
    family, kind, protocol, _, target = found[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            probe.bind(target)
        except OSError as error:
            raise ConfigError(_unbindable(address, port, error)) from error


def _unbindable(address: str, port: int, error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return (
                f"setting 'port': {port} on {address} is in use; stop the program that has it, or "
                "choose another with --port"
            )
        case errno.EADDRNOTAVAIL:
            return f"setting 'bind': this machine has no address {address!r}; correct it"
        case errno.EACCES:
            return (
                f"setting 'port': this user may not open {port}; choose one above 1023, or grant "
                "CAP_NET_BIND_SERVICE"
            )
        case _:
            return (
                f"setting 'bind': {address} port {port} cannot be opened: {error.strerror}; "
                "correct it"
            )
