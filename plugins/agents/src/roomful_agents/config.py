"""Settings of the agents plugin: `[plugins.config.agents]`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class AgentsConfig(BaseModel):
    """Works without any."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    join_timeout_s: float = Field(
        60.0,
        ge=1,
        le=3600,
        description="a worker that took a job and whose agent has not joined after this is told to "
        "end it, and the next worker is asked",
    )
