"""Settings of the webhooks plugin: `[plugins.config.webhooks]`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator
from yarl import URL


class WebhooksConfig(BaseModel):
    """Without URLs the plugin does nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    urls: tuple[str, ...] = Field(
        (), max_length=32, repr=False, description="receivers; each gets every event"
    )
    api_key: str = Field("", description="API key that signs; empty: the only one in [keys]")
    include: tuple[str, ...] = Field(
        (), description="event names to send, such as room_started; empty: all"
    )
    exclude: tuple[str, ...] = Field((), description="event names not to send; wins over include")

    @field_validator("urls")
    @classmethod
    def _are_http(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for number, url in enumerate(urls, 1):
            parsed = URL(url)
            if parsed.scheme not in ("http", "https") or not parsed.host:
                raise ValueError(f"URL number {number} is not an http or https URL")
        if len(set(urls)) != len(urls):
            raise ValueError("a URL stands twice")
        return urls

    def wants(self, event: str) -> bool:
        """Whether an event of this name is sent."""
        return event not in self.exclude and (not self.include or event in self.include)
