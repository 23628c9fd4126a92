"""Plugins made in the test, loaded as if they were installed."""

from collections.abc import Callable
from importlib.metadata import EntryPoint
from types import SimpleNamespace
from typing import Any

import pytest

from roomful.plugin import Plugin
from roomful.plugin.manager import PluginManager

Manage = Callable[..., PluginManager]


@pytest.fixture
def manage() -> Manage:
    """Return a finished manager of plugins given by name, in the order given."""

    def make(*, skip_broken: bool = False, **plugins: Plugin[Any]) -> PluginManager:
        manager = PluginManager(skip_broken=skip_broken)
        for name, plugin in plugins.items():
            manager.register(plugin, name, f"dist-{name}", "1.0")
        manager.finish()
        return manager

    return make


class FakeEntryPoint(EntryPoint):
    """An entry point of a distribution that is not installed."""

    _made: dict[str, Any] = {}  # noqa: RUF012  # by value; EntryPoint itself is immutable

    @classmethod
    def of(cls, name: str, loads: object, distribution: str = "acme") -> "FakeEntryPoint":
        point = cls(name, f"{distribution}.plugin:{name}", "roomful.plugins")
        vars(point)["dist"] = SimpleNamespace(name=distribution, version="1.0")
        cls._made[point.value] = loads
        return point

    def load(self) -> Any:
        loads = self._made[self.value]
        if isinstance(loads, Exception):
            raise loads
        return loads
