"""A client's token, renewed while it is here: it reconnects with the newest it was sent."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from roomful.auth.grants import Grants
from roomful.auth.token import Tokens
from roomful.errors import Unauthenticated
from roomful.model.participant import Participant

log = logging.getLogger(__name__)

EVERY_S = 300.0


class TokenRefresh:
    """Sends a new token at the start, every five minutes, and when what it says has changed."""

    def __init__(
        self,
        tokens: Tokens,
        grants: Grants,
        participant: Participant,
        send: Callable[[str], None],
    ) -> None:
        self._tokens, self._grants, self._participant = tokens, grants, participant
        self._send = send
        self._changed = asyncio.Event()
        self._told = self._said()
        self._task: asyncio.Task[None] | None = None

    async def send(self) -> None:
        """Send a token that says what is true now."""
        who = self._participant
        self._told = self._said()
        try:
            token = await self._tokens.refresh(
                self._grants,
                name=who.name,
                metadata=who.metadata,
                attributes=who.attributes,
                permission=who.permission,
            )
        except Unauthenticated as error:
            # the key was taken out of the settings: the session goes on, without new tokens
            log.warning("no token to refresh with", extra={"problem": error.message})
            return
        self._send(token)

    def start(self) -> None:
        """Begin to renew."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def note_change(self) -> None:
        """The participant changed; a token follows if it says something else now."""
        if self._said() != self._told:
            self._changed.set()

    def _said(self) -> tuple[object, ...]:
        who = self._participant
        return who.name, who.metadata, tuple(sorted(who.attributes.items())), who.permission

    async def _run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(EVERY_S):
                    await self._changed.wait()
            except TimeoutError:
                pass
            self._changed.clear()
            await self.send()
