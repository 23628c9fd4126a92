"""The media plane of one server: engine, mux, peers, and the one timer that drives them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from roomful.clock import Clock
from roomful_rtc.engine import Engine
from roomful_rtc.peer import PeerObserver, WirePeer
from roomful_rtc.transport import ChannelSpec


@dataclass(frozen=True, slots=True)
class PlaneConfig:
    """Where the plane listens and what it tells peers."""

    bind: tuple[str, ...] = ("127.0.0.1",)
    """addresses to bind, IPv4 or IPv6"""
    udp_port: int = 7882
    """0: any free one"""
    tcp_port: int | None = 7881
    """ICE over TCP; 0: any free one; None: off"""
    node_ips: tuple[str, ...] = ()
    """advertised instead of the bound addresses"""
    loopback_only: bool = False
    """datagrams and connections from elsewhere are refused (dev and tests)"""
    engine: str = "auto"
    """auto, native or python"""
    replay_protection: bool = True


class Plane:
    """One UDP port, one engine, one certificate for every transport of a server.

    Answers to `roomful.model.media.MediaPlane`.
    """

    def __init__(self, config: PlaneConfig, clock: Clock) -> None:
        raise NotImplementedError

    @property
    def engine(self) -> Engine:
        """Raises RuntimeError before `start`."""
        raise NotImplementedError

    @property
    def fingerprint(self) -> str:
        """`sha-256 AA:BB:…` of the certificate that all peers share."""
        raise NotImplementedError

    @property
    def candidates(self) -> tuple[str, ...]:
        """`candidate:…` strings, UDP first; the same for every peer."""
        raise NotImplementedError

    @property
    def udp_port(self) -> int:
        """The port taken."""
        raise NotImplementedError

    @property
    def tcp_port(self) -> int | None:
        raise NotImplementedError

    async def start(self) -> None:
        """Open the ports.

        Raises:
            ConfigError: one line that names the setting: port taken, bad address, no such engine.
        """
        raise NotImplementedError

    async def stop(self) -> None:
        """Close all peers, then the ports. Idempotent."""
        raise NotImplementedError

    def peer(
        self, observer: PeerObserver, *, channels: Iterable[ChannelSpec] = ()
    ) -> WirePeer:
        """Make a transport on the shared port; `channels` are opened by us once connected.

        Raises:
            RuntimeError: not started, or stopped.
        """
        raise NotImplementedError
