"""The UDP sockets that the engine gets, and the addresses to advertise for them."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress

from roomful.errors import ConfigError

log = logging.getLogger(__name__)

BUFFER_BYTES = 8 << 20
_EVERYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, not bound
_ELSEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"""Documentation addresses: connecting a datagram socket there sends nothing."""


def bind_udp(addresses: Iterable[tuple[str, int]]) -> list[socket.socket]:
    """Bind one non-blocking socket per address, with large buffers.

    Several local addresses need a socket each, so that answers leave from the address that was
    asked. Port 0 takes any free port; further addresses with port 0 try to get the same one.

    Raises:
        ConfigError: an address cannot be bound; nothing stays open.
    """
    opened: list[socket.socket] = []
    for host, port in addresses:
        wanted = opened[0].getsockname()[1] if opened and port == 0 else port
        try:
            opened.append(_bind(host, wanted))
        except OSError as error:
            for sock in opened:
                sock.close()
            problem = f"rtc.udp_port: cannot bind {host}:{wanted}: {error.strerror}"
            raise ConfigError(problem) from error
    _log_buffers(opened)
    return opened


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    try:
        sock.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
    except BaseException:
        sock.close()
        raise
    return sock


def _log_buffers(sockets: Sequence[socket.socket]) -> None:
    """State once what the kernel granted; Linux reports twice the usable size."""
    for sock in sockets[:1]:
        granted = {
            "receive_bytes": sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2,
            "send_bytes": sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) // 2,
        }
        log.info("media sockets are bound", extra={"asked_bytes": BUFFER_BYTES, **granted})


def advertised(
    sockets: Sequence[socket.socket],
    node_ips: Sequence[str] = (),
    *,
    loopback_only: bool = False,
) -> list[tuple[str, int]]:
    """Name the addresses under which clients reach these sockets, the preferred ones first.

    `node_ips`, the public addresses in front of a NAT, replace what is bound of their family. A
    socket bound to every address is advertised with the one that the default route uses, in
    loopback mode with the loopback address.
    """
    found: list[tuple[str, int]] = []
    for sock in sockets:
        host, port = sock.getsockname()[:2]
        version_6 = sock.family == socket.AF_INET6
        public = [ip for ip in node_ips if (":" in ip) == version_6]
        if not public and host in _EVERYWHERE:
            loopback = "::1" if version_6 else "127.0.0.1"
            host = loopback if loopback_only else _routed(sock.family) or loopback
        found += [(ip, port) for ip in public or [host] if (ip, port) not in found]
    return found


def _routed(family: int) -> str:
    """Return the source address of the default route, empty if there is none."""
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((_ELSEWHERE[socket.AddressFamily(family)], 9))
        return str(probe.getsockname()[0])
    return ""
