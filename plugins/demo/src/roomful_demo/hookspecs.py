"""The hook that the demo adds for other plugins."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from roomful.plugin import offer

if TYPE_CHECKING:
    from roomful_demo.scene import Scene


@offer
def demo_scenes() -> Iterable[Scene[Any]]:
    """Offer scenes that `roomful demo` plays and `roomful demo --once` checks.

    Offer. Called once when the demo's server is up. A scene is any object of the shape of
    `roomful_demo.scene.Scene`, so its plugin need not import this one; implement the hook with
    `@hookimpl(optionalhook=True)`, because the demo may not be installed. Added in 1.0.
    """
    raise NotImplementedError
