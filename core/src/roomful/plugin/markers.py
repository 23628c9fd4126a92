"""Marks on hook specifications and implementations, the API version, the entry-point group.

There are four kinds of hook, and each has its own way to fail (docs/reference/hooks.md):

    kind     specification        called                             a failing plugin means
    offer    @offer, @offer_one   once, while the server is built    start fails, or it is skipped
    life     @life                once, in order, with a limit       startup: as above, else a log
    decide   @choose              when needed, first answer counts   as if it had answered None
             @check, @prepare     when needed, all are asked         refused
    notify   @notify              after the fact, by a queue each    logged and counted
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

import pluggy

PROJECT = "roomful"
GROUP = "roomful.plugins"
"""Entry points: name → `module:Class` of a `Plugin`."""
API_VERSION = (1, 0)
"""(major, minor) of the hooks; apart from the product's version."""

F = TypeVar("F", bound=Callable[..., object])

hookimpl = pluggy.HookimplMarker(PROJECT)
_hookspec = pluggy.HookspecMarker(PROJECT)


class Kind(StrEnum):
    """How a hook is called and what a failure means."""

    OFFER = "offer"
    LIFE = "life"
    DECIDE = "decide"
    NOTIFY = "notify"


@dataclass(frozen=True, slots=True)
class HookRule:
    """What the manager needs to know of a hook beside its signature."""

    kind: Kind
    may_be_async: bool
    may_be_wrapped: bool


_RULE = "roomful_hook_rule"


def rule_of(specification: object) -> HookRule | None:
    """Return the rule of a specification function, None when it carries none of our marks."""
    rule = getattr(specification, _RULE, None)
    return rule if isinstance(rule, HookRule) else None


def _mark(kind: Kind, *, first: bool = False) -> Callable[[F], F]:
    calm = kind in (Kind.OFFER, Kind.LIFE)
    rule = HookRule(kind, may_be_async=kind is not Kind.OFFER, may_be_wrapped=calm)

    def mark(function: F) -> F:
        setattr(function, _RULE, rule)
        return _hookspec(function, firstresult=first)

    return mark


offer = _mark(Kind.OFFER)
"""Every plugin may offer some: returns an iterable."""
offer_one = _mark(Kind.OFFER, first=True)
"""One plugin offers it: returns the thing or None."""
life = _mark(Kind.LIFE)
choose = _mark(Kind.DECIDE, first=True)
"""The first answer that is not None counts; a failing plugin counts as None."""
check = _mark(Kind.DECIDE)
"""One `Denied` is enough; a failing plugin refuses."""
prepare = _mark(Kind.DECIDE)
"""Raises a `RequestError` to refuse; a failing plugin refuses."""
notify = _mark(Kind.NOTIFY)
