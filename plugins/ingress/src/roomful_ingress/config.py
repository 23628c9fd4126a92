"""Settings of the ingress plugin: `[plugins.config.ingress]`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class IngressConfig(BaseModel):
    """What counts for every input."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_sessions: int = Field(100, ge=1, description="publishers connected at a time")
    on_busy: Literal["refuse", "takeover"] = Field(
        "refuse",
        description="what a second publisher with the same key gets; takeover: newest wins",
    )
    rtmp_base_url: str = Field(
        "", description="URL that answers name for RTMP; empty: where the listener is"
    )
    whip_base_url: str = Field(
        "", description="URL that answers name for WHIP; empty: `/whip` on the HTTP port"
    )
