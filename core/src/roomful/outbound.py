"""The guarded HTTP client: `server.outbound`, for webhooks and for URLs that users give.

Two classes of target. **Operator** targets come from settings and may be anything. **Request**
targets come from API calls: scheme and port are checked, the name is resolved once, every address
it stands for must be public (or in a network of `allow_private`), and the connection goes to
exactly that address, with the original name for TLS. Nobody's environment sets a proxy; redirects
are off, or each hop is checked like the first.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from multidict import CIMultiDict
from yarl import URL

from roomful.bounds import (
    OUTBOUND_ANSWER_BYTES,
    OUTBOUND_CONNECT_S,
    OUTBOUND_HOPS,
    OUTBOUND_WHOLE_S,
)
from roomful.errors import ConnectionLost, InvalidArgument, TransportError, TransportTimeout

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

DENIED_PORTS = frozenset({0, 1, 7, 9, 11, 13, 17, 19, 20, 21, 22, 23, 25, 53, 110, 111, 135, 139,
                          143, 389, 445, 465, 587, 993, 995, 2049, 3306, 5432, 6379, 11211, 27017})  # fmt: skip
"""ports of services that must never be spoken HTTP to on a user's word"""

_NAT64 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CGNAT = ipaddress.ip_network("100.64.0.0/10")


@dataclass(frozen=True, slots=True)
class TargetPolicy:
    """What request targets may be."""

    schemes: frozenset[str] = frozenset({"https", "http"})
    allow_private: tuple[Network, ...] = ()
    """networks that are reachable although they are not public: loopback in dev and tests"""

    def check_url(self, url: URL) -> None:
        """Raise `InvalidArgument` for a URL whose form alone refuses it."""
        if url.scheme not in self.schemes:
            known = ", ".join(sorted(self.schemes))
            raise InvalidArgument(f"URL scheme {url.scheme!r} is not one of {known}")
        if url.user is not None or url.password is not None:
            raise InvalidArgument("a URL must not carry a user or a password")
        if not url.host:
            raise InvalidArgument("a URL needs a host")
        if url.port is None or url.port in DENIED_PORTS:
            raise InvalidArgument(f"port {url.port} is not allowed in a URL")
        literal = _literal(url.host)
        if literal is not None:
            self.check_address(literal)

    def check_address(self, address: Address) -> None:
        """Raise `InvalidArgument` for an address that is neither public nor allowed."""
        address = normalised(address)
        if any(address in network for network in self.allow_private):
            return
        if not is_public(address):
            raise InvalidArgument("the URL's host is not a public address")


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; `body` is cut at 64 KiB."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Sent:
    method: str
    url: URL
    operator: bool
    body: bytes | None = None
    headers: Mapping[str, str] | None = None


class Outbound:
    """Sends requests; close it when the server stops."""

    def __init__(
        self, policy: TargetPolicy | None = None, resolver: AbstractResolver | None = None
    ) -> None:
        """`resolver` answers names; the system's when None."""
        self.policy = policy or TargetPolicy()
        self._resolver = resolver
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def request(
        self,
        method: str,
        url: str,
        *,
        operator: bool = False,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        redirects: bool = False,
    ) -> Answer:
        """Send one request and return its answer, within 30 s in all.

        `operator`: the URL is from settings and may be anything. `redirects`: follow up to three,
        as request targets, without body and headers. Raises `InvalidArgument` for a target that is
        not allowed, `TransportError`s for one that does not answer.
        """
        sent = _Sent(method, _parsed(url), operator, body, headers)
        try:
            async with asyncio.timeout(OUTBOUND_WHOLE_S):
                return await self._follow(sent) if redirects else await self._send(sent)
        except TimeoutError as error:
            raise TransportTimeout("the host did not answer in time") from error
        except aiohttp.ClientError as error:
            raise _transport_error(error) from error

    async def close(self) -> None:
        """Close all connections."""
        sessions, self._sessions = list(self._sessions.values()), {}
        for session in sessions:
            await session.close()

    async def _follow(self, sent: _Sent) -> Answer:
        for _ in range(OUTBOUND_HOPS + 1):
            answer = await self._send(sent)
            location = answer.headers.get("Location")
            if answer.status not in _REDIRECTS or not location:
                return answer
            # Nothing that was meant for the first host goes to another.
            sent = _Sent("GET", sent.url.join(_parsed(location)), operator=False)
        raise ConnectionLost(f"the host redirected more than {OUTBOUND_HOPS} times")

    async def _send(self, sent: _Sent) -> Answer:
        if not sent.operator:
            self.policy.check_url(sent.url)
        async with self._session(sent.operator).request(
            sent.method, sent.url, data=sent.body, headers=sent.headers, allow_redirects=False
        ) as response:
            body = bytearray()
            while len(body) < OUTBOUND_ANSWER_BYTES:
                more = await response.content.read(OUTBOUND_ANSWER_BYTES - len(body))
                if not more:
                    break
                body += more
            else:
                response.close()
            return Answer(response.status, CIMultiDict(response.headers), bytes(body))

    def _session(self, operator: bool) -> aiohttp.ClientSession:
        """One session for each class: a connection made for one is never used for the other."""
        session = self._sessions.get(operator)
        if session is None:
            inner = self._resolver or aiohttp.ThreadedResolver()
            session = self._sessions[operator] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    resolver=inner if operator else CheckedResolver(inner, self.policy),
                    use_dns_cache=False,
                    limit_per_host=16,
                ),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=OUTBOUND_CONNECT_S),
                trust_env=False,
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("Accept-Encoding",),
                headers={"User-Agent": "roomful", "Accept-Encoding": "identity"},
            )
        return session


class CheckedResolver(AbstractResolver):
    """Resolves a name once and lets it through only if everything it stands for is allowed."""

    def __init__(self, inner: AbstractResolver, policy: TargetPolicy) -> None:
        self._inner, self._policy = inner, policy

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses; the caller connects to these and to no others."""
        found = await self._inner.resolve(host, port, family)
        for result in found:
            self._policy.check_address(_address(result["host"]))
        return found

    async def close(self) -> None:
        """Close the resolver below."""
        await self._inner.close()


def normalised(address: Address) -> Address:
    """Return the address that packets to this one reach: what is mapped or embedded, unwrapped."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if any(address in network for network in _NAT64) or int(address) >> 32 == 0:
        return IPv4Address(int(address) & 0xFFFFFFFF) if int(address) > 1 else address
    return IPv6Address(int(address))  # without its zone


def is_public(address: Address) -> bool:
    """Whether anybody on the internet could be meant by it."""
    address = normalised(address)
    if isinstance(address, IPv4Address) and address in _CGNAT:
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _parsed(url: str) -> URL:
    try:
        return URL(url)
    except ValueError as error:
        raise InvalidArgument("the URL cannot be parsed") from error


def _literal(host: str) -> Address | None:
    try:
        return _address(host)
    except ValueError:
        return None


def _address(text: str) -> Address:
    return ipaddress.ip_address(text.partition("%")[0].strip("[]"))


def _transport_error(error: aiohttp.ClientError) -> TransportError | InvalidArgument:
    """Name what went wrong without repeating the URL, which may hold a secret."""
    if isinstance(error, aiohttp.InvalidURL):
        return InvalidArgument("the URL's host is not written as hosts are")
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, InvalidArgument):
            return cause
        cause = cause.__cause__ or getattr(cause, "os_error", None)
    return ConnectionLost(f"the host could not be reached ({type(error).__name__})")
