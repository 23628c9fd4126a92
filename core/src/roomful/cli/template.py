"""`roomful plugins new`: copy the template, under another name."""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from pathlib import Path

from roomful.errors import ConfigError

TEMPLATE = Path(__file__).parent / "template_plugin"
"""`plugins/template` of the repository, by a link; a copy of it in the wheel."""
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", ".*", "dist", "*.egg-info")


def new_plugin(arguments: argparse.Namespace) -> int:
    """Make a folder with a plugin whose tests pass before the first edit."""
    name: str = arguments.name
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"plugin name {name!r}: use lower-case words joined by single underscores; rename it"
        )
    target = arguments.directory / f"roomful-{name.replace('_', '-')}"
    if target.exists():
        raise ConfigError(f"{str(target)!r} exists; remove it or choose another name")
    shutil.copytree(TEMPLATE, target, ignore=_LEFT_OUT)
    for path in sorted(target.rglob("*"), reverse=True):
        _rename(path, name)
    sys.stdout.write(
        f"{target} is a plugin. Try it:\n"
        f"  pip install -e {target}\n  roomful plugins list\n  pytest {target}\n"
    )
    return 0


def _rename(path: Path, name: str) -> None:
    if path.is_file():
        path.write_text(renamed(path.read_text(encoding="utf-8"), name), encoding="utf-8")
    path.rename(path.with_name(renamed(path.name, name)))


def renamed(text: str, name: str) -> str:
    """Return the text with the template's name replaced in each of its spellings."""
    title = "".join(word.capitalize() for word in name.split("_"))
    dashed = name.replace("_", "-")
    return (
        text.replace("roomful-template", f"roomful-{dashed}")
        .replace("Template", title)
        .replace("template", name)
    )
