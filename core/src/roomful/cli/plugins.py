"""`roomful plugins list` and `roomful plugins show`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from roomful.cli.setting_rows import setting_rows
from roomful.errors import ConfigError
from roomful.plugin.discovery import discover, load_class
from roomful.plugin.extras import install_hint
from roomful.plugin.manager import PluginManager
from roomful.plugin.registry import PluginRecord, PluginState
from roomful.settings import SECTIONS, Settings


def list_plugins(arguments: argparse.Namespace) -> int:
    """Print every installed plugin and what became of it; 1 when one is broken."""
    settings = Settings.load(arguments.config, {"plugins": {"on_error": "skip"}})
    manager = PluginManager.load(settings)
    records = sorted(manager.records.values(), key=lambda record: record.name)
    if not records:
        sys.stdout.write(f"no plugins are installed; {install_hint('webrtc')} adds WebRTC\n")
    _print_table([("name", "distribution", "version", "state", "hooks"), *map(_row, records)])
    broken = [record for record in records if record.state is PluginState.ERROR]
    for record in broken:
        sys.stdout.write(f"{record.problem}\n")
    return 1 if broken else 0


def show_plugin(arguments: argparse.Namespace) -> int:
    """Print a plugin's settings with types and defaults."""
    found = discover()
    plugin = found.get(arguments.name)
    if plugin is None:
        raise ConfigError(
            f"plugin {arguments.name!r} is not installed (installed: {', '.join(found) or 'none'});"
            f" {install_hint(arguments.name)}"
        )
    cls = load_class(plugin)
    section = next((s for s, name in SECTIONS.items() if name == plugin.name), None)
    sys.stdout.write(f"{plugin.name} of {plugin.label}, plugin API {cls.api[0]}.{cls.api[1]}\n")
    sys.stdout.write(f"[{section or f'plugins.config.{plugin.name}'}]\n")
    rows = setting_rows(cls.Config)
    _print_table(rows or [("no settings",)])
    return 0


def _row(record: PluginRecord) -> tuple[str, ...]:
    return (
        record.name,
        record.distribution,
        record.version,
        record.state.value,
        ", ".join(record.hooks),
    )


def _print_table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        sys.stdout.write("  ".join(cells).rstrip() + "\n")
