"""How the command ends."""

import asyncio
import os
import signal

import pytest

from roomful_demo.ending import run_until, stop_on_signals


async def test_work_that_ends_by_itself_gives_the_code() -> None:
    async def work() -> int:
        return 7

    assert await run_until(asyncio.Event(), work(), 0) == 7


async def test_what_is_asked_to_stop_is_over_when_it_returns() -> None:
    stop, log = asyncio.Event(), list[str]()

    async def work() -> int:
        try:
            stop.set()
            await asyncio.Event().wait()
        finally:
            log.append("over")
        return 7

    assert await run_until(stop, work(), 130) == 130
    assert log == ["over"]


async def test_work_that_raises_raises() -> None:
    async def work() -> int:
        raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        await run_until(asyncio.Event(), work(), 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_sets_the_event(number: signal.Signals) -> None:
    with stop_on_signals() as stop:
        os.kill(os.getpid(), number)
        async with asyncio.timeout(5):
            await stop.wait()
