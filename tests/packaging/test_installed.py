"""What `pip install` gives: bare, with an extra, with plugins of strangers."""

import json
import socket

from .environment import Environment


def test_bare_server_starts_and_says_which_transport_to_add(bare: Environment) -> None:
    with bare.serving() as server:
        status, _ = server.get("/")
        code = server.stop()

    assert (status, code) == (200, 0)
    said = "".join(server.errors)
    assert "no transport is installed" in said
    assert "pip install 'roomful[webrtc]'" in said


def test_bare_server_holds_no_plugin(bare: Environment) -> None:
    listed = bare.roomful("plugins", "list")

    assert listed.returncode == 0
    assert "no plugins are installed" in listed.stdout


def test_extra_brings_its_transport(webrtc: Environment) -> None:
    listed = webrtc.roomful("plugins", "list")
    with webrtc.serving() as server:
        status, _ = server.get("/")
        join, answer = server.get("/rtc/validate")
        code = server.stop()

    names = [line.split()[0] for line in listed.stdout.splitlines()[1:]]
    assert names == ["media_plane", "webrtc"]
    assert (status, code) == (200, 0)
    assert "no transport" not in "".join(server.errors)
    assert join == 401, answer


def test_strangers_plugin_is_found_and_serves(third_party: Environment) -> None:
    listed = third_party.roomful("plugins", "list")
    with third_party.serving(ROOMFUL_PLUGINS__CONFIG__ACME__GREETING="hi") as server:
        status, body = server.get("/acme")

    assert listed.returncode == 0
    row = listed.stdout.splitlines()[1].split(maxsplit=4)
    assert row == ["acme", "acme-roomful", "1.0", "ok", "commands, on_event, routes"]
    assert (status, json.loads(body)) == (200, {"greeting": "hi", "joins": 0})


def test_strangers_plugin_is_disabled_by_a_setting(third_party: Environment) -> None:
    off = {"ROOMFUL_PLUGINS__DISABLED": "acme"}
    listed = third_party.roomful("plugins", "list", **off)
    with third_party.serving(**off) as server:
        status, _ = server.get("/acme")

    assert listed.stdout.splitlines()[1].split() == ["acme", "acme-roomful", "1.0", "disabled"]
    assert status == 404


def test_strangers_settings_are_shown_and_checked(third_party: Environment) -> None:
    shown = third_party.roomful("plugins", "show", "acme")
    refused = third_party.roomful("dev", ROOMFUL_PLUGINS__CONFIG__ACME__GREETNG="hi")

    assert "[plugins.config.acme]" in shown.stdout
    assert 'greeting  text  "hello"' in shown.stdout
    assert refused.returncode == 2
    assert "'plugins.config.acme.greetng'" in refused.stderr
    assert "did you mean 'greeting'" in refused.stderr


def test_strangers_command_is_listed_and_runs(third_party: Environment) -> None:
    assert "greet" in third_party.roomful("--help").stdout
    assert third_party.roomful("greet").stdout == "hello\n"


def test_broken_plugin_is_named_with_its_distribution_and_remedy(with_broken: Environment) -> None:
    listed = with_broken.roomful("plugins", "list")
    refused = with_broken.roomful("dev")

    assert listed.returncode == 1
    assert "plugin 'broken' of broken-roomful 1.0: there is no hook 'on_evnt'" in listed.stdout
    assert refused.returncode == 2
    (line,) = refused.stderr.splitlines()[-1:]
    assert line.startswith("roomful: plugin 'broken' of broken-roomful 1.0")


def test_broken_plugin_is_skipped_or_disabled_by_settings(with_broken: Environment) -> None:
    with with_broken.serving(ROOMFUL_PLUGINS__ON_ERROR="skip") as server:
        status, _ = server.get("/acme")
    with with_broken.serving(ROOMFUL_PLUGINS__DISABLED="broken") as other:
        still, _ = other.get("/acme")

    assert (status, still) == (200, 200)
    assert "plugin skipped" in "".join(server.errors)


def test_port_in_use_is_one_line_and_exit_code_2(bare: Environment) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = bare.roomful("dev", "--port", str(port))

    assert refused.returncode == 2
    assert refused.stderr.splitlines()[-1] == (
        f"roomful: setting 'port': {port} on 127.0.0.1 is in use; stop the program that has it, "
        "or choose another with --port"
    )
