"""How the server is: `GET /` for load balancers, `GET /metrics` for Prometheus.

Neither shows names of people or rooms, or secrets; labels are names of plugins and hooks only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

if TYPE_CHECKING:
    from roomful.plugin import HealthCheck, Offer
    from roomful.server import RoomServer


class Status:
    """Health and metrics of one server; a registry of its own, so that several may live here."""

    def __init__(self, server: RoomServer, checks: Sequence[Offer[HealthCheck]]) -> None:
        self._server, self._checks = server, checks
        self.registry = CollectorRegistry()
        self.registry.register(self)
        self.registry.register(server.plugins.counters)
        ProcessCollector(registry=self.registry)

    def routes(self) -> list[web.RouteDef]:
        """Return both routes."""
        return [web.get("/", self._health), web.get("/metrics", self._metrics)]

    def collect(self) -> Iterator[Metric]:
        """Yield what the core itself measures."""
        sessions = self._server.rooms.sessions()
        participants = sum(len(session.room.participants) for session in sessions)
        yield GaugeMetricFamily("roomful_rooms", "Rooms that are open", len(sessions))
        yield GaugeMetricFamily("roomful_participants", "Participants in rooms", participants)

    async def _health(self, request: web.Request) -> web.Response:
        wrong = await self._server.plugins.unwell(self._checks)
        if wrong:
            return web.Response(text="\n".join(wrong), status=503)
        return web.Response(text="OK")

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(self.registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )
