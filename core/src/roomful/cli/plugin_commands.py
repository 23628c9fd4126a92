"""Commands that plugins add by the hook `commands`; only the plugin in question is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint

from roomful.errors import ConfigError
from roomful.plugin.discovery import discover
from roomful.plugin.extras import EXTRAS, install_hint
from roomful.plugin.manager import PluginManager
from roomful.plugin.service import Subparsers
from roomful.settings import PluginsSettings, Settings


def add_command(commands: Subparsers, wanted: str, listed: Mapping[str, EntryPoint]) -> None:
    """Let the plugin that lists the command `wanted` add it; `ConfigError` when none does."""
    if wanted not in listed:
        hint = f"; it comes with `{install_hint(wanted)}`" if wanted in EXTRAS else ""
        known = ", ".join(sorted({*commands.choices, *listed}))
        raise ConfigError(f"unknown command {wanted!r}{hint} (commands here: {known})")
    target = listed[wanted].value
    owner = next((f.name for f in discover().values() if f.entry_point.value == target), None)
    manager = PluginManager.load(Settings(plugins=PluginsSettings(enabled=(owner or target,))))
    manager.offers("commands", subparsers=commands)
    if wanted not in commands.choices:
        raise ConfigError(
            f"command {wanted!r} is listed by the plugin {owner!r}, which does not add it; mend "
            "its hook 'commands'"
        )
