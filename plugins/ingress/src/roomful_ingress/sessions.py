"""All sessions of a server: who is let in by which key, and at most one for each ingress."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from google.protobuf import json_format

from roomful.errors import (
    AlreadyExists,
    FailedPrecondition,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Unavailable,
)
from roomful.ids import random_text
from roomful.limits import Refused
from roomful.model.events import PluginEvent
from roomful_ingress.catalogue import Catalogue
from roomful_ingress.config import IngressConfig
from roomful_ingress.definition import Definition, InputType
from roomful_ingress.inputs import Inputs
from roomful_ingress.session import Publisher, Session
from roomful_ingress.state import State, begun
from roomful_ingress.wire import info_to_wire

if TYPE_CHECKING:
    from roomful.server import RoomServer

log = logging.getLogger(__name__)

GHOST_S = 2.0
"""a session without media for this long gives way to a new publisher"""
STOP_S = 5.0
MAX_KEY = 256
"""characters; a longer one is unknown without a look"""
_RESOURCE_PREFIX = {InputType.RTMP: "RTMP_", InputType.WHIP: "WH_", InputType.URL: "URL_"}


class Sessions:
    """What inputs let publishers in by."""

    def __init__(
        self, server: RoomServer, config: IngressConfig, catalogue: Catalogue, inputs: Inputs
    ) -> None:
        self.server = server
        self._config = config
        self._catalogue = catalogue
        self._inputs = inputs
        self._live: dict[str, Session] = {}
        """by ingress id; bounded by `max_sessions`"""
        self._turns: dict[str, asyncio.Lock] = {}

    @property
    def takes_over(self) -> bool:
        """Whether the newest publisher wins."""
        return self._config.on_busy == "takeover"

    def live(self, ingress_id: str) -> Session | None:
        """Return the session of an ingress."""
        return self._live.get(ingress_id)

    async def open(
        self, stream_key: str, input_type: int, publisher: Publisher, cores: float
    ) -> Session:
        """Let a publisher in by its key; `cores`: what its media is estimated to cost.

        The caller then calls `Session.join`, or `Session.end` when it gives up.

        Raises:
            NotFound: no ingress of this input has the key.
            PermissionDenied: the ingress is disabled.
            FailedPrecondition: the ingress names no room yet.
            AlreadyExists: a publisher is there already.
            ResourceExhausted: too many sessions, or no CPU is free.
            Unavailable: the server is going down.
        """
        definition = await self._admitted(stream_key, input_type)
        if self.server.rooms.draining:
            raise Unavailable("the server is shutting down")
        ingress_id = definition.ingress_id
        turn = self._turns.setdefault(ingress_id, asyncio.Lock())
        try:
            async with turn:
                await self._make_way(ingress_id)
                return await self._begin(definition, publisher, cores)
        finally:
            if not turn.locked():
                self._turns.pop(ingress_id, None)

    async def _admitted(self, stream_key: str, input_type: int) -> Definition:
        found = None
        if 0 < len(stream_key) <= MAX_KEY:
            found = await self._catalogue.by_key(stream_key)
        if found is None or found.input_type != input_type:
            raise NotFound("unknown stream key")
        if not found.is_enabled:
            raise PermissionDenied("session is disabled")
        if not found.room_name:
            raise FailedPrecondition("the ingress names no room: update its room_name")
        return found

    async def _make_way(self, ingress_id: str) -> None:
        """End the present session where it gives way. Raises `AlreadyExists`."""
        present = self._live.get(ingress_id)
        if present is None:
            return
        silent_s = self.server.clock.monotonic() - present.publisher.last_media_at()
        if not self.takes_over and silent_s < GHOST_S:
            raise AlreadyExists("already publishing: another publisher uses this stream key")
        await self._stop(present, "replaced")

    async def _begin(self, definition: Definition, publisher: Publisher, cores: float) -> Session:
        if len(self._live) >= self._config.max_sessions:
            raise ResourceExhausted(
                f"server busy: [plugins.config.ingress] max_sessions is {self._config.max_sessions}"
            )
        lease = self.server.limits.admit("ingress", cores, definition.room_name)
        if isinstance(lease, Refused):
            raise ResourceExhausted(f"server busy: {lease.error().message}")
        # 128 bits: WHIP resources are found by it
        resource = _RESOURCE_PREFIX[definition.input_type] + random_text(22)
        state = begun(definition.ingress_id, resource, self._now_ns())
        session = Session(self, definition, state, publisher, lease)
        self._live[definition.ingress_id] = session
        try:
            await self.changed(session)
        except BaseException:
            lease.release()
            self.over(session)
            raise
        return session

    # --- for the API -------------------------------------------------------------------------

    async def state(self, definition: Definition) -> State:
        """Return how an ingress stands."""
        session = self._live.get(definition.ingress_id)
        return session.state if session else await self._catalogue.state(definition.ingress_id)

    async def stop(self, ingress_id: str, reason: str) -> None:
        """End the session of an ingress, if there is one; its publisher is told."""
        if (session := self._live.get(ingress_id)) is not None:
            await self._stop(session, reason)

    async def stop_all(self, reason: str) -> None:
        """End every session; the server is going down."""
        await asyncio.gather(*(self._stop(session, reason) for session in [*self._live.values()]))

    async def _stop(self, session: Session, reason: str) -> None:
        try:
            async with asyncio.timeout(STOP_S):
                await session.stop(reason)
        except TimeoutError:
            log.warning("a publisher did not stop in time", extra={"ingress": session.ingress_id})

    # --- SessionHost -------------------------------------------------------------------------

    async def changed(self, session: Session, event: str = "") -> None:
        """Keep a session's state; tell webhooks."""
        await self._catalogue.put_state(session.state)
        log.info(
            "ingress changed",
            extra={
                "ingress": session.ingress_id,
                "resource": session.resource_id,
                "status": session.state.status.name.lower(),
                "problem": session.state.error,
            },
        )
        if event:
            self.server.events.submit(self._event(session, event))

    def over(self, session: Session) -> None:
        """Forget a session."""
        if self._live.get(session.ingress_id) is session:
            del self._live[session.ingress_id]

    def _event(self, session: Session, name: str) -> PluginEvent:
        """The event as webhooks send it. The stream key stays here: the log is not sealed."""
        definition = replace(session.definition, stream_key="")
        info = info_to_wire(definition, session.state, self._inputs.url(definition), session.tracks)
        return PluginEvent(
            name, session.room_info, {"ingressInfo": json_format.MessageToDict(info)}
        )

    def _now_ns(self) -> int:
        return self.server.clock.wall_ms() * 1_000_000
