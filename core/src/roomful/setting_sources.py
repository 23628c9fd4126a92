"""Where settings come from: a TOML file, the environment, LiveKit's own variables; as trees."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from roomful.errors import ConfigError
from roomful.validation import decode_texts

PREFIX = "ROOMFUL_"
_NOT_SETTINGS = ("ROOMFUL_BENCH_", "ROOMFUL_TEST_")
"""Variables of the benches and tests, which the server does not read."""


class Layer(PydanticBaseSettingsSource):
    """One tree among the sources of settings; pydantic-settings lays them over each other."""

    def __init__(self, settings: type[BaseSettings], tree: Mapping[str, object]) -> None:
        super().__init__(settings)
        self._tree = dict(tree)

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[object, str, bool]:
        """Return the value, its name, and that it needs no decoding."""
        return self._tree.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the tree."""
        return self._tree


@dataclass(frozen=True, slots=True)
class Leftover:
    """A variable that looks like a setting and is none."""

    variable: str
    path: str


def environment_tree(environ: Mapping[str, str], top_level: Collection[str]) -> dict[str, object]:
    """Return the tree of texts that variables `ROOMFUL_A__B` spell, below known top-level names.

    Raises `ConfigError` when one variable gives a value and another a member of it.
    """
    tree: dict[str, object] = {}
    for variable in sorted(environ, key=str.lower):
        path = _path_of(variable)
        if path is None or path[0] not in top_level:
            continue
        node = tree
        for part in path[:-1]:
            below = node.setdefault(part, {})
            if isinstance(below, str):
                below = node[part] = _as_table(below, variable, part)
            node = cast("dict[str, object]", below)
        node[path[-1]] = environ[variable]
    return tree


def leftovers(environ: Mapping[str, str], top_level: Collection[str]) -> list[Leftover]:
    """Return the `ROOMFUL_` variables that no setting reads."""
    found: list[Leftover] = []
    for variable in sorted(environ):
        path = _path_of(variable)
        if path is not None and path[0] not in top_level:
            found.append(Leftover(variable, ".".join(path)))
    return found


def _path_of(variable: str) -> list[str] | None:
    name = variable.upper()
    if not name.startswith(PREFIX) or name.startswith(_NOT_SETTINGS):
        return None
    return name.removeprefix(PREFIX).lower().split("__")


def _as_table(text: str, variable: str, part: str) -> dict[str, object]:
    decoded = decode_texts(dict[str, Any], text)
    if not isinstance(decoded, dict):
        raise ConfigError(
            f"variable {variable!r} sets a member of {part!r}, but another variable gives {part!r} "
            "a plain value; keep one of them"
        )
    return cast("dict[str, object]", decoded)


def file_tree(file: Path) -> dict[str, object]:
    """Return the tree of a TOML file; `ConfigError` when it cannot be read."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"settings file {str(file)!r} cannot be read: {error.strerror}; check --config"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"settings file {str(file)!r} is not TOML: {error}; correct it"
        ) from error


def livekit_tree(environ: Mapping[str, str]) -> dict[str, object]:
    """Return `keys` from the variables that operators of LiveKit servers know."""
    keys: dict[str, object] = {}
    for entry in environ.get("LIVEKIT_KEYS", "").replace(",", "\n").splitlines():
        if not entry.strip():
            continue
        key, colon, secret = entry.partition(":")
        if not colon or not key.strip() or not secret.strip():
            raise ConfigError(
                "variable LIVEKIT_KEYS: every entry is 'key: secret', with commas or new lines "
                "between them; correct it"
            )
        keys[key.strip().strip("'\"")] = secret.strip().strip("'\"")
    key, secret = environ.get("LIVEKIT_API_KEY"), environ.get("LIVEKIT_API_SECRET")
    if key and secret:
        keys[key] = secret
    return {"keys": keys} if keys else {}
