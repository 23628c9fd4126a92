"""The repository as data: its distributions, their sources, their text."""

from __future__ import annotations

import ast
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Distribution:
    """One pyproject.toml."""

    folder: Path
    table: dict[str, Any]

    @property
    def name(self) -> str:
        return self.table["project"]["name"]

    @property
    def project(self) -> dict[str, Any]:
        return self.table["project"]

    @property
    def package(self) -> Path:
        """The folder of its import package."""
        return next((self.folder / "src").iterdir())

    @property
    def plugins(self) -> dict[str, str]:
        return self.project.get("entry-points", {}).get("roomful.plugins", {})


def read(folder: Path) -> Distribution:
    """Return the distribution of a folder."""
    return Distribution(folder, tomllib.loads((folder / "pyproject.toml").read_text()))


@cache
def root() -> Distribution:
    """Return the metapackage."""
    return read(ROOT)


@cache
def members() -> tuple[Distribution, ...]:
    """Return the workspace's distributions, the template left out."""
    files = [ROOT / "core/pyproject.toml"]
    files += sorted(ROOT.glob("libs/*/pyproject.toml")) + sorted(
        ROOT.glob("plugins/*/pyproject.toml")
    )
    return tuple(read(file.parent) for file in files if file.parent.name != "template")


def sources() -> Iterator[tuple[Path, str, ast.Module]]:
    """Yield (path, text, syntax tree) of every module that is shipped, generated ones left out."""
    for member in members():
        for path in sorted(member.package.rglob("*.py")):
            if "template_plugin" not in path.parts:
                text = path.read_text(encoding="utf-8")
                yield path.relative_to(ROOT), text, ast.parse(text)


def calls(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    """Yield every call with its dotted name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


@cache
def tracked() -> tuple[Path, ...]:
    """Return the files that git keeps, text or not."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return tuple(ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file())
