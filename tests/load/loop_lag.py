"""The event loop's lag as the server itself counts it, read from `/metrics`."""

from __future__ import annotations

from dataclasses import dataclass

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from tests.interop.server import RoomServer

METRIC = "roomful_loop_lag_seconds"


@dataclass(frozen=True, slots=True)
class LagCounts:
    """Samples at or below each bound, since the server began."""

    at_most: dict[float, float]

    def since(self, before: LagCounts) -> LagCounts:
        """Only the samples after another reading."""
        return LagCounts({s: count - before.at_most[s] for s, count in self.at_most.items()})

    @property
    def samples(self) -> float:
        return self.at_most[float("inf")]

    def bound_of(self, share: float) -> float:
        """The smallest bound, in seconds, at or below which this share of the samples lies."""
        wanted = share * self.samples
        return min(bound for bound, count in self.at_most.items() if count >= wanted)


async def read_lag(server: RoomServer) -> LagCounts:
    """Ask the server."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{server.http_url}/metrics") as answer,
    ):
        text = await answer.text()
    return LagCounts(
        {
            float(sample.labels["le"]): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == f"{METRIC}_bucket"
        }
    )
