"""Text to values by a model's annotations, and complaints that show no secret."""

from collections.abc import Mapping
from typing import Any, Literal

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from roomful.validation import decode_texts, explain


class Server(BaseModel, extra="forbid"):
    url: str = ""
    credential: SecretStr | None = None


class Config(BaseModel, extra="forbid"):
    names: list[str] = []
    numbers: tuple[int, ...] = ()
    text_or_list: str | list[str] = ""
    servers: list[Server] = []
    by_name: dict[str, Server] = {}
    table: Server | None = None
    anything: dict[str, Any] = {}
    password: SecretStr = SecretStr("")
    port: int = 0
    enabled: Literal["all"] | tuple[str, ...] = "all"


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("names", '["a,b", "c"]', ["a,b", "c"]),
        ("names", "a, b", ["a", "b"]),
        ("names", "", []),
        ("numbers", "1,2", (1, 2)),
        ("text_or_list", "[a", "[a"),
        ("servers", '[{"url": "u"}]', [Server(url="u")]),
        ("table", '{"url": "u"}', Server(url="u")),
        ("password", '{"not": "json for us"}', SecretStr('{"not": "json for us"}')),
        ("port", "12", 12),
        ("enabled", "all", "all"),
        ("enabled", "a, b", ("a", "b")),
    ],
)
def test_text_becomes_what_the_field_wants(field: str, text: str, value: object) -> None:
    decoded = decode_texts(Config, {field: text})

    assert getattr(Config.model_validate(decoded), field) == value


def test_text_that_is_no_list_stays_text_and_is_refused() -> None:
    assert decode_texts(Config, {"names": "[broken"}) == {"names": "[broken"}


def test_members_of_tables_are_decoded_by_their_own_types() -> None:
    tree: Mapping[str, object] = {"by_name": {"x": {"url": "[u]"}}, "anything": {"y": "[1]"}}

    assert decode_texts(Config, tree) == tree


def complaint(tree: object) -> str:
    with pytest.raises(ValidationError) as caught:
        Config.model_validate(tree)
    return explain(caught.value, Config, "plugins.config.acme")


def test_complaint_shows_path_value_and_neighbours() -> None:
    assert complaint({"port": "x"}).startswith("setting 'plugins.config.acme.port'")
    assert "got 'x'" in complaint({"port": "x"})
    assert "numbers.1" in complaint({"numbers": [1, "x"]})
    assert "got 'x'" in complaint({"numbers": [1, "x"]})
    assert "did you mean 'port'" in complaint({"prot": 1})
    assert "known here: credential, url" in complaint({"by_name": {"a": {"zzz": 1}}})


@pytest.mark.parametrize(
    "tree",
    [
        {"password": ["hunter2"]},
        {"servers": [{"url": 1, "credential": "hunter2"}]},
        {"servers": [{"credential": {"x": "hunter2"}}]},
        {"servers": "hunter2"},
        {"passwort": "hunter2"},
    ],
)
def test_complaint_about_a_secret_does_not_repeat_it(tree: object) -> None:
    assert "hunter2" not in complaint(tree)


def test_missing_setting_is_named() -> None:
    class Needs(BaseModel):
        bucket: str

    with pytest.raises(ValidationError) as caught:
        Needs.model_validate({})

    assert explain(caught.value, Needs, "s3") == "setting 's3.bucket' is missing; set it"
