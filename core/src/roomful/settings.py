"""Settings of the server: one tree, defaults < TOML file < environment < arguments.

The tree holds what the core needs. What belongs to a plugin stays raw here and is validated by
that plugin's own `Config`: `[plugins.config.NAME]`, and the top-level tables of `SECTIONS`, which
are a plugin's settings under a shorter name (`[rtc]` is the media plane's).

Environment: `ROOMFUL_` and the path with two underscores between its parts, in any case
(`ROOMFUL_ROOM__EMPTY_TIMEOUT_S=60`); lists are JSON or comma-separated, tables JSON. Because names
of variables have no case, an API key with capitals is given by the whole table,
`ROOMFUL_KEYS={"APIkey": "secret"}`, or by `LIVEKIT_KEYS`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from roomful.errors import ConfigError
from roomful.limits import usable_cores
from roomful.setting_sources import Layer, environment_tree, file_tree, livekit_tree
from roomful.validation import decode_texts, explain

SECTIONS = {"rtc": "media_plane"}
"""Top-level table → the plugin whose settings it holds."""
Mode = Literal["serve", "dev"]

Port = Annotated[int, Field(ge=0, le=65535)]
Network = IPv4Network | IPv6Network


class Table(BaseModel):
    """A table of settings: nothing unknown, nothing changed later, defaults checked too."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class RoomSettings(Table):
    """Defaults of new rooms."""

    empty_timeout_s: int = Field(
        default=300, ge=0, description="close a room nobody joined after this"
    )
    departure_timeout_s: int = Field(
        default=20, ge=0, description="close a room after the last left"
    )
    auto_create: bool = Field(
        default=True, description="a join makes the room if it does not exist"
    )
    max_participants: int = Field(default=0, ge=0, description="per room; 0: no limit")
    enabled_codecs: tuple[str, ...] = Field(
        default=("audio/opus", "video/VP8", "video/H264", "video/VP9", "video/AV1"),
        description="MIME types that may be published, the preferred first",
    )
    remote_unmute: bool = Field(default=False, description="the API may unmute what it muted")


class LimitsSettings(Table):
    """What one server takes on."""

    max_cpu: float = Field(
        default_factory=lambda: max(0.01, round(usable_cores() * 0.8, 2)),
        gt=0,
        description="cores that admitted work may use; default: 0.8 of those this process may "
        "run on, or of its cgroup's quota",
    )
    max_participants: int = Field(default=0, ge=0, description="on this server; 0: no limit")
    max_rooms: int = Field(default=0, ge=0, description="on this server; 0: no limit")
    joins_per_s: float = Field(default=20, gt=0, description="per source address")
    tracks_per_participant: int = Field(default=32, ge=1, description="published at once")
    data_bytes_per_s: int = Field(
        default=1_048_576, ge=1, description="data packets of one participant"
    )
    data_messages_per_s: int = Field(
        default=200, ge=1, description="data packets of one participant"
    )
    api_requests_per_s: float = Field(default=100, gt=0, description="per API key")


class TlsSettings(Table):
    """https and wss on the same port; both files or none."""

    certificate: Path | None = Field(default=None, description="PEM file, the chain included")
    key: Path | None = Field(default=None, description="PEM file, readable by its owner only")

    @model_validator(mode="after")
    def _both_or_none(self) -> TlsSettings:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key are needed together")
        return self


class PluginsSettings(Table):
    """Which installed plugins run, and their settings, raw."""

    enabled: Literal["all"] | tuple[str, ...] = Field(
        default="all", description="names, or all that are installed"
    )
    disabled: tuple[str, ...] = Field(default=(), description="wins over `enabled`")
    on_error: Literal["fail", "skip"] = Field(
        default="fail", description="what a plugin that cannot be used does to the start"
    )
    config: dict[str, dict[str, Any]] = Field(
        default_factory=dict[str, dict[str, Any]],
        description="one table per plugin, checked by the plugin",
        repr=False,
    )


def _default_data_dir() -> Path:
    if os.geteuid() == 0:
        return Path("/var/lib/roomful")
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share"
    return Path(base) / "roomful"


class Settings(BaseSettings):
    """The whole tree. Made directly it reads nothing but its arguments; see `load`."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, validate_default=True, case_sensitive=True
    )

    port: Port = Field(default=7880, description="HTTP and WebSocket; 0: any free one")
    bind: tuple[str, ...] = Field(
        default=("127.0.0.1",), min_length=1, description="addresses to listen on"
    )
    data_dir: Path = Field(
        default_factory=_default_data_dir,
        description="state and recordings; one server each. Default: the platform's data "
        "directory, in dev ./roomful-data",
    )
    node_id: str = Field(
        default="", description="name of this server; empty: one is made at each start"
    )
    keys: dict[str, SecretStr] = Field(
        default_factory=dict[str, SecretStr],
        description="API key → secret; dev: devkey = secret if none is given",
    )
    drain_timeout_s: float = Field(
        default=30, ge=0, description="how long a stop may take to end well"
    )
    trusted_proxies: tuple[Network, ...] = Field(
        default=(), description="networks whose X-Forwarded-For counts"
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="a line or an object a record"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="the least that is shown"
    )
    log_pii: bool = Field(
        default=True, description="off: names, identities and addresses are left out"
    )
    mode: Mode = Field(default="serve", description="which command runs; set by nothing else")
    room: RoomSettings = RoomSettings()
    limits: LimitsSettings = Field(default_factory=lambda: LimitsSettings())
    tls: TlsSettings = TlsSettings()
    plugins: PluginsSettings = PluginsSettings()
    rtc: dict[str, Any] = Field(
        default_factory=dict[str, Any],
        description="settings of the media plane, checked by that plugin",
        repr=False,
    )

    @model_validator(mode="after")
    def _one_road_to_each_section(self) -> Settings:
        for section, plugin in SECTIONS.items():
            if plugin in self.plugins.config:
                raise ValueError(f"[plugins.config.{plugin}] is written [{section}]")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *others: PydanticBaseSettingsSource,
        **named: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Leave out what pydantic-settings would read by itself: `load` names its sources."""
        return (init_settings,)

    @classmethod
    def load(
        cls,
        file: Path | None = None,
        arguments: Mapping[str, object] | None = None,
        environ: Mapping[str, str] | None = None,
        defaults: Mapping[str, object] | None = None,
        mode: Mode = "serve",
    ) -> Settings:
        """Read every source and return the checked tree; `ConfigError` in one line otherwise.

        `arguments` and `defaults` are trees of the same shape as the file; `defaults` stand below
        the file. `environ` is the process's when None.
        """
        environ = os.environ if environ is None else environ
        texts = environment_tree(environ, cls.model_fields)
        given = (
            cast("Mapping[str, object]", decode_texts(cls, texts)),
            livekit_tree(environ),
            file_tree(file) if file else {},
        )
        if any("mode" in tree for tree in given):
            raise ConfigError("setting 'mode' is chosen by the command; remove it")
        layers = ({"mode": mode}, arguments or {}, *given, defaults or {})
        source = f"{file} or environment" if file else "environment"
        try:
            # an argument of BaseSettings, which the type checker takes for a field
            return cls(
                _build_sources=(tuple(Layer(cls, tree) for tree in layers), {})  # pyright: ignore[reportCallIssue]
            )
        except ValidationError as error:
            raise ConfigError(explain(error, cls, source=source)) from None

    @property
    def is_dev(self) -> bool:
        """Whether this is a server for trying things out, on loopback."""
        return self.mode == "dev"

    def sections(self) -> dict[str, tuple[str, Mapping[str, object]]]:
        """Return plugin → (path of its settings, the raw settings) for every given table."""
        found: dict[str, tuple[str, Mapping[str, object]]] = {
            name: (f"plugins.config.{name}", config) for name, config in self.plugins.config.items()
        }
        for section, plugin in SECTIONS.items():
            found[plugin] = (section, getattr(self, section))
        return found
