"""What must hold before any listener opens; every way to fail is one `ConfigError`."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

from roomful.auth.keys import KeyRing
from roomful.errors import ConfigError
from roomful.settings import Settings


def preflight(settings: Settings) -> None:
    """Check keys, data directory, TLS files and ports."""
    KeyRing(settings.keys).check(settings.bind, serving=not settings.is_dev)
    _check_data_dir(settings.data_dir)
    for name, file in (("certificate", settings.tls.certificate), ("key", settings.tls.key)):
        if file is not None and not os.access(file, os.R_OK):
            raise ConfigError(
                f"setting 'tls.{name}': {str(file)!r} cannot be read; give a PEM file that this "
                "user may read"
            )
    for address in settings.bind:
        _check_port(address, settings.port)


def _check_data_dir(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError:
        raise ConfigError(_data_dir(path, "is a file", "name a directory")) from None
    except OSError as error:
        raise ConfigError(
            _data_dir(path, f"cannot be made: {error.strerror}", "make it, or use --data-dir")
        ) from error
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise ConfigError(
            _data_dir(path, "cannot be read and written", "change its owner, or use --data-dir")
        )


def _data_dir(path: Path, problem: str, remedy: str) -> str:
    return f"setting 'data_dir': {str(path)!r} {problem}; {remedy}"


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
