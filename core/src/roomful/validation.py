"""From text to values, and from a model's complaint to one line for the operator.

Settings come as text from the environment and as typed values from a TOML file, for the core and
for plugins alike. `decode_texts` turns the text of lists and tables into values where the model
wants one; `explain` says in one line which setting is wrong and what to do.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Any, Literal, Union, cast, get_args, get_origin

from pydantic import BaseModel, SecretBytes, SecretStr, ValidationError

_TEXTUAL: tuple[object, ...] = (Any, str, SecretStr, SecretBytes, bytes)
_SEALED: tuple[object, ...] = (Any, SecretStr, SecretBytes)


def decode_texts(annotation: object, value: object) -> object:
    """Return `value` with the text of lists and tables decoded where `annotation` wants them.

    A list is JSON (`["a", "b"]`) or its members with commas between; a table is JSON. Text stays
    text where the annotation takes text, so a secret may well begin with a brace.
    """
    if isinstance(value, str):
        return _decode_text(annotation, value)
    if isinstance(value, Mapping):
        members = cast("Mapping[str, object]", value)
        return {key: decode_texts(_member(annotation, key), v) for key, v in members.items()}
    return value


def explain(
    error: ValidationError, model: type[BaseModel], path: str = "", source: str = ""
) -> str:
    """Return one line naming the first wrong setting below `path`, and the remedy.

    The offending value is shown only when it is a plain one of a field that holds no secret.
    `source` says where settings were read, for the remedy.
    """
    first = error.errors(include_url=False)[0]
    keys = [str(part) for part in first["loc"] if not _is_branch_label(str(part))]
    name = ".".join([path, *keys] if path else keys) or "settings"
    where = f" ({source})" if source else ""
    if first["type"] == "extra_forbidden":
        known = _known_names(model, keys[:-1])
        close = difflib.get_close_matches(keys[-1], known, n=1)
        remedy = f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(known)}"
        return f"unknown setting {name!r}{where}; {remedy}"
    if first["type"] == "missing":
        return f"setting {name!r} is missing{where}; set it"
    problem = first["msg"].removeprefix("Value error, ")
    shown = first["input"]
    if isinstance(shown, str | int | float) and _is_plain(_annotation_at(model, keys)):
        problem += f", got {shown!r}"
    return f"setting {name!r}{where}: {problem}; correct it"


def _decode_text(annotation: object, text: str) -> object:
    arms = list(_arms(annotation))
    if any(arm in _TEXTUAL or text in _literals(arm) for arm in arms):
        return text
    shapes = {shape for arm in arms if (shape := _shape(arm)) is not None}
    stripped = text.strip()
    if shapes and stripped[:1] in ("[", "{"):
        try:
            return json.loads(stripped)
        except ValueError:
            return text
    if list in shapes:
        return [part.strip() for part in stripped.split(",")] if stripped else []
    return text


def _literals(arm: object) -> tuple[object, ...]:
    return get_args(arm) if get_origin(arm) is Literal else ()


def _arms(annotation: object) -> Iterator[object]:
    """Yield the alternatives of a union, or the annotation itself."""
    if get_origin(annotation) in (Union, UnionType):
        for arm in get_args(annotation):
            yield from _arms(arm)
    else:
        yield annotation


def _shape(arm: object) -> type | None:
    origin = cast("object", get_origin(arm) or arm)
    if not isinstance(origin, type):
        return None
    if issubclass(origin, list | tuple | set | frozenset):
        return list
    return dict if issubclass(origin, dict | Mapping | BaseModel) else None


def _as_model(arm: object) -> type[BaseModel] | None:
    return arm if isinstance(arm, type) and issubclass(arm, BaseModel) else None


def _member(annotation: object, key: str) -> object:
    """Return the annotation of a member of a table or list, `Any` where anything is taken."""
    for arm in _arms(annotation):
        table = _as_model(arm)
        if table is not None:
            member = table.model_fields.get(key)
            if member is not None:
                return member.annotation
        elif _shape(arm) is not None and get_args(arm):
            return get_args(arm)[-1 if _shape(arm) is dict else 0]
    return Any


def _annotation_at(model: type[BaseModel], keys: list[str]) -> object:
    annotation: object = model
    for key in keys:
        annotation = _member(annotation, key)
    return annotation


def _known_names(model: type[BaseModel], keys: list[str]) -> list[str]:
    for arm in _arms(_annotation_at(model, keys)):
        table = _as_model(arm)
        if table is not None:
            return sorted(table.model_fields)
    return []


def _is_plain(annotation: object) -> bool:
    """Whether a value of this type is a single one that holds no secret."""
    arms = list(_arms(annotation))
    return not any(_shape(arm) or arm in _SEALED for arm in arms)


def _is_branch_label(part: str) -> bool:
    """Whether pydantic put this into the location to name an arm of a union."""
    return "[" in part or part in ("str", "int", "float", "bool")
