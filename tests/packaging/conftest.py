"""Wheels of everything, built once, and clean environments they are installed into."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .environment import Environment

REPO = Path(__file__).parents[2]
THIRD_PARTY = Path(__file__).parent / "third_party"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the suite."""
    for item in items:
        if "tests/packaging" in item.path.as_posix():
            item.add_marker(pytest.mark.packaging)


@pytest.fixture(scope="session")
def uv() -> list[str]:
    """The command that builds and installs; `./dev setup` puts it beside the interpreter."""
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    assert found, "uv is not installed; run ./dev setup"
    return [found]


@pytest.fixture(scope="session")
def wheels(uv: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with wheels of every distribution of the workspace and of the strangers'."""
    folder = tmp_path_factory.mktemp("wheels")
    sources = [REPO, *(p.parent for p in REPO.glob("core/pyproject.toml"))]
    for pattern in ("libs/*/pyproject.toml", "plugins/*/pyproject.toml"):
        sources += [p.parent for p in REPO.glob(pattern) if p.parent.name != "template"]
    sources += [p.parent for p in THIRD_PARTY.glob("*/pyproject.toml")]
    for source in sources:
        run([*uv, "build", "--wheel", "--quiet", "--out-dir", str(folder), str(source)])
    return folder


@pytest.fixture(scope="session")
def bare(uv: list[str], wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the bare server, no extra."""
    return install(uv, wheels, tmp_path_factory.mktemp("bare"), "roomful")


@pytest.fixture(scope="session")
def webrtc(uv: list[str], wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the extra `webrtc`."""
    return install(uv, wheels, tmp_path_factory.mktemp("webrtc"), "roomful[webrtc]")


@pytest.fixture(scope="session")
def third_party(
    uv: list[str], wheels: Path, tmp_path_factory: pytest.TempPathFactory
) -> Environment:
    """The bare server with a stranger's plugin."""
    return install(uv, wheels, tmp_path_factory.mktemp("acme"), "roomful", "acme-roomful")


@pytest.fixture(scope="session")
def with_broken(
    uv: list[str], wheels: Path, tmp_path_factory: pytest.TempPathFactory
) -> Environment:
    """The bare server with a stranger's plugin and one that is broken."""
    folder = tmp_path_factory.mktemp("broken")
    return install(uv, wheels, folder, "roomful", "acme-roomful", "broken-roomful")


def install(uv: list[str], wheels: Path, folder: Path, *requirements: str) -> Environment:
    """Make an environment in `folder` with these requirements, ours from the wheels."""
    run([*uv, "venv", "--quiet", "--python", sys.executable, str(folder / "venv")])
    python = folder / "venv/bin/python"
    run(
        [
            *(*uv, "pip", "install", "--quiet", "--python", str(python)),
            *("--find-links", str(wheels), "--constraint", str(REPO / "constraints.txt")),
            *requirements,
        ]
    )
    return Environment(python.parent, folder)


def run(command: list[str]) -> None:
    """Run a command with the certificates of the machine; show what it said when it fails."""
    environment = {**os.environ, "UV_NATIVE_TLS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
