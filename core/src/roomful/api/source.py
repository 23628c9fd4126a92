"""Where a request comes from: the peer, or whom a trusted proxy says it speaks for."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from aiohttp import web

Network = IPv4Network | IPv6Network


def source_of(request: web.Request, trusted_proxies: Sequence[Network]) -> str:
    """Return the source address of a request, normalised; `X-Forwarded-For` counts only from
    `trusted_proxies`, read from its end: the first address that is no proxy of ours."""
    peer = request.remote or ""
    if not is_trusted(peer, trusted_proxies):
        return normalised(peer)
    forwarded = ",".join(request.headers.getall("X-Forwarded-For", [])).split(",")
    for hop in reversed([hop.strip() for hop in forwarded if hop.strip()]):
        if parsed(hop) is None:
            break
        peer = hop
        if not is_trusted(hop, trusted_proxies):
            break
    return normalised(peer)


def is_trusted(address: str, trusted_proxies: Sequence[Network]) -> bool:
    """Whether an address is one of the operator's proxies."""
    known = parsed(address)
    return known is not None and any(known in network for network in trusted_proxies)


def normalised(address: str) -> str:
    """Return one spelling for each address: IPv4 where it is mapped, no zone."""
    known = parsed(address)
    return address if known is None else str(known)


def parsed(address: str) -> IPv4Address | IPv6Address | None:
    """Return the address, or None for what is none."""
    try:
        known = ip_address(address.partition("%")[0].strip("[]"))
    except ValueError:
        return None
    if isinstance(known, IPv6Address) and known.ipv4_mapped is not None:
        return known.ipv4_mapped
    return known
