"""Scenes that do well, do badly, raise or hang."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from roomful_demo import checking
from roomful_demo.checking import Verdict, check, said
from roomful_demo.scene import Finding, Stage

STAGE = Stage("ws://127.0.0.1:1", "demo", "devkey", "secret")


class FakeScene:
    """A scene of a plugin that imports nothing of the demo: tuples, no classes."""

    name = "fake"

    def __init__(self, *found: Any, on_start: Any = None, on_check: Any = None) -> None:
        self._found, self._on_start, self._on_check = found, on_start, on_check
        self.log: list[str] = []

    def start(self, stage: Stage) -> AbstractAsyncContextManager[str]:
        return self._play(stage)

    @asynccontextmanager
    async def _play(self, stage: Stage) -> AsyncGenerator[str, None]:
        await _do(self._on_start)
        self.log.append(f"started at {stage.url}")
        try:
            yield "play"
        finally:
            self.log.append("ended")

    async def check(self, play: str) -> list[tuple[str, str, bool]]:
        await _do(self._on_check)
        self.log.append(f"checked {play}")
        return list(self._found)

    def watch(self, play: str) -> list[tuple[str, str]]:
        return [("fake", play)]


async def _do(what: Any) -> None:
    if isinstance(what, Exception):
        raise what
    if what is not None:
        await asyncio.sleep(what)


async def test_a_scene_is_started_checked_and_ended() -> None:
    scene = FakeScene(("sound", "A4", True))

    verdict = await check(scene, STAGE)

    assert verdict == Verdict("fake", (Finding("sound", "A4", True),))
    assert verdict.well
    assert scene.log == ["started at ws://127.0.0.1:1", "checked play", "ended"]


async def test_one_thing_missing_makes_the_scene_not_well() -> None:
    verdict = await check(FakeScene(("a", "", True), ("b", "silent", False)), STAGE)

    assert not verdict.well
    assert verdict.findings[1] == ("b", "silent", False)


async def test_a_scene_that_checks_nothing_is_not_well() -> None:
    assert not (await check(FakeScene(), STAGE)).well


async def test_a_scene_that_cannot_start_is_not_well_and_says_why() -> None:
    verdict = await check(FakeScene(on_start=ValueError("no\nstage")), STAGE)

    assert verdict.findings == (Finding("scene", "ValueError: no stage", False),)


async def test_a_scene_that_raises_when_checked_is_ended() -> None:
    scene = FakeScene(on_check=KeyError("x"))

    verdict = await check(scene, STAGE)

    assert not verdict.well
    assert scene.log[-1] == "ended"


@pytest.mark.parametrize("where", ["on_start", "on_check"])
async def test_a_scene_that_hangs_is_not_well(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "START_LIMIT_S", 0.01)
    monkeypatch.setattr(checking, "CHECK_LIMIT_S", 0.01)

    verdict = await check(FakeScene(("a", "", True), **{where: 60}), STAGE)

    assert verdict.findings == (Finding("scene", "it took too long", False),)


def test_errors_are_said_in_one_line() -> None:
    assert said(OSError("a\n  b")) == "OSError: a b"
    assert said(RuntimeError()) == "RuntimeError"
    assert said(TimeoutError()) == "it took too long"
