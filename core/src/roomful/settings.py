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
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from roomful.errors import ConfigError
from roomful.validation import decode_texts, explain

PREFIX = "ROOMFUL_"
SECTIONS = {"rtc": "media_plane"}
"""Top-level table → the plugin whose settings it holds."""
DEV_KEYS = {"devkey": "secret"}
_NOT_SETTINGS = ("ROOMFUL_BENCH_", "ROOMFUL_TEST_")
"""Variables of the benches and tests, which the server does not read."""

Port = Annotated[int, Field(ge=0, le=65535)]
Network = IPv4Network | IPv6Network


class Table(BaseModel):
    """A table of settings: nothing unknown, nothing changed later, defaults checked too."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class RoomSettings(Table):
    """Defaults of new rooms."""

    empty_timeout_s: int = Field(300, ge=0, description="close a room nobody joined after this")
    departure_timeout_s: int = Field(20, ge=0, description="close a room after the last left")
    auto_create: bool = Field(True, description="a join makes the room if it does not exist")
    max_participants: int = Field(0, ge=0, description="per room; 0: no limit")
    enabled_codecs: tuple[str, ...] = Field(
        ("audio/opus", "video/VP8", "video/H264", "video/VP9", "video/AV1"),
        description="MIME types that may be published, the preferred first",
    )
    remote_unmute: bool = Field(False, description="the API may unmute what it muted")


class LimitsSettings(Table):
    """What one server takes on."""

    max_cpu: float = Field(
        default_factory=lambda: round((os.cpu_count() or 1) * 0.8, 2), gt=0,
        description="cores that admitted work may use; default: 0.8 of the machine's",
    )
    max_participants: int = Field(0, ge=0, description="on this server; 0: no limit")
    max_rooms: int = Field(0, ge=0, description="on this server; 0: no limit")
    joins_per_s: float = Field(20, gt=0, description="per source address")
    tracks_per_participant: int = Field(32, ge=1, description="published at once")
    data_bytes_per_s: int = Field(1_048_576, ge=1, description="data packets of one participant")
    data_messages_per_s: int = Field(200, ge=1, description="data packets of one participant")
    api_requests_per_s: float = Field(100, gt=0, description="per API key")


class TlsSettings(Table):
    """https and wss on the same port; both files or none."""

    certificate: Path | None = Field(None, description="PEM file, the chain included")
    key: Path | None = Field(None, description="PEM file, readable by its owner only")

    @model_validator(mode="after")
    def _both_or_none(self) -> TlsSettings:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key are needed together")
        return self


class PluginsSettings(Table):
    """Which installed plugins run, and their settings, raw."""

    enabled: Literal["all"] | tuple[str, ...] = Field(
        "all", description="names, or all that are installed"
    )
    disabled: tuple[str, ...] = Field((), description="wins over `enabled`")
    on_error: Literal["fail", "skip"] = Field(
        "fail", description="what a plugin that cannot be used does to the start"
    )
    config: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="one table per plugin, checked by the plugin", repr=False
    )


def _default_data_dir() -> Path:
    if os.geteuid() == 0:
        return Path("/var/lib/roomful")
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share"
    return Path(base) / "roomful"


class Settings(Table):
    """The whole tree. Made directly it reads nothing but its arguments; see `load`."""

    port: Port = Field(7880, description="HTTP and WebSocket; 0: any free one")
    bind: tuple[str, ...] = Field(
        ("127.0.0.1",), min_length=1, description="addresses to listen on"
    )
    data_dir: Path = Field(
        default_factory=_default_data_dir,
        description="state and recordings; one server each. Default: the platform's data "
        "directory, in dev ./roomful-data",
    )
    node_id: str = Field("", description="name of this server; empty: one is made at each start")
    keys: dict[str, SecretStr] = Field(
        default_factory=dict, description="API key → secret; dev adds devkey = secret"
    )
    drain_timeout_s: float = Field(30, ge=0, description="how long a stop may take to end well")
    trusted_proxies: tuple[Network, ...] = Field(
        (), description="networks whose X-Forwarded-For counts"
    )
    log_format: Literal["text", "json"] = Field("text", description="a line or an object a record")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="the least that is shown"
    )
    log_pii: bool = Field(True, description="off: names, identities and addresses are left out")
    dev: bool = Field(False, description="set by the command, not by a file")
    room: RoomSettings = RoomSettings()
    limits: LimitsSettings = Field(default_factory=LimitsSettings)
    tls: TlsSettings = TlsSettings()
    plugins: PluginsSettings = PluginsSettings()
    rtc: dict[str, Any] = Field(
        default_factory=dict, description="settings of the media plane, checked by that plugin"
    )

    @model_validator(mode="after")
    def _one_road_to_each_section(self) -> Settings:
        for section, plugin in SECTIONS.items():
            if plugin in self.plugins.config:
                raise ValueError(f"[plugins.config.{plugin}] is written [{section}]")
        return self

    @classmethod
    def load(
        cls,
        file: Path | None = None,
        arguments: Mapping[str, object] | None = None,
        environ: Mapping[str, str] | None = None,
        defaults: Mapping[str, object] | None = None,
    ) -> Settings:
        """Read every source and return the checked tree; `ConfigError` in one line otherwise.

        `arguments` and `defaults` are trees of the same shape as the file; `defaults` stand below
        the file. `environ` is the process's when None.
        """
        environ = os.environ if environ is None else environ
        from_environment = decode_texts(cls, read_environment(environ))
        tree: dict[str, object] = {}
        for layer in (
            defaults or {},
            _read_file(file) if file else {},
            _livekit_keys(environ),
            cast("Mapping[str, object]", from_environment),
            arguments or {},
        ):
            tree = merge(tree, layer)
        source = f"{file} or environment" if file else "environment"
        try:
            return cls.model_validate(tree)
        except ValidationError as error:
            raise ConfigError(explain(error, cls, source=source)) from None

    def sections(self) -> dict[str, tuple[str, Mapping[str, object]]]:
        """Return plugin → (path of its settings, the raw settings) for every given table."""
        found: dict[str, tuple[str, Mapping[str, object]]] = {
            name: (f"plugins.config.{name}", config) for name, config in self.plugins.config.items()
        }
        for section, plugin in SECTIONS.items():
            found[plugin] = (section, getattr(self, section))
        return found

    def refuse_unsafe(self) -> None:
        """Raise `ConfigError` where keys and binds together would open the server to anybody."""
        if not self.keys:
            raise ConfigError(
                "setting 'keys' is empty, so no token could be checked; add [keys] to the file or "
                "set LIVEKIT_KEYS='name: secret'"
            )
        exposed = [address for address in self.bind if not is_loopback(address)]
        weak = [k for k, secret in DEV_KEYS.items() if self._secret(k) == secret]
        if exposed and weak:
            raise ConfigError(
                f"setting 'keys' holds the well-known development key {weak[0]!r} while 'bind' "
                f"opens {exposed[0]!r} to others; use your own key and secret, or bind 127.0.0.1"
            )

    def _secret(self, key: str) -> str | None:
        secret = self.keys.get(key)
        return secret.get_secret_value() if secret else None


@dataclass(frozen=True, slots=True)
class Leftover:
    """A variable that looks like a setting and is none."""

    variable: str
    path: str


def read_environment(environ: Mapping[str, str]) -> dict[str, object]:
    """Return the tree that variables `ROOMFUL_A__B` spell, without unknown top-level names.

    Raises `ConfigError` when one variable gives a value and another a member of it.
    """
    tree: dict[str, object] = {}
    for variable in sorted(environ, key=str.lower):
        path = _path_of(variable)
        if path is None or path[0] not in Settings.model_fields:
            continue
        node = tree
        for part in path[:-1]:
            below = node.setdefault(part, {})
            if isinstance(below, str):
                below = node[part] = _as_table(below, variable, part)
            node = cast("dict[str, object]", below)
        node[path[-1]] = environ[variable]
    return tree


def leftovers(environ: Mapping[str, str]) -> list[Leftover]:
    """Return the `ROOMFUL_` variables that no setting reads."""
    found: list[Leftover] = []
    for variable in sorted(environ):
        path = _path_of(variable)
        if path is not None and path[0] not in Settings.model_fields:
            found.append(Leftover(variable, ".".join(path)))
    return found


def merge(below: Mapping[str, object], above: Mapping[str, object]) -> dict[str, object]:
    """Return both trees as one; where both give a value, the one of `above`."""
    merged = dict(below)
    for key, value in above.items():
        lower = merged.get(key)
        if isinstance(lower, Mapping) and isinstance(value, Mapping):
            value = merge(
                cast("Mapping[str, object]", lower), cast("Mapping[str, object]", value)
            )
        merged[key] = value
    return merged


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches a listener on `address`."""
    if address == "localhost":
        return True
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def _path_of(variable: str) -> list[str] | None:
    name = variable.upper()
    if not name.startswith(PREFIX) or name.startswith(_NOT_SETTINGS):
        return None
    return name.removeprefix(PREFIX).lower().split("__")


def _as_table(text: str, variable: str, part: str) -> dict[str, object]:
    decoded = decode_texts(dict[str, Any], text)
    if not isinstance(decoded, dict):
        raise ConfigError(
            f"variable {variable!r} sets a member of {part!r}, but another variable gives {part!r} "
            "a plain value; keep one of them"
        )
    return cast("dict[str, object]", decoded)


def _read_file(file: Path) -> dict[str, object]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"settings file {str(file)!r} cannot be read: {error.strerror}; check --config"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"settings file {str(file)!r} is not TOML: {error}; correct it"
        ) from error


def _livekit_keys(environ: Mapping[str, str]) -> dict[str, object]:
    """Return `keys` from the variables that operators of LiveKit servers know."""
    keys: dict[str, object] = {}
    for entry in environ.get("LIVEKIT_KEYS", "").replace(",", "\n").splitlines():
        if not entry.strip():
            continue
        key, colon, secret = entry.partition(":")
        if not colon or not key.strip() or not secret.strip():
            raise ConfigError(
                "variable LIVEKIT_KEYS: every entry is 'key: secret', with commas or new lines "
                "between them; correct it"
            )
        keys[key.strip().strip("'\"")] = secret.strip().strip("'\"")
    key, secret = environ.get("LIVEKIT_API_KEY"), environ.get("LIVEKIT_API_SECRET")
    if key and secret:
        keys[key] = secret
    return {"keys": keys} if keys else {}
