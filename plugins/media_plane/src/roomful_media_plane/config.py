"""Settings of the media plane: the table `[rtc]`."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from roomful_rtc.ice_servers import DEFAULT_TTL_S, IceServerSpec
from roomful_rtc.plane import PlaneConfig

if TYPE_CHECKING:
    from roomful.settings import Settings

Port = Annotated[int, Field(ge=0, le=65535)]
MAX_URLS, MAX_SERVERS = 8, 8
_SCHEMES = ("stun:", "stuns:", "turn:", "turns:")


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class IceServerConfig(_Table):
    """One STUN or TURN server that clients are told of: `[[rtc.ice_servers]]`."""

    urls: tuple[str, ...] = Field(
        min_length=1,
        max_length=MAX_URLS,
        description="turn:host:port?transport=udp and the like; the same server, several ways",
    )
    username: str = Field("", description="of fixed credentials")
    credential: SecretStr = Field(SecretStr(""), description="of fixed credentials")
    secret: SecretStr = Field(
        SecretStr(""),
        description="shared with the TURN server: every participant gets credentials that expire",
    )
    ttl_s: int = Field(
        DEFAULT_TTL_S, ge=60, le=30 * 86_400, description="how long those credentials hold"
    )

    @field_validator("urls")
    @classmethod
    def _known_schemes(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for url in urls:
            if not url.startswith(_SCHEMES) or not url.partition(":")[2].strip("/"):
                raise ValueError(f"{url!r} is not a stun:, stuns:, turn: or turns: URL")
        return urls

    @model_validator(mode="after")
    def _one_kind_of_credentials(self) -> IceServerConfig:
        fixed = bool(self.username), bool(self.credential.get_secret_value())
        made = bool(self.secret.get_secret_value())
        if made and any(fixed):
            raise ValueError("'secret' makes the credentials; leave out 'username', 'credential'")
        if fixed[0] != fixed[1]:
            raise ValueError("'username' and 'credential' are needed together")
        if not made and not fixed[0] and any(url.startswith("turn") for url in self.urls):
            raise ValueError("a TURN server needs 'secret', or 'username' and 'credential'")
        return self

    def spec(self) -> IceServerSpec:
        """The same as the media library takes it."""
        return IceServerSpec(
            urls=self.urls,
            username=self.username,
            credential=self.credential.get_secret_value(),
            secret=self.secret.get_secret_value(),
            ttl_s=self.ttl_s,
        )


class MediaPlaneConfig(_Table):
    """Ports, addresses and the engine of everything that speaks RTP over ICE."""

    udp_port: Port = Field(7882, description="all media of all peers; 0: any free one")
    tcp_port: Port = Field(7881, description="the same over TCP; 0: any free one")
    tcp: bool = Field(True, description="offer ICE over TCP where UDP is blocked")
    bind: tuple[str, ...] = Field((), description="addresses to listen on; empty: the server's")
    node_ip: tuple[str, ...] = Field(
        (),
        max_length=4,
        description="address that clients are told, the public one of a machine behind NAT; "
        "several: one each for IPv4 and IPv6",
    )
    engine: Literal["auto", "native", "python"] = Field(
        "auto", description="what forwards packets; auto: native where it is installed"
    )
    ice_servers: tuple[IceServerConfig, ...] = Field(
        (), max_length=MAX_SERVERS, description="STUN and TURN servers for clients"
    )
    worker_environment: dict[str, str] = Field(
        default_factory=dict[str, str],
        description="environment of media workers, which get nothing of the server's own",
    )
    replay_protection: bool = Field(
        True, description="refuse packets that came before; off only with the native engine"
    )

    @field_validator("bind")
    @classmethod
    def _addresses(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        for address in addresses:
            if address != "localhost":
                _parse(address)
        return addresses

    @field_validator("node_ip", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("node_ip")
    @classmethod
    def _reachable(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        for address in map(_parse, addresses):
            if address.is_unspecified or address.is_multicast:
                raise ValueError(f"clients cannot reach {address}; give one of this machine's own")
        return tuple(str(_parse(address)) for address in addresses)

    def plane(self, server: Settings) -> PlaneConfig:
        """The same as the media library takes it, on the server's addresses.

        A development server that listens on loopback only ignores packets from elsewhere as well:
        browsers may send from another local interface after an ICE restart.
        """
        bind = self.bind or server.bind
        return PlaneConfig(
            bind=bind,
            udp_port=self.udp_port,
            tcp_port=self.tcp_port if self.tcp else None,
            node_ips=self.node_ip,
            loopback_only=server.is_dev and all(map(_is_loopback, bind)),
            engine=self.engine,
            replay_protection=self.replay_protection,
            ice_servers=tuple(one.spec() for one in self.ice_servers),
        )


def _parse(address: str) -> IPv4Address | IPv6Address:
    try:
        return ip_address(address)
    except ValueError:
        raise ValueError(f"{address!r} is not an IPv4 or IPv6 address") from None


def _is_loopback(address: str) -> bool:
    return address == "localhost" or _parse(address).is_loopback
