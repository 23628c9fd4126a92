"""How a command ends: by itself or by a signal, and never leaving something running."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from typing import Any

INTERRUPTED = 130


@contextmanager
def stop_on_signals() -> Generator[asyncio.Event, None, None]:
    """Give an event that SIGTERM and the first SIGINT set; the second SIGINT ends at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def interrupted() -> None:
        if stop.is_set():
            os._exit(INTERRUPTED)
        stop.set()

    loop.add_signal_handler(signal.SIGINT, interrupted)
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    try:
        yield stop
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        loop.remove_signal_handler(signal.SIGTERM)


async def run_until(stop: asyncio.Event, work: Coroutine[Any, Any, int], code: int) -> int:
    """Return what `work` returns, or `code` when `stop` is set before; `work` is over then."""
    task = asyncio.create_task(work)
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((task, stopping), return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        task.cancel()
        await asyncio.wait((task, stopping))
    return code if task.cancelled() else task.result()
