"""Plays and checks scenes within time limits; a scene that raises is a scene that is not well."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from roomful_demo.scene import CHECK_LIMIT_S, START_LIMIT_S, STOP_LIMIT_S, Finding, Scene, Stage


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a scene."""

    scene: str
    findings: tuple[Finding, ...]

    @property
    def well(self) -> bool:
        """Whether something was checked and nothing is missing."""
        return bool(self.findings) and all(finding.well for finding in self.findings)


@asynccontextmanager
async def play(scene: Scene[Any], stage: Stage) -> AsyncGenerator[Any, None]:
    """Play a scene; it has `START_LIMIT_S` to begin and `STOP_LIMIT_S` to end."""
    async with AsyncExitStack() as stack:
        async with asyncio.timeout(START_LIMIT_S):
            running = await stack.enter_async_context(scene.start(stage))
        ending = stack.pop_all()
        try:
            yield running
        finally:
            async with asyncio.timeout(STOP_LIMIT_S):
                await ending.aclose()


async def check(scene: Scene[Any], stage: Stage) -> Verdict:
    """Play a scene until it is checked."""
    findings: list[Finding] = []
    try:
        async with play(scene, stage) as running:
            async with asyncio.timeout(CHECK_LIMIT_S):
                findings += [Finding(*found) for found in await scene.check(running)]
    except Exception as error:  # noqa: BLE001 (a scene is contained here, whoever brought it)
        findings.append(Finding("scene", said(error), False))
    return Verdict(scene.name, tuple(findings) or (Finding("scene", "nothing was checked", False),))


def said(error: Exception) -> str:
    """Return an error in one line."""
    if isinstance(error, TimeoutError):
        return "it took too long"
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
