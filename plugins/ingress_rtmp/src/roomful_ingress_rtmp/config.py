"""Settings of the RTMP input: `[plugins.config.ingress_rtmp]`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class RtmpConfig(BaseModel):
    """Where it listens, and when video is encoded anew."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bind: tuple[str, ...] = Field(("127.0.0.1",), min_length=1, description="addresses")
    port: int = Field(1935, ge=0, le=65535, description="TCP; 0: any free one")
    transcode: Literal["auto", "always", "never"] = Field(
        "auto",
        description="video: auto passes H.264 on that browsers can play as it is; never refuses the rest",
    )
    handshake_timeout_s: float = Field(
        5.0, gt=0, le=60, description="from the connection to the accepted stream"
    )
    idle_timeout_s: float = Field(5.0, gt=0, le=60, description="a publisher silent for this ends")
    max_connections: int = Field(256, ge=1, description="publishers and those that are not yet")
