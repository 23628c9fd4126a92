"""From the options of a command to settings."""

from __future__ import annotations

import argparse
from pathlib import Path

from roomful.auth.keys import DEV_KEY, DEV_SECRET
from roomful.errors import ConfigError
from roomful.settings import Settings

DEV_DATA_DIR = Path("roomful-data")


def dev_settings(arguments: argparse.Namespace) -> Settings:
    """Return settings for trying things out: the development key unless others are given."""
    given = _given(arguments)
    settings = Settings.load(
        arguments.config, given, defaults={"data_dir": DEV_DATA_DIR}, mode="dev"
    )
    if settings.keys:
        return settings
    return Settings.load(
        arguments.config,
        {**given, "keys": {DEV_KEY: DEV_SECRET}},
        defaults={"data_dir": DEV_DATA_DIR},
        mode="dev",
    )


def serve_settings(arguments: argparse.Namespace) -> Settings:
    """Return the settings of a server that others use; raise `ConfigError` without any key."""
    settings = Settings.load(arguments.config, _given(arguments))
    if not settings.keys:
        raise ConfigError(
            "setting 'keys' is empty, so no token could be checked; add a [keys] table to the "
            "settings file or set LIVEKIT_KEYS='name: secret'"
        )
    return settings


def _given(arguments: argparse.Namespace) -> dict[str, object]:
    """Return the tree of those options that were given."""
    tree: dict[str, object] = {
        name: value
        for name in ("port", "bind", "data_dir", "log_format")
        if (value := getattr(arguments, name)) is not None
    }
    if arguments.node_ip is not None:
        tree["rtc"] = {"node_ip": arguments.node_ip}
    return tree
