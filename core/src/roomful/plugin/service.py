"""Things plugins offer to the server's core, as protocols, and the answer of a check."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

T_co = TypeVar("T_co", covariant=True)


class Subparsers(Protocol):
    """Where commands are added: what `argparse` returns from `add_subparsers`."""

    @property
    def choices(self) -> Collection[str]: ...

    def add_parser(self, name: str, *, help: str = ..., description: str = ...) -> ArgumentParser:
        """Add one command."""
        ...


class Service(Protocol):
    """A listener or a loop of a plugin; runs under the core's supervisor (hook `services`)."""

    @property
    def name(self) -> str:
        """Short and unique in the plugin: `sip-udp`."""
        ...

    async def run(self, ready: Callable[[], None]) -> None:
        """Run until cancelled. Call `ready()` once it listens; the server's start waits for it.

        Raise `ConfigError` before that when a setting is wrong (a port is taken). An error
        afterwards is logged, and the service is run again after a pause.
        """
        ...


class HealthCheck(Protocol):
    """One thing that must work for the server to be well (hook `health_checks`)."""

    @property
    def name(self) -> str: ...

    async def check(self) -> str | None:
        """Return None when well, else what is wrong, without names of people. Within 2 s."""
        ...


@dataclass(frozen=True, slots=True)
class Denied:
    """Answer of a `check_…` hook that refuses."""

    reason: str
    """for the one who asked; no secrets, no names of others"""


@dataclass(frozen=True, slots=True)
class Offer(Generic[T_co]):
    """What a plugin offered, and whose it is."""

    plugin: str
    distribution: str
    value: T_co
