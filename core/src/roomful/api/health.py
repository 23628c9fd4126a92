"""`GET /`: is the server well? Asks the checks that plugins offer, seldom and not for long."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from aiohttp import web

from roomful.clock import Clock
from roomful.plugin.service import HealthCheck, Offer

log = logging.getLogger(__name__)

CHECK_S = 2.0
REMEMBER_S = 1.0
"""an answer is given again for so long, so that asking costs nothing"""


class Health:
    """Asks all checks and remembers the answer for a second."""

    def __init__(self, checks: Sequence[Offer[HealthCheck]], clock: Clock) -> None:
        self._checks, self._clock = checks, clock
        self._asked_at = float("-inf")
        self._problems: list[str] = []
        self._asking = asyncio.Lock()

    async def problems(self) -> list[str]:
        """Return what is wrong, one line a check; empty when the server is well."""
        async with self._asking:
            now = self._clock.monotonic()
            if now - self._asked_at >= REMEMBER_S:
                self._problems = [
                    problem for offer in self._checks if (problem := await _ask(offer))
                ]
                self._asked_at = self._clock.monotonic()
            return self._problems

    async def handle(self, request: web.Request) -> web.Response:
        """Answer `OK`, or 406 and what is wrong."""
        problems = await self.problems()
        if not problems:
            return web.Response(text="OK")
        return web.Response(status=406, text="Not Ready\n" + "\n".join(problems))


async def _ask(offer: Offer[HealthCheck]) -> str | None:
    name = offer.value.name
    try:
        async with asyncio.timeout(CHECK_S):
            problem = await offer.value.check()
    except TimeoutError:
        problem = f"no answer within {CHECK_S:.0f} s"
    except Exception:
        log.exception("health check failed", extra={"plugin": offer.plugin, "check": name})
        problem = "the check failed"
    return f"{name}: {problem}" if problem else None
