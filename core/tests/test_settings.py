"""Settings: sources and their order, text to values, one line for every mistake."""

from pathlib import Path

import pytest

from roomful.errors import ConfigError
from roomful.setting_sources import leftovers
from roomful.settings import Settings


def refusal(environ: dict[str, str], file: Path | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        Settings.load(file, environ=environ)
    assert "\n" not in caught.value.message
    return caught.value.message


def test_nothing_given_leaves_the_defaults_of_the_contract() -> None:
    settings = Settings.load(environ={})

    assert (settings.port, settings.bind) == (7880, ("127.0.0.1",))
    assert (settings.room.empty_timeout_s, settings.room.departure_timeout_s) == (300, 20)
    assert settings.plugins.enabled == "all"
    assert not settings.is_dev


def test_each_source_wins_over_the_ones_below(tmp_path: Path) -> None:
    file = tmp_path / "roomful.toml"
    file.write_text("port = 1\ndrain_timeout_s = 1\n[room]\nempty_timeout_s = 1\n")

    settings = Settings.load(
        file,
        arguments={"port": 3},
        environ={"ROOMFUL_PORT": "2", "roomful_drain_timeout_s": "2"},
        defaults={"port": 0, "drain_timeout_s": 0, "room": {"empty_timeout_s": 0}, "node_id": "n"},
    )

    assert settings.port == 3
    assert settings.drain_timeout_s == 2
    assert settings.room.empty_timeout_s == 1
    assert settings.node_id == "n"


@pytest.mark.parametrize("text", ['["10.0.0.1", "::1"]', "10.0.0.1, ::1"])
def test_list_in_a_variable_is_json_or_comma_separated(text: str) -> None:
    assert Settings.load(environ={"ROOMFUL_BIND": text}).bind == ("10.0.0.1", "::1")


def test_members_and_whole_tables_of_one_table_are_joined() -> None:
    settings = Settings.load(
        environ={"ROOMFUL_ROOM": '{"max_participants": 5}', "ROOMFUL_ROOM__AUTO_CREATE": "false"}
    )

    assert (settings.room.max_participants, settings.room.auto_create) == (5, False)


def test_plugin_settings_stay_text_for_the_plugin_to_read() -> None:
    settings = Settings.load(
        environ={
            "ROOMFUL_PLUGINS__CONFIG__ACME__PASSWORD": "{123",
            "ROOMFUL_RTC__UDP_PORT": "0",
        }
    )

    assert settings.sections() == {
        "acme": ("plugins.config.acme", {"password": "{123"}),
        "media_plane": ("rtc", {"udp_port": "0"}),
    }


def test_media_plane_settings_have_one_place() -> None:
    assert "[rtc]" in refusal({"ROOMFUL_PLUGINS__CONFIG__MEDIA_PLANE__UDP_PORT": "1"})


@pytest.mark.parametrize(
    "text", ["APIone: s1, APItwo: s2", "APIone: s1\nAPItwo: s2\n", "'APIone': \"s1\",APItwo:s2"]
)
def test_keys_of_livekit_variables_are_read(text: str) -> None:
    keys = Settings.load(environ={"LIVEKIT_KEYS": text}).keys

    assert {k: v.get_secret_value() for k, v in keys.items()} == {"APIone": "s1", "APItwo": "s2"}


def test_key_and_secret_of_livekit_clients_are_read() -> None:
    keys = Settings.load(environ={"LIVEKIT_API_KEY": "k", "LIVEKIT_API_SECRET": "s"}).keys

    assert keys["k"].get_secret_value() == "s"


@pytest.mark.parametrize(
    ("environ", "names"),
    [
        ({"ROOMFUL_PORT": "abc"}, ("'port'", "'abc'", "environment")),
        ({"ROOMFUL_PORT": "70000"}, ("'port'", "65535")),
        ({"ROOMFUL_LIMITS__MAX_CPUS": "1"}, ("'limits.max_cpus'", "did you mean 'max_cpu'")),
        ({"ROOMFUL_ROOM__X__Y": "1"}, ("'room.x'", "known here", "empty_timeout_s")),
        ({"ROOMFUL_ROOM": "x"}, ("'room'",)),
        ({"ROOMFUL_BIND": ""}, ("'bind'",)),
        ({"ROOMFUL_TLS__KEY": "k.pem"}, ("'tls'", "together")),
        ({"ROOMFUL_MODE": "dev"}, ("'mode'", "command")),
        ({"ROOMFUL_ROOM": "x", "ROOMFUL_ROOM__AUTO_CREATE": "1"}, ("ROOM__AUTO_CREATE", "'room'")),
        ({"ROOMFUL_PLUGINS__ON_ERROR": "never"}, ("'plugins.on_error'", "'fail' or 'skip'")),
        ({"LIVEKIT_KEYS": "just-a-secret"}, ("LIVEKIT_KEYS", "key: secret")),
    ],
)
def test_wrong_setting_is_named_in_one_line(environ: dict[str, str], names: tuple[str]) -> None:
    message = refusal(environ)

    assert [name for name in names if name not in message] == []


@pytest.mark.parametrize(
    "environ",
    [
        {"ROOMFUL_KEYS": "hunter2"},
        {"ROOMFUL_KEYS": '{"a": ["hunter2"]}'},
        {"ROOMFUL_KEYS__A__B": "hunter2"},
        {"LIVEKIT_KEYS": "hunter2"},
        {"ROOMFUL_PLUGINS__CONFIG__ACME": "hunter2"},
    ],
)
def test_refusal_never_repeats_a_secret(environ: dict[str, str]) -> None:
    assert "hunter2" not in refusal(environ)


def test_unknown_key_of_the_file_is_named_with_the_file(tmp_path: Path) -> None:
    file = tmp_path / "roomful.toml"
    file.write_text("prot = 7880\n")

    message = refusal({}, file)

    assert "'prot'" in message
    assert str(file) in message
    assert "did you mean 'port'" in message


def test_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    file = tmp_path / "roomful.toml"
    file.write_text("port: 7880\n")

    assert "not TOML" in refusal({}, file)
    assert "cannot be read" in refusal({}, tmp_path / "none.toml")


def test_representation_shows_no_secret() -> None:
    settings = Settings.load(
        environ={
            "LIVEKIT_KEYS": "key: hunter2",
            "ROOMFUL_PLUGINS__CONFIG__ACME__PASSWORD": "hunter2",
            "ROOMFUL_RTC__ICE_SERVERS": '[{"credential": "hunter2"}]',
        }
    )

    assert "hunter2" not in repr(settings)


def test_variables_that_nothing_reads_are_found() -> None:
    found = leftovers(
        {"ROOMFUL_PROT": "1", "ROOMFUL_PORT": "1", "ROOMFUL_BENCH_X": "1", "HOME": "/"},
        Settings.model_fields,
    )

    assert [leftover.variable for leftover in found] == ["ROOMFUL_PROT"]
