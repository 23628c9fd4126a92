"""`roomful config check`: are the settings right, the plugins' included?"""

from __future__ import annotations

import argparse
import difflib
import os
import sys

from roomful.plugin.manager import PluginManager
from roomful.setting_sources import Leftover, leftovers
from roomful.settings import Settings


def check(arguments: argparse.Namespace) -> int:
    """Read every source, check every enabled plugin's settings, list unknown variables."""
    settings = Settings.load(arguments.config)
    manager = PluginManager.load(settings)
    unknown = leftovers(os.environ, Settings.model_fields)
    for leftover in unknown:
        sys.stdout.write(f"variable {leftover.variable} is no setting{_hint(leftover)}\n")
    if unknown:
        return 1
    names = ", ".join(record.name for record in manager.active()) or "none"
    sys.stdout.write(f"settings are well; plugins: {names}\n")
    return 0


def _hint(leftover: Leftover) -> str:
    close = difflib.get_close_matches(leftover.path.split(".")[0], Settings.model_fields, n=1)
    return f"; did you mean {close[0].upper()}?" if close else ""
