"""Webhooks as a plugin: one service per receiver."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from roomful.errors import ConfigError
from roomful.plugin import Plugin, Service, hookimpl
from roomful_webhooks.config import WebhooksConfig
from roomful_webhooks.receiver import CURSORS, Receiver, cursor_name

if TYPE_CHECKING:
    from roomful.server import RoomServer


class WebhooksPlugin(Plugin[WebhooksConfig]):
    """Tells receivers what happens in rooms."""

    Config = WebhooksConfig

    @hookimpl
    def services(self, server: RoomServer) -> Iterable[Service]:
        if not self.config.urls:
            return []
        key = self._signing_key(server)
        return [Receiver(server, self.config, url, key) for url in self.config.urls]

    @hookimpl
    async def startup(self, server: RoomServer) -> None:
        """Give up the places of receivers that are no longer in the settings."""
        keep = [cursor_name(url) for url in self.config.urls]
        await server.events.forget_cursors(CURSORS, keep)
        for name in keep:
            # opened before anything can happen, so that a new receiver hears from the start
            await server.events.cursor(name)

    def _signing_key(self, server: RoomServer) -> str:
        keys = server.settings.keys
        if self.config.api_key:
            if self.config.api_key not in keys:
                raise ConfigError(
                    f"setting 'plugins.config.webhooks.api_key': {self.config.api_key!r} is not in "
                    "[keys]; name one that is"
                )
            return self.config.api_key
        if len(keys) != 1:
            raise ConfigError(
                "setting 'plugins.config.webhooks.api_key' is needed: [keys] holds "
                f"{len(keys)} keys; name the one that signs"
            )
        return next(iter(keys))
