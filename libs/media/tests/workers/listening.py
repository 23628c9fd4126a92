"""Hearing what a job says, with a limit."""

from __future__ import annotations

import asyncio
from typing import Any

from roomful_media.job import Job


async def first(job: Job, kind: str) -> Any:
    """Return the next message of this kind."""
    async with asyncio.timeout(10):
        async for event in job.messages():
            if isinstance(event, dict) and event["t"] == kind:
                return event
    raise AssertionError(f"no {kind!r} before the job ended")


async def rest(job: Job) -> list[Any]:
    """Return all events to the end."""
    async with asyncio.timeout(20):
        return [event async for event in job.messages()]
