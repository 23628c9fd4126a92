"""A settings model as rows of text: for `plugins show` and the reference."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

_WORDS: dict[object, str] = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    Path: "path",
    SecretStr: "secret",
    IPv4Network: "network",
    IPv6Network: "network",
    Any: "anything",
}
COMPUTED = "computed"


def setting_rows(model: type[BaseModel], prefix: str = "") -> list[tuple[str, ...]]:
    """Return (name, type, default, description) of every setting, nested tables by dotted name."""
    rows: list[tuple[str, ...]] = []
    for name, info in model.model_fields.items():
        table = as_table(info.annotation)
        if table is not None:
            rows += setting_rows(table, f"{prefix}{name}.")
        else:
            row = (prefix + name, type_in_words(info.annotation), _default(info))
            rows.append((*row, info.description or ""))
    return rows


def type_in_words(annotation: object) -> str:
    """Return what a setting takes: `whole number`, `list of text`, `"a" or "b"`."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(_written(argument) for argument in arguments)
    if origin is Annotated:
        return type_in_words(arguments[0])
    if origin in (Union, UnionType):
        arms = [type_in_words(arm) for arm in arguments if arm is not type(None)]
        return " or ".join(dict.fromkeys(arms))
    if origin in (tuple, list, set, frozenset):
        return f"list of {type_in_words(arguments[0])}"
    if origin in (dict, Mapping):
        return f"table of {type_in_words(arguments[1])}"
    if as_table(annotation) is not None:
        return "table"
    return _WORDS.get(annotation) or inspect.formatannotation(annotation)


def as_table(annotation: object) -> type[BaseModel] | None:
    """Return the model of a table, None for anything else."""
    return (
        annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
    )


def _default(info: FieldInfo) -> str:
    """Return a default as a settings file would write it."""
    if info.is_required():
        return "required"
    value: object = info.get_default(call_default_factory=True, validated_data={})
    if info.default_factory is not None and value:
        return COMPUTED
    if isinstance(value, SecretStr):
        return _written(value.get_secret_value())
    return "" if value is None else _written(value)


def _written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, Sequence):
        return f"[{', '.join(_written(member) for member in cast('Sequence[object]', value))}]"
    if isinstance(value, Mapping):
        return "{…}" if value else "{}"
    return str(value)
