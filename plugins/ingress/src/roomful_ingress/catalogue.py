"""Definitions and states in the store."""

from __future__ import annotations

from roomful.clock import Clock
from roomful.errors import NotFound
from roomful.store import Store
from roomful_ingress.definition import Definition, key_digest
from roomful_ingress.state import State, ended, supersedes

PAGE = 1000


class Catalogue:
    """Two tables: what was defined, and how each ingress stands."""

    def __init__(self, store: Store, clock: Clock) -> None:
        """Open the tables; called once, at start."""
        self._store, self._clock = store, clock
        self._definitions = store.table(
            "ingress.definitions", Definition, key="ingress_id",
            indexes=("key_digest", "room_name"),
        )  # fmt: skip
        self._states = store.table("ingress.states", State, key="ingress_id")

    async def settle(self) -> None:
        """End what a killed server left live."""
        after: str | None = None
        while rows := await self._states.find(after=after, limit=PAGE):
            after = rows[-1].ingress_id
            for state in rows:
                if state.is_live:
                    await self._states.put(ended(state, "", self._clock.wall_ms() * 1_000_000))

    async def get(self, ingress_id: str) -> Definition:
        """Raises `NotFound`."""
        found = await self._definitions.get(ingress_id)
        if found is None:
            raise NotFound("ingress does not exist")
        return found

    async def by_key(self, stream_key: str) -> Definition | None:
        """Return the definition with this key."""
        found = await self._definitions.find(key_digest=key_digest(stream_key), limit=1)
        return found[0] if found else None

    async def page(self, room_name: str, after: str, limit: int = PAGE) -> list[Definition]:
        """Return definitions in the order of their ids; `room_name` empty: of all rooms."""
        index = {"room_name": room_name} if room_name else {}
        return await self._definitions.find(after=after or None, limit=limit, **index)

    async def put(self, definition: Definition) -> None:
        """Write a definition."""
        await self._definitions.put(definition)

    async def state(self, ingress_id: str) -> State:
        """Return how an ingress stands."""
        return await self._states.get(ingress_id) or State(ingress_id)

    async def put_state(self, state: State) -> None:
        """Write a state, unless a newer session wrote since."""
        async with self._store.transaction():
            if supersedes(state, await self._states.get(state.ingress_id)):
                await self._states.put(state)

    async def delete(self, ingress_id: str) -> None:
        """Forget an ingress."""
        async with self._store.transaction():
            await self._definitions.delete(ingress_id)
            await self._states.delete(ingress_id)
