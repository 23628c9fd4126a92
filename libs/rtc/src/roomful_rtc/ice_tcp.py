"""ICE over TCP, passive side (RFC 6544): packets with a two-byte length (RFC 4571) on one port.

A connection is a stranger until a check of it was proved; strangers are few per source and in all,
and have 5 s. Behind that its packets take the same ways as datagrams, under the address
`("tcp:" + host, port)`. What the peer does not read is held up to a bound, then it is cut off.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass

from roomful.errors import ConfigError
from roomful_rtc.engine import Address
from roomful_rtc.mux import TCP_PREFIX, Mux

log = logging.getLogger(__name__)

MAX_PACKET = 1500
CLOSE_S = 2.0
PACKETS_PER_TURN = 64


@dataclass(frozen=True, slots=True)
class TcpLimits:
    """Bounds of ICE-TCP."""

    first_check_s: float = 5.0
    strangers_per_source: int = 4
    strangers: int = 512
    write_bytes: int = 256 * 1024


class Framing:
    """Cuts a byte stream into packets (RFC 4571), sans-IO."""

    def __init__(self) -> None:
        self._pending = bytearray()
        """bounded: at most one packet and what one read brought"""

    def receive(self, data: bytes) -> list[bytes]:
        """Return the packets that are complete now.

        Raises:
            ValueError: a length of 0 or more than 1,500; the stream is of no use any more.
        """
        pending = self._pending
        pending += data
        packets: list[bytes] = []
        start = 0
        while len(pending) - start >= 2:
            length = int.from_bytes(pending[start : start + 2], "big")
            if not 0 < length <= MAX_PACKET:
                raise ValueError(f"a packet of {length} bytes")
            end = start + 2 + length
            if len(pending) < end:
                break
            packets.append(bytes(pending[start + 2 : end]))
            start = end
        del pending[:start]
        return packets


class TcpListener:
    """Accepts connections for a mux; `start`, `close`."""

    def __init__(self, mux: Mux, limits: TcpLimits | None = None) -> None:
        self.mux, self.limits = mux, limits or TcpLimits()
        self._servers: list[asyncio.Server] = []
        self._connections: set[_Connection] = set()
        self._strangers: Counter[str] = Counter()

    async def start(self, addresses: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
        """Listen; return the addresses taken. Port 0 takes any free port.

        Raises:
            ConfigError: an address cannot be bound; nothing stays open.
        """
        loop = asyncio.get_running_loop()
        taken: list[tuple[str, int]] = []
        for host, port in addresses:
            wanted = taken[0][1] if taken and port == 0 else port
            try:
                server = await loop.create_server(lambda: _Connection(self), host, wanted)
            except OSError as error:
                await self.close()
                raise ConfigError(
                    f"rtc.tcp_port: cannot bind {host}:{wanted}: {error.strerror}"
                ) from error
            self._servers.append(server)
            taken += [sock.getsockname()[:2] for sock in server.sockets]
        return taken

    async def close(self) -> None:
        """Stop listening, close every connection, return when all are closed."""
        for server in self._servers:
            server.close()
        connections = tuple(self._connections)
        for connection in connections:
            connection.abort()
        await asyncio.gather(*(connection.closed for connection in connections))
        self._servers.clear()

    @property
    def strangers(self) -> int:
        """Connections without a proved check."""
        return self._strangers.total()

    def enter(self, connection: _Connection, host: str) -> bool:
        """Count a new connection; False when there are too many strangers already."""
        self._connections.add(connection)
        full = (
            self._strangers.total() >= self.limits.strangers
            or self._strangers[host] >= self.limits.strangers_per_source
        )
        if full:
            self.mux.drops["tcp_connections"] += 1
            return False
        self._strangers[host] += 1
        return True

    def leave_strangers(self, host: str) -> None:
        """One of the strangers was proved, or left."""
        self._strangers[host] -= 1
        if self._strangers[host] <= 0:
            del self._strangers[host]

    def leave(self, connection: _Connection) -> None:
        """Forget a closed connection."""
        self._connections.discard(connection)


class _Connection(asyncio.Protocol):
    """One TCP connection; what the mux calls a `Stream`."""

    def __init__(self, listener: TcpListener) -> None:
        self._listener, self._mux = listener, listener.mux
        self._framing = Framing()
        self._packets: deque[bytes] = deque()
        """bounded: of one read, reading pauses while some wait"""
        self._transport: asyncio.Transport | None = None
        self._addr: Address = ("", 0)
        self._host = ""
        self._stranger = False
        self._patience: asyncio.TimerHandle | None = None
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        host, port = transport.get_extra_info("peername")[:2]
        self._host = host.removeprefix("::ffff:")
        self._addr = (TCP_PREFIX + self._host, port)
        self._stranger = self._listener.enter(self, self._host)
        if not self._stranger:
            transport.abort()
            return
        transport.set_write_buffer_limits(high=self._listener.limits.write_bytes)
        self._mux.add_stream(self._addr, self)
        self._patience = asyncio.get_running_loop().call_later(
            self._listener.limits.first_check_s, self._give_up
        )

    def _give_up(self) -> None:
        self._mux.drops["tcp_no_check"] += 1
        self.abort()

    def data_received(self, data: bytes) -> None:
        try:
            self._packets.extend(self._framing.receive(data))
        except ValueError:
            self._mux.drops["tcp_framing"] += 1
            self.abort()
            return
        self._work()

    def _work(self) -> None:
        """Handle some packets; while others wait for their turn nothing more is read."""
        packets, transport = self._packets, self._transport
        for _ in range(min(len(packets), PACKETS_PER_TURN)):
            self._receive(packets.popleft())
        if transport is None or transport.is_closing():
            packets.clear()
        elif packets:
            transport.pause_reading()
            asyncio.get_running_loop().call_soon(self._work)
        else:
            transport.resume_reading()

    def _receive(self, packet: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        proved = self._mux.receive(self._addr, packet)
        if proved and self._stranger:
            self._become_known()
        elif self._stranger:
            self._mux.drops["tcp_first_packet"] += 1
            self.abort()

    def _become_known(self) -> None:
        self._stranger = False
        self._listener.leave_strangers(self._host)
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def write(self, data: bytes) -> None:
        """Send one packet; too much unread ends the connection."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        transport.write(len(data).to_bytes(2, "big") + data)
        if transport.get_write_buffer_size() > self._listener.limits.write_bytes:
            self._mux.drops["tcp_write_buffer"] += 1
            transport.abort()

    def close(self) -> None:
        """Close after what is written has gone out, if that does not take long."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()
            if self._transport.get_write_buffer_size():
                loop = asyncio.get_running_loop()
                self._patience = loop.call_later(CLOSE_S, self._transport.abort)

    def abort(self) -> None:
        """Close now."""
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._stranger:
            self._become_known()
        if self._patience is not None:
            self._patience.cancel()
        self._mux.remove_stream(self._addr, self)
        self._listener.leave(self)
        if not self.closed.done():
            self.closed.set_result(None)
