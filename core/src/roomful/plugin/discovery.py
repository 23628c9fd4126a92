"""From installed distributions to plugin instances: discover, filter, import, check, build."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, Protocol, cast

from pydantic import ValidationError

from roomful.errors import ConfigError, PluginError
from roomful.plugin.base import Plugin
from roomful.plugin.extras import EXTRAS, install_hint
from roomful.plugin.markers import API_VERSION, GROUP
from roomful.validation import decode_texts, explain

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*\Z")


class Selection(Protocol):
    """The `[plugins]` table."""

    @property
    def enabled(self) -> Literal["all"] | Sequence[str]: ...
    @property
    def disabled(self) -> Sequence[str]: ...
    @property
    def on_error(self) -> Literal["fail", "skip"]: ...
    @property
    def config(self) -> Mapping[str, Mapping[str, Any]]: ...


class PluginSettings(Protocol):
    """What the manager reads of the settings tree."""

    @property
    def plugins(self) -> Selection: ...

    def sections(self) -> Mapping[str, tuple[str, Mapping[str, object]]]:
        """Return plugin → (path of its settings, the raw settings)."""
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """An installed plugin, not imported."""

    name: str
    distribution: str
    version: str
    entry_point: EntryPoint

    @property
    def label(self) -> str:
        return f"{self.distribution} {self.version}"


def discover(found: Iterable[EntryPoint] | None = None) -> dict[str, Found]:
    """Return every installed plugin by name, in the order of names, importing nothing.

    Raises `PluginError` when two distributions offer one name or a name cannot be one.
    """
    plugins: dict[str, Found] = {}
    for entry_point in entry_points(group=GROUP) if found is None else found:
        plugin = _found(entry_point)
        if not _NAME.match(plugin.name):
            raise PluginError(
                plugin.name,
                plugin.label,
                "its name is not of the form 'word_word'",
                f"rename its entry point in the group {GROUP!r} or uninstall it",
            )
        other = plugins.get(plugin.name)
        if other is not None and other.distribution != plugin.distribution:
            raise PluginError(
                plugin.name,
                f"{other.label} and {plugin.label}",
                "both distributions offer this name",
                "uninstall one of them",
            )
        plugins[plugin.name] = plugin
    return dict(sorted(plugins.items()))


def select(found: Mapping[str, Found], selection: Selection) -> frozenset[str]:
    """Return the names that shall run; raise `ConfigError` for a name nobody knows."""
    for setting, names in (
        ("enabled", () if selection.enabled == "all" else selection.enabled),
        ("config", selection.config),
    ):
        for name in names:
            if name not in found:
                raise ConfigError(_unknown(setting, name, found))
    for name in selection.disabled:
        if name not in found and name not in EXTRAS:
            raise ConfigError(_unknown("disabled", name, found))
    wanted = found if selection.enabled == "all" else selection.enabled
    return frozenset(wanted) - frozenset(selection.disabled)


def load_class(found: Found) -> type[Plugin[Any]]:
    """Import a plugin's class and check it; every way to fail is one `PluginError`."""
    try:
        loaded = found.entry_point.load()
    except Exception as error:
        raise PluginError(
            found.name,
            found.label,
            f"{found.entry_point.value!r} cannot be imported: {type(error).__name__}: {error}",
            f"mend or uninstall {found.distribution}, or add {found.name!r} to plugins.disabled",
        ) from error
    if not (isinstance(loaded, type) and issubclass(loaded, Plugin)):
        raise PluginError(
            found.name,
            found.label,
            f"{found.entry_point.value!r} is no roomful.plugin.Plugin",
            f"mend or uninstall {found.distribution}",
        )
    cls = cast("type[Plugin[Any]]", loaded)
    _check_api(found, cls)
    return cls


def build(
    found: Found, cls: type[Plugin[Any]], path: str, raw: Mapping[str, object]
) -> Plugin[Any]:
    """Make the plugin with its checked settings."""
    try:
        config = cls.Config.model_validate(decode_texts(cls.Config, raw))
    except ValidationError as error:
        raise PluginError(
            found.name,
            found.label,
            explain(error, cls.Config, path),
            f"`roomful plugins show {found.name}` lists its settings",
        ) from None
    try:
        return cls(config)
    except Exception as error:
        raise PluginError(
            found.name,
            found.label,
            f"cannot be made: {type(error).__name__}: {error}",
            f"mend or disable {found.name!r}",
        ) from error


def _check_api(found: Found, cls: type[Plugin[Any]]) -> None:
    ours, theirs = API_VERSION, cls.api
    if theirs[0] == ours[0] and theirs[1] <= ours[1]:
        return
    newer = tuple(theirs) > ours
    raise PluginError(
        found.name,
        found.label,
        f"it was written for plugin API {theirs[0]}.{theirs[1]}, this server offers "
        f"{ours[0]}.{ours[1]}",
        "upgrade roomful-core" if newer else f"upgrade {found.distribution}",
    )


def _found(entry_point: EntryPoint) -> Found:
    dist = entry_point.dist
    name, version = (dist.name, dist.version) if dist else ("an unknown distribution", "?")
    return Found(entry_point.name, name, version, entry_point)


def _unknown(setting: str, name: str, found: Mapping[str, Found]) -> str:
    installed = ", ".join(found) or "none"
    return (
        f"setting 'plugins.{setting}' names the plugin {name!r}, which is not installed "
        f"(installed: {installed}); correct the name or {install_hint(name)}"
    )
