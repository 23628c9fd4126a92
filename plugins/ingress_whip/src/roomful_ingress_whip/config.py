"""Settings of the WHIP input: `[plugins.config.ingress_whip]`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class WhipConfig(BaseModel):
    """Ports and ICE servers are the media plane's (`[rtc]`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    media_timeout_s: float = Field(
        10.0,
        gt=0,
        le=300,
        description="a publisher that is connected and sends nothing is ended after this",
    )
    require_if_match: bool = Field(
        False, description="refuse PATCH without If-Match (428), as RFC 9725 lets a server do"
    )
