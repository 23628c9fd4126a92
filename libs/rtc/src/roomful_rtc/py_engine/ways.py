"""The engine's UDP sockets: which one reaches an address, and how the kernel spells it."""

from __future__ import annotations

import ipaddress
import socket
from collections import OrderedDict
from collections.abc import Sequence
from itertools import cycle
from typing import Any

from roomful_rtc.engine import Address

_MAPPED = "::ffff:"
_REMEMBERED = 4096
_UNREACHABLE = frozenset({"0.0.0.0", "::", "255.255.255.255"})  # noqa: S104 - refused targets


class Ways:
    """Several sockets of one family are told apart by where an address was last heard."""

    def __init__(self, sockets: Sequence[socket.socket]) -> None:
        if not sockets:
            raise ValueError("an engine needs at least one socket")
        for sock in sockets:
            if sock.type != socket.SOCK_DGRAM or sock.family not in _FAMILIES:
                raise ValueError("an engine works on UDP sockets")
            sock.setblocking(False)
        self.sockets = tuple(sockets)
        self.plain = frozenset(sock for sock in sockets if sock.family == socket.AF_INET)
        """sockets whose addresses need no normalising"""
        self._v4 = [sock for sock in sockets if sock.family == socket.AF_INET]
        self._v6 = [sock for sock in sockets if sock.family == socket.AF_INET6]
        self.ambiguous = len(self._v4) > 1 or len(self._v6) > 1
        """an address does not tell the socket to answer from"""
        self._heard: OrderedDict[Address, socket.socket] = OrderedDict()
        self._orders = cycle([self.sockets[at:] + self.sockets[:at] for at in range(len(sockets))])

    def in_turn(self) -> Sequence[socket.socket]:
        """Return all sockets, each time beginning with the next one: none keeps the others waiting."""
        return next(self._orders)

    def normalise(self, raw: Any) -> Address:
        """Return `(host, port)` of what `recvfrom` gave; IPv4-mapped IPv6 becomes IPv4."""
        host: str = raw[0]
        if host.startswith(_MAPPED) and "." in host:
            return host[len(_MAPPED) :], raw[1]
        if len(raw) > 3 and raw[3]:
            host = f"{host}%{raw[3]}"
        return host, raw[1]

    def heard(self, addr: Address, sock: socket.socket) -> None:
        """Remember over which of several sockets an address came; needed when `ambiguous`."""
        self._heard[addr] = sock
        self._heard.move_to_end(addr)
        if len(self._heard) > _REMEMBERED:
            self._heard.popitem(last=False)

    def to(self, addr: Address) -> tuple[socket.socket, Any]:
        """Return the socket for an address and the address for the socket; `ValueError` if none."""
        host, port = addr
        if not 0 < port < 65536 or host in _UNREACHABLE or not _is_unicast(host):
            raise ValueError(f"nothing is sent to {host} port {port}")
        heard = self._heard.get(addr)
        if ":" in host:
            sock = heard or (self._v6[0] if self._v6 else None)
            spelled: Any = addr
        elif self._v4:
            sock, spelled = heard or self._v4[0], addr
        else:
            sock, spelled = heard or self._v6[0], (_MAPPED + host, port)
        if sock is None:
            raise ValueError("no socket of this address family")
        if heard is not None and heard.family == socket.AF_INET6 and ":" not in host:
            spelled = (_MAPPED + host, port)
        return sock, spelled


_FAMILIES = frozenset({socket.AF_INET, socket.AF_INET6})


def _is_unicast(host: str) -> bool:
    """Say whether `host` is a numeric address that may be sent to."""
    try:
        return not ipaddress.ip_address(host).is_multicast
    except ValueError:
        return False
