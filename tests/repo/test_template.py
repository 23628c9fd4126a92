"""`roomful plugins new` gives a plugin whose own tests pass before the first edit."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from roomful.cli import main

from .tree import ROOT


@pytest.fixture
def made(tmp_path: Path) -> Path:
    assert main(["plugins", "new", "my_tally", "--directory", str(tmp_path)]) == 0
    return tmp_path / "roomful-my-tally"


def test_tests_of_a_new_plugin_pass(made: Path) -> None:
    done = run_tests(made)

    assert done.returncode == 0, done.stdout
    assert "6 passed" in done.stdout


def test_tests_of_the_template_itself_pass() -> None:
    assert run_tests(ROOT / "plugins/template").returncode == 0


def test_new_plugin_carries_its_own_name_everywhere(made: Path) -> None:
    texts = "".join(path.read_text() for path in made.rglob("*") if path.is_file())

    assert "emplate" not in texts
    assert "emplate" not in "".join(str(path) for path in made.rglob("*"))
    assert 'my_tally = "roomful_my_tally.plugin:MyTallyPlugin"' in texts


@pytest.mark.parametrize("name", ["MyTally", "my-tally", "my__tally", "_tally"])
def test_name_that_cannot_be_one_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plugins", "new", name, "--directory", str(tmp_path)]) == 2
    assert name in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_folder_that_exists_is_left_alone(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins", "new", "my_tally", "--directory", str(made.parent)]) == 2
    assert "exists" in capsys.readouterr().err


def run_tests(plugin: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(plugin / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=plugin,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
