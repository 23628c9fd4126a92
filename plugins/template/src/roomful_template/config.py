"""Settings of the plugin: `[plugins.config.template]`."""

from pydantic import BaseModel, Field


class TemplateConfig(BaseModel, extra="forbid"):
    """Field names carry their units; secrets would be `SecretStr`."""

    notable_at: int = Field(default=10, ge=1, description="participants that make a room notable")
