"""Whose code runs now: set while a hook or a service of a plugin runs, inherited by its tasks."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Blame:
    """The plugin on whose behalf code runs, and which hook or service of it."""

    plugin: str
    where: str


running: ContextVar[Blame | None] = ContextVar("roomful_plugin", default=None)


@contextmanager
def on_behalf_of(plugin: str, where: str) -> Generator[None]:
    """Mark what runs inside as the plugin's; tasks made inside keep the mark."""
    token = running.set(Blame(plugin, where))
    try:
        yield
    finally:
        running.reset(token)
