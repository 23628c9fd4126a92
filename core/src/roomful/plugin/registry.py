"""Registered plugins and their hook implementations, on top of pluggy.

pluggy holds specifications, validates signatures and registers. Calling is ours (`manager`,
`fanout`): pluggy stops at the first error and does not say whose it was.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import ModuleType
from typing import Any

import pluggy

from roomful.errors import LocalProtocolError, PluginError
from roomful.plugin import hookspecs
from roomful.plugin.attribution import on_behalf_of
from roomful.plugin.base import Plugin
from roomful.plugin.counters import PluginCounters
from roomful.plugin.markers import PROJECT, HookRule, Kind, rule_of

log = logging.getLogger(__name__)


class PluginState(StrEnum):
    """What became of an installed plugin."""

    OK = "ok"
    DISABLED = "disabled"
    ERROR = "error"


@dataclass(slots=True)
class PluginRecord:
    """One installed plugin, as `roomful plugins list` shows it."""

    name: str
    distribution: str
    version: str = ""
    state: PluginState = PluginState.OK
    problem: str = ""
    plugin: Plugin[Any] | None = None
    hooks: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return f"{self.distribution} {self.version}".strip()


@dataclass(frozen=True, slots=True)
class Implementation:
    """One plugin's implementation of one hook."""

    record: PluginRecord
    hook: str
    function: Callable[..., Any] = field(repr=False)
    argnames: tuple[str, ...]

    @property
    def plugin(self) -> str:
        return self.record.name

    def call(self, arguments: Mapping[str, object]) -> Any:
        """Call it with those arguments that it takes; may return an awaitable."""
        with on_behalf_of(self.plugin, self.hook):
            return self.function(*(arguments[name] for name in self.argnames))

    def error(self, problem: str) -> PluginError:
        """Return the error that blames this implementation."""
        return PluginError(
            self.plugin,
            self.record.label,
            f"hook {self.hook!r}: {problem}",
            f"mend it, or add {self.plugin!r} to plugins.disabled",
        )


class PluginRegistry:
    """The plugins of one server. No module state: several servers may live in a process."""

    def __init__(self, *, skip_broken: bool = False) -> None:
        self.records: dict[str, PluginRecord] = {}
        self.counters = PluginCounters()
        self._skip_broken = skip_broken
        self._irreplaceable: set[str] = set()
        self._pluggy = pluggy.PluginManager(PROJECT)
        self._pluggy.add_hookspecs(hookspecs)

    @property
    def hook(self) -> Any:
        """pluggy's relay, for tests: all of a hook's answers, without isolation."""
        return self._pluggy.hook

    def register(
        self, plugin: Plugin[Any], name: str, distribution: str = "this program", version: str = ""
    ) -> None:
        """Add one plugin; `PluginError` (or a record of it, when broken ones are skipped)."""
        record = PluginRecord(name, distribution, version, plugin=plugin)
        self.records[name] = record
        try:
            self._pluggy.register(plugin, name)
        except (pluggy.PluginValidationError, ValueError) as error:
            self.fail(PluginError(name, record.label, str(error).replace("\n", " "), _CORRECT_HOOK))

    def finish(self) -> None:
        """Add the specifications that plugins bring and check every implementation."""
        for implementation in self.implementations("hookspecs"):
            try:
                for module in implementation.call({}):
                    self._add_hookspecs(implementation.record, module)
            except PluginError as error:
                self.fail(error)
            except Exception as error:
                log.debug("hook specifications failed", exc_info=True)
                self.fail(implementation.error(f"{type(error).__name__}: {error}"))
        for record in self.active():
            try:
                record.hooks = tuple(sorted(self._checked_hooks(record)))
            except PluginError as error:
                self.fail(error)

    def active(self) -> list[PluginRecord]:
        """Return the plugins that run, in the order of names."""
        return [
            self.records[name]
            for name in sorted(self.records)
            if self.records[name].state is PluginState.OK
        ]

    def has(self, name: str) -> bool:
        """Whether this plugin is installed, enabled and well."""
        record = self.records.get(name)
        return record is not None and record.state is PluginState.OK

    def implementations(self, hook: str) -> list[Implementation]:
        """Return who implements a hook, in order: `tryfirst`, names, `trylast`."""
        caller = getattr(self._pluggy.hook, hook, None)
        if caller is None:
            raise LocalProtocolError(f"hook {hook!r} has no specification")
        found = sorted(
            caller.get_hookimpls(), key=lambda i: (not i.tryfirst, i.trylast, i.plugin_name)
        )
        return [
            Implementation(self.records[i.plugin_name], hook, i.function, tuple(i.argnames))
            for i in found
            if self.records[i.plugin_name].state is PluginState.OK
        ]

    def rule(self, hook: str) -> HookRule:
        """Return the rule of a hook."""
        specification = getattr(self._pluggy.hook, hook).spec
        rule = rule_of(specification.function) if specification else None
        if rule is None:
            raise LocalProtocolError(f"hook {hook!r} has no kind: use the marks of roomful.plugin")
        return rule

    def keep(self, plugin: str) -> None:
        """Remember that the server cannot do without this plugin any more."""
        self._irreplaceable.add(plugin)

    def fail(self, error: PluginError) -> None:
        """Take a broken plugin out, or raise where `plugins.on_error` is `fail`."""
        record = self.records[error.plugin]
        record.state, record.problem = PluginState.ERROR, error.message
        if record.plugin is not None and self._pluggy.is_registered(record.plugin):
            self._pluggy.unregister(record.plugin)
        if not self._skip_broken or error.plugin in self._irreplaceable:
            raise error
        self.counters.failures[error.plugin, "start"] += 1
        log.error(
            "plugin skipped",
            extra={"plugin": error.plugin, "distribution": record.label, "problem": error.message},
        )

    def _add_hookspecs(self, record: PluginRecord, module: ModuleType) -> None:
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if hasattr(function, f"{PROJECT}_spec") and rule_of(function) is None:
                raise PluginError(
                    record.name,
                    record.label,
                    f"specification {name!r} has no kind",
                    "mark it with offer, life, choose, check, prepare or notify of roomful.plugin",
                )
        try:
            self._pluggy.add_hookspecs(module)
        except pluggy.PluginValidationError as error:
            blamed = self._record_of(error.plugin) or record
            raise PluginError(
                blamed.name, blamed.label, str(error).replace("\n", " "), _CORRECT_HOOK
            ) from error
        except ValueError as error:
            raise PluginError(
                record.name, record.label, f"hook specifications: {error}", "rename the hook"
            ) from error

    def _record_of(self, plugin: object) -> PluginRecord | None:
        return next((r for r in self.records.values() if r.plugin is plugin), None)

    def _checked_hooks(self, record: PluginRecord) -> Iterator[str]:
        for caller in self._pluggy.get_hookcallers(record.plugin) or ():
            own = [i for i in caller.get_hookimpls() if i.plugin is record.plugin]
            if not caller.has_spec():
                if all(i.optionalhook for i in own):
                    continue
                raise PluginError(
                    record.name,
                    record.label,
                    f"there is no hook {caller.name!r}",
                    "correct the name, or enable the plugin that brings this hook",
                )
            rule = self.rule(caller.name)
            for implementation in own:
                _check_shape(record, caller.name, rule, implementation)
            yield caller.name


_CORRECT_HOOK = "take the arguments that docs/reference/hooks.md lists"


def _check_shape(record: PluginRecord, hook: str, rule: HookRule, impl: Any) -> None:
    if (impl.wrapper or impl.hookwrapper) and not rule.may_be_wrapped:
        raise PluginError(
            record.name,
            record.label,
            f"hook {hook!r} takes no wrappers",
            "implement it without wrapper=True",
        )
    if inspect.iscoroutinefunction(impl.function) and not rule.may_be_async:
        raise PluginError(
            record.name,
            record.label,
            f"hook {hook!r} cannot be async",
            f"offer from a plain function; waiting belongs in {Kind.LIFE} hooks or services",
        )
