"""Names the plugin whose code blocks the event loop for more than 100 ms.

The loop notes the time 20 times a second. A thread looks whether it still does; when not, it takes
the stack of the loop's thread, and the innermost frame that belongs to a plugin's package is to
blame. The block is logged when it is over, with its length; a long one also while it lasts.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import traceback
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Self

from roomful.clock import Clock, SystemClock
from roomful.plugin.registry import PluginRegistry

log = logging.getLogger(__name__)

BEAT_S = 0.05
STALL_S = 0.1
LASTING_S = 5.0
CORE = "core"
_FRAMES_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Stall:
    """Where the loop's thread was while the loop was blocked."""

    plugin: str
    stack: str


class StallWatch:
    """Watches the loop it is entered on: `async with StallWatch(registry):`."""

    def __init__(self, registry: PluginRegistry, clock: Clock | None = None) -> None:
        self._registry, self._clock = registry, clock or SystemClock()
        self._beat_at = 0.0
        self.seen: Stall | None = None
        """where the loop is blocked now; set by the watching thread"""
        self._lasting = False
        self._handle: asyncio.TimerHandle | None = None
        self._over = threading.Event()
        self._watched = 0

    async def __aenter__(self) -> Self:
        self._watched = threading.get_ident()
        self._beat_at = self._clock.monotonic()
        self._sleep()
        threading.Thread(target=self._watch, name="roomful-stalls", daemon=True).start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        if self._handle is not None:
            self._handle.cancel()

    def _beat(self) -> None:
        """Note the time; on the loop."""
        now = self._clock.monotonic()
        late_s = now - self._beat_at - BEAT_S
        self._registry.counters.loop_lag.observe(late_s)
        if late_s > STALL_S:
            self._report(late_s)
        self._beat_at, self.seen, self._lasting = now, None, False
        self._sleep()

    def _sleep(self) -> None:
        self._handle = asyncio.get_running_loop().call_later(BEAT_S, self._beat)

    def _watch(self) -> None:
        """Look whether the time is being noted; in a thread."""
        while not self._over.wait(BEAT_S):
            late_s = self._clock.monotonic() - self._beat_at - BEAT_S
            if late_s > STALL_S and self.seen is None:
                self.seen = self._where()
            if late_s > LASTING_S and not self._lasting:
                self._lasting = True
                log.error("event loop is blocked", extra=self._fields(late_s))

    def _where(self) -> Stall:
        # CPython's only way to another thread's stack, made for this
        frame = sys._current_frames().get(self._watched)  # pyright: ignore[reportPrivateUsage]
        plugin = _blamed(frame, _packages_of(self._registry))
        stack = "".join(traceback.format_stack(frame)[-_FRAMES_SHOWN:]) if frame else ""
        return Stall(plugin, stack)

    def _report(self, late_s: float) -> None:
        plugin = self.seen.plugin if self.seen else CORE
        self._registry.counters.stalls[plugin] += 1
        self._registry.counters.stalled_s[plugin] += late_s
        log.warning("event loop was blocked", extra=self._fields(late_s))

    def _fields(self, late_s: float) -> dict[str, object]:
        seen = self.seen or Stall(CORE, "")
        record = self._registry.records.get(seen.plugin)
        return {
            "plugin": seen.plugin,
            "distribution": record.label if record else "roomful-core",
            "blocked_ms": round(late_s * 1000),
            "stack": seen.stack,
        }


def _packages_of(registry: PluginRegistry) -> dict[str, set[str]]:
    """Return top-level import package → its plugins."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for record in registry.active():
        found[type(record.plugin).__module__.partition(".")[0]].add(record.name)
    return found


def _blamed(frame: FrameType | None, packages: Mapping[str, set[str]]) -> str:
    """Return the plugin whose code is innermost on the stack.

    Where one package holds several plugins, the core's frame further out that called one of them
    tells which it is.
    """
    suspects: set[str] = set()
    while frame is not None:
        suspects = suspects or packages.get(_package(frame), set())
        if len(suspects) == 1:
            break
        if suspects and (caller := _called_by(frame)) in suspects:
            return str(caller)
        frame = frame.f_back
    return " or ".join(sorted(suspects)) or CORE


def _called_by(frame: FrameType) -> object:
    """Return the plugin that a frame of the core is about to call, by the name it keeps it under."""
    if _package(frame) != "roomful":
        return None
    held = (frame.f_locals.get(name) for name in ("implementation", "self"))
    return next((p for h in held if (p := getattr(h, "plugin", None))), None)


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
