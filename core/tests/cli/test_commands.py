"""Commands of the command line, run in this process."""

import json
import logging
import os
import warnings
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from roomful.cli import main
from roomful.cli.token import seconds
from roomful.errors import ConfigError


@pytest.fixture(autouse=True)
def clean_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No settings from outside; logging and warnings as they were when a command has ended."""
    for name in list(os.environ):
        if name.startswith(("ROOMFUL_", "LIVEKIT_")):
            monkeypatch.delenv(name)
    root, ours = logging.getLogger(), logging.getLogger("roomful")
    before = root.handlers[:], root.level, ours.handlers[:]
    with warnings.catch_warnings():
        yield
    root.handlers[:], root.level, ours.handlers[:] = before
    logging.captureWarnings(capture=False)


Run = Any


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command; return exit code, output and error output."""

    def command(*arguments: str) -> tuple[int, str, str]:
        try:
            code = main(list(arguments))
        except SystemExit as ended:
            code = int(ended.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return command


def claims_of(token: str) -> dict[str, Any]:
    body = token.strip().split(".")[1]
    return json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))


def test_help_lists_core_and_plugin_commands(run: Run) -> None:
    code, out, _ = run("--help")

    assert code == 0
    assert all(f"\n    {command} " in out for command in ("dev", "serve", "token", "plugins"))


def test_unknown_command_names_the_known_ones(run: Run) -> None:
    code, _, err = run("dance")

    assert code == 2
    assert err.startswith("roomful: unknown command 'dance'")
    assert "serve" in err


def test_command_of_a_plugin_that_is_not_there_names_its_extra(run: Run) -> None:
    _, _, err = run("sip")

    assert "pip install 'roomful[sip]'" in err


def test_version_is_that_of_the_core(run: Run) -> None:
    assert run("--version")[1].startswith("roomful 0.")


# --- token ---------------------------------------------------------------------------------------


def test_token_joins_its_room_and_nothing_else(run: Run) -> None:
    _, out, _ = run("token", "--room", "lobby", "--identity", "alice", "--valid-for", "10m")

    claims = claims_of(out)
    assert claims["iss"] == "devkey"
    assert claims["sub"] == "alice"
    assert claims["video"] == {"room": "lobby", "roomJoin": True}
    assert claims["exp"] - claims["nbf"] == 600


def test_token_carries_what_the_flags_grant_and_deny(run: Run) -> None:
    _, out, _ = run(
        *("token", "--room", "r", "--identity", "i", "--name", "N", "--attribute", "a=b=c"),
        *("--join", "--admin", "--no-publish", "--source", "camera", "--update-own-metadata"),
    )

    claims = claims_of(out)
    assert claims["name"] == "N"
    assert claims["attributes"] == {"a": "b=c"}
    assert claims["video"] == {
        "room": "r",
        "roomJoin": True,
        "roomAdmin": True,
        "canPublish": False,
        "canUpdateOwnMetadata": True,
        "canPublishSources": ["camera"],
    }


def test_token_for_the_api_needs_no_room(run: Run) -> None:
    code, out, _ = run("token", "--list", "--create")

    assert code == 0
    assert claims_of(out)["video"] == {"roomCreate": True, "roomList": True}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--room", "r"), "--identity"),
        (("--identity", "i"), "--room"),
        (("--list", "--key", "nobody"), "'nobody'"),
        (("--list", "--valid-for", "soon"), "'soon'"),
        (("--list", "--attribute", "novalue"), "'novalue'"),
    ],
)
def test_token_of_wrong_options_is_refused(run: Run, arguments: tuple[str], named: str) -> None:
    code, out, err = run("token", *arguments)

    assert (code, out) == (2, "")
    assert named in err


def test_token_is_signed_with_the_key_of_the_settings(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIVEKIT_KEYS", "mine: a-secret-of-thirty-two-characters!")

    _, out, _ = run("token", "--list")

    assert claims_of(out)["iss"] == "mine"


@pytest.mark.parametrize(
    ("text", "count"), [("45", 45), ("45s", 45), ("10m", 600), ("6h", 21600), ("7d", 604800)]
)
def test_times_are_read_with_their_units(text: str, count: int) -> None:
    assert seconds(text) == count


@pytest.mark.parametrize("text", ["", "m", "-1s", "1.5h", "1w"])
def test_other_times_are_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        seconds(text)


# --- serve ---------------------------------------------------------------------------------------


def config(tmp_path: Path, text: str) -> tuple[str, str]:
    file = tmp_path / "roomful.toml"
    file.write_text(f'data_dir = "{tmp_path}/data"\n{text}')
    return "--config", str(file)


def test_serve_without_keys_does_not_start(run: Run, tmp_path: Path) -> None:
    code, _, err = run("serve", *config(tmp_path, ""))

    assert code == 2
    assert "'keys' is empty" in err


def test_serve_refuses_the_development_key(run: Run, tmp_path: Path) -> None:
    code, _, err = run("serve", *config(tmp_path, '[keys]\ndevkey = "secret"\n'))

    assert code == 2
    assert "devkey" in err


def test_dev_refuses_to_open_the_development_key_to_others(run: Run, tmp_path: Path) -> None:
    code, _, err = run("dev", "--bind", "0.0.0.0", "--data-dir", str(tmp_path))

    assert code == 2
    assert "'0.0.0.0'" in err


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("prot = 1\n", "'prot'"),
        ('[plugins]\nenabled = ["dancing"]\n', "'dancing'"),
        ('bind = ["192.0.2.1"]\n', "'192.0.2.1'"),
        ('bind = ["no address"]\n', "'no address'"),
    ],
)
def test_wrong_settings_are_one_line_and_exit_code_2(
    run: Run, tmp_path: Path, text: str, named: str
) -> None:
    key = '[keys]\nmine = "a-secret-of-thirty-two-characters!"\n'
    code, out, err = run("serve", *config(tmp_path, f"{text}{key}"))

    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert err.startswith("roomful: ")
    assert named in err


def test_data_dir_that_is_a_file_is_refused(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")

    code, _, err = run("dev", "--port", "0", "--data-dir", str(file))

    assert code == 2
    assert f"setting 'data_dir': '{file}'" in err


# --- config check --------------------------------------------------------------------------------


def test_config_check_lists_variables_that_nothing_reads(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROOMFUL_PROT", "1")
    monkeypatch.setenv("ROOMFUL_PLUGINS__ENABLED", "[]")

    code, out, _ = run("config", "check")

    assert code == 1
    assert "ROOMFUL_PROT" in out
    assert "PORT?" in out


def test_config_check_is_content_with_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOMFUL_PLUGINS__ENABLED", "[]")

    assert run("config", "check")[:2] == (0, "settings are well; plugins: none\n")


# --- plugins -------------------------------------------------------------------------------------


def test_plugins_show_of_an_unknown_one_names_the_extra(run: Run) -> None:
    code, _, err = run("plugins", "show", "sip")

    assert code == 2
    assert "pip install 'roomful[sip]'" in err


def test_plugins_list_shows_disabled_ones_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOMFUL_PLUGINS__ENABLED", "[]")

    code, out, _ = run("plugins", "list")

    assert code == 0
    assert out.splitlines()[0].split() == ["name", "distribution", "version", "state", "hooks"]
    assert all(line.split()[3] == "disabled" for line in out.splitlines()[1:])
