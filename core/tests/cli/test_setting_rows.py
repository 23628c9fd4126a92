"""Settings in words."""

from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, Field, SecretStr

from roomful.cli.setting_rows import setting_rows, type_in_words


class Server(BaseModel):
    urls: tuple[str, ...] = ()


class Config(BaseModel):
    port: int = Field(default=1, description="where")
    bucket: str
    password: SecretStr = SecretStr("")
    file: Path | None = None
    server: Server = Server()
    cores: float = Field(default_factory=lambda: 2.5)


def test_every_setting_is_a_row_nested_ones_by_dotted_name() -> None:
    assert setting_rows(Config) == [
        ("port", "whole number", "1", "where"),
        ("bucket", "text", "required", ""),
        ("password", "secret", '""', ""),
        ("file", "path", "", ""),
        ("server.urls", "list of text", "[]", ""),
        ("cores", "number", "computed", ""),
    ]


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (Literal["a", "b"], '"a" or "b"'),
        (Literal["all"] | tuple[str, ...], '"all" or list of text'),
        (dict[str, SecretStr], "table of secret"),
        (list[Server], "list of table"),
        (bool, "true or false"),
    ],
)
def test_types_are_said_in_words(annotation: object, words: str) -> None:
    assert type_in_words(annotation) == words
