"""A UDP relay that loses and delays packets, and a signalling front that leads clients to it.

Both work in front of any server: the front passes signalling on and rewrites the candidates in the
server's descriptions, so the media goes through the relay without the server knowing of it.
"""

import asyncio
import contextlib
import json
import random
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Any, cast

from aiohttp import web
from livekit.protocol import rtc as rtc_proto

from .server import RoomServer
from .signal_front import SignalFront

Address = tuple[str, int]

_CANDIDATE = re.compile(
    r"candidate:(?P<foundation>\S+) (?P<component>\d+) (?P<transport>\S+) (?P<priority>\d+)"
    r" (?P<host>\S+) (?P<port>\d+) typ (?P<type>\S+)"
)


@dataclass(frozen=True, slots=True)
class Weather:
    """What happens to packets: share lost, and up to how many seconds each is held back."""

    loss: float = 0.0
    jitter_s: float = 0.0
    seed: int = 1


@dataclass(slots=True)
class _Arm(asyncio.DatagramProtocol):
    """The relay's socket towards the server for one client address."""

    relay: "MediaRelay"
    client: Address
    transport: asyncio.DatagramTransport | None = None
    waiting: list[bytes] = field(default_factory=list[bytes])

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)
        for data in self.waiting:
            self.transport.sendto(data)

    def send(self, data: bytes) -> None:
        """Send to the server."""
        if self.transport is None:
            self.waiting.append(data)
        elif not self.transport.is_closing():
            self.transport.sendto(data)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.relay.pass_on(data, lambda: self.relay.send(data, self.client))

    def error_received(self, exc: Exception) -> None:
        """A closed port at the far end: as good as lost."""


class MediaRelay(asyncio.DatagramProtocol):
    """Relays between clients and one server address, in both directions under the same weather."""

    def __init__(self, weather: Weather) -> None:
        self.weather = weather
        self.passed = self.lost = 0
        self.server: Address | None = None
        self._chance = random.Random(weather.seed)
        self._arms: dict[Address, _Arm] = {}
        self._opening: set[asyncio.Task[Any]] = set()
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    @property
    def port(self) -> int:
        """The port that clients send to."""
        assert self._transport is not None
        return self._transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: Address) -> None:
        arm = self._arms.get(addr)
        if arm is None:
            arm = self._arms[addr] = _Arm(self, addr)
            task = asyncio.create_task(self._open(arm))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)
        self.pass_on(data, lambda: arm.send(data))

    async def _open(self, arm: _Arm) -> None:
        assert self.server is not None, "media before any candidate was told"
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: arm, remote_addr=self.server)

    def pass_on(self, data: bytes, send: Any) -> None:
        """Lose a packet, or send it now or later (later ones overtake)."""
        if self._chance.random() < self.weather.loss:
            self.lost += 1
            return
        self.passed += 1
        if self.weather.jitter_s:
            delay = self._chance.random() * self.weather.jitter_s
            asyncio.get_running_loop().call_later(delay, send)
        else:
            send()

    def send(self, data: bytes, client: Address) -> None:
        """Send to a client."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(data, client)

    def close(self) -> None:
        """Close all sockets."""
        for arm in self._arms.values():
            if arm.transport is not None:
                arm.transport.close()
        if self._transport is not None:
            self._transport.close()


class RelayFront(SignalFront):
    """Passes HTTP and signalling on, with the server's candidates replaced by the relay's."""

    def __init__(self, server: RoomServer, relay: MediaRelay, host: str) -> None:
        super().__init__(server)
        self._relay, self._host = relay, host

    def of_server(self, data: bytes) -> bytes:
        """A server message with the relay's candidates; nothing is left of one over TCP."""
        message = rtc_proto.SignalResponse.FromString(data)
        kind = message.WhichOneof("message")
        if kind in ("answer", "offer"):
            description = getattr(message, kind)
            lines = description.sdp.split("\r\n")
            kept = [line for line in map(self._line, lines) if line is not None]
            description.sdp = "\r\n".join(kept)
        elif kind == "trickle":
            init = json.loads(message.trickle.candidateInit)
            line = self._line(init["candidate"])
            if line is None:
                return b""
            init["candidate"] = line
            message.trickle.candidateInit = json.dumps(init)
        return message.SerializeToString()

    def of_client(self, data: bytes) -> bytes:
        """A client message, nothing of a candidate: the server must not find a way around."""
        message = rtc_proto.SignalRequest.FromString(data)
        kind = message.WhichOneof("message")
        if kind == "trickle":
            return b""
        if kind in ("offer", "answer"):
            description = getattr(message, kind)
            lines = description.sdp.split("\r\n")
            description.sdp = "\r\n".join(line for line in lines if not _CANDIDATE.search(line))
        return message.SerializeToString()

    def _line(self, line: str) -> str | None:
        """A line of a description; None where it is a candidate that does not lead to the relay."""
        found = _CANDIDATE.search(line)
        if found is None:
            return line
        if found["transport"].lower() != "udp":
            return None
        self._relay.server = (found["host"], int(found["port"]))
        start, end = line[: found.start("host")], line[found.end("port") :]
        return f"{start}{self._host} {self._relay.port}{end}"


@contextlib.asynccontextmanager
async def through_relay(
    server: RoomServer,
    weather: Weather | None = None,
    *,
    host: str = "127.0.0.1",
    tls: SSLContext | None = None,
) -> AsyncIterator[tuple[RoomServer, MediaRelay]]:
    """The server as seen through the relay; with `tls`, signalling is encrypted as well."""
    loop = asyncio.get_running_loop()
    relay = MediaRelay(weather or Weather())
    await loop.create_datagram_endpoint(lambda: relay, local_addr=(host, 0))
    front = RelayFront(server, relay, host)
    try:
        await front.runner.setup()
        await web.TCPSite(front.runner, host, 0, ssl_context=tls).start()
        port: int = front.runner.addresses[0][1]
        yield server.at(f"{'wss' if tls else 'ws'}://{host}:{port}"), relay
    finally:
        relay.close()
        await front.close()
