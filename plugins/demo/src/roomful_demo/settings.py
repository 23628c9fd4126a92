"""The settings of the demo's server."""

from __future__ import annotations

from pathlib import Path

from roomful.auth.keys import DEV_KEY, DEV_SECRET
from roomful.settings import Settings

LOOPBACK = "127.0.0.1"
DRAIN_S = 5


def demo_settings(port: int, data_dir: Path) -> Settings:
    """Return the settings of a server on loopback with the development key.

    The environment may add to them (`ROOMFUL_…`), as with every command. Raises `ConfigError`.
    """
    return Settings.load(
        arguments={
            "port": port,
            "bind": [LOOPBACK],
            "data_dir": data_dir,
            "keys": {DEV_KEY: DEV_SECRET},
            "drain_timeout_s": DRAIN_S,
            "rtc": {"node_ip": LOOPBACK, "udp_port": 0, "tcp_port": 0},
        },
        mode="dev",
    )
