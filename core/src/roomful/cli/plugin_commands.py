"""Commands that plugins add by the hook `commands`."""

from __future__ import annotations

from importlib.metadata import EntryPoint

from roomful.errors import ConfigError
from roomful.plugin.discovery import discover
from roomful.plugin.extras import EXTRAS, install_hint
from roomful.plugin.manager import PluginManager
from roomful.plugin.service import Subparsers
from roomful.settings import PluginsSettings, Settings


def add_commands(commands: Subparsers, wanted: str, listed: EntryPoint | None) -> None:
    """Let the plugin that lists `wanted` add its commands; every plugin where none lists it."""
    manager = PluginManager.load(_selection(listed))
    manager.offers("commands", subparsers=commands)
    if wanted not in commands.choices:
        hint = f"; it comes with `{install_hint(wanted)}`" if wanted in EXTRAS else ""
        known = ", ".join(commands.choices)
        raise ConfigError(f"unknown command {wanted!r}{hint} (commands here: {known})")


def _selection(listed: EntryPoint | None) -> Settings:
    """Return settings that load the one plugin of a listed command, else all that load well."""
    if listed is None:
        return Settings(plugins=PluginsSettings(on_error="skip"))
    owner = next((f.name for f in discover().values() if f.entry_point.value == listed.value), None)
    if owner is None:
        raise ConfigError(
            f"command {listed.name!r} is listed by {listed.value!r}, which is no plugin; "
            "mend its distribution"
        )
    return Settings(plugins=PluginsSettings(enabled=(owner,)))
