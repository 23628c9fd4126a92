"""`GET /metrics`: counts in Prometheus text. No names, no identities, no label a client chooses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from roomful.api.cpu_metrics import cpu_metrics
from roomful.model.enums import ParticipantKind, TrackKind

if TYPE_CHECKING:
    from roomful.server import RoomServer


class HttpCounts:
    """Requests answered, by status; filled by the application."""

    def __init__(self) -> None:
        self.by_status: Counter[int] = Counter()
        self.refused: Counter[str] = Counter()
        """why a connection or request was refused at the door"""


class ServerCollector(Collector):
    """Counts what is live at the moment somebody asks."""

    def __init__(self, server: RoomServer, http: HttpCounts) -> None:
        self._server, self._http = server, http

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of one server."""
        sessions = self._server.rooms.sessions()
        participants = [p for s in sessions for p in s.room.participants.values()]
        yield GaugeMetricFamily("roomful_rooms", "Live rooms", len(sessions))
        kinds = Counter(p.kind for p in participants)
        yield _gauge("roomful_participants", "Participants by kind", "kind", {
            kind.name.lower(): kinds[kind] for kind in ParticipantKind
        })  # fmt: skip
        published = [t.info.kind for p in participants for t in p.publications.values()]
        tracks = Counter(published)
        yield _gauge("roomful_tracks", "Published tracks by kind", "kind", {
            kind.name.lower(): tracks[kind] for kind in TrackKind
        })  # fmt: skip
        subscriptions = sum(len(p.subscriptions) for p in participants)
        yield GaugeMetricFamily("roomful_subscriptions", "Active subscriptions", subscriptions)
        yield _counter("roomful_http_requests", "Requests answered", "status", self._http.by_status)
        yield _counter("roomful_refused", "Refused at a limit", "reason", self._http.refused)
        yield from cpu_metrics(self._server.limits)


def metrics_route(server: RoomServer, http: HttpCounts) -> web.RouteDef:
    """Return the route; every server has a registry of its own."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    registry.register(ServerCollector(server, http))
    registry.register(server.plugins.counters)

    async def handle(request: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    return web.get("/metrics", handle)


def _gauge(name: str, text: str, label: str, values: dict[str, int]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for value, count in values.items():
        family.add_metric([value], count)
    return family


def _counter(name: str, text: str, label: str, counts: Counter[str] | Counter[int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=[label])
    for value, count in counts.items():
        family.add_metric([str(value)], count)
    return family
