"""What a plugin is: a class with settings, made once per server."""

from __future__ import annotations

from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict


class NoConfig(BaseModel):
    """Settings of a plugin that has none."""

    model_config = ConfigDict(extra="forbid")


ConfigT = TypeVar("ConfigT", bound=BaseModel)


class Plugin(Generic[ConfigT]):
    """Base class of plugins: state the API version and the settings, mark hooks `@hookimpl`.

        class Greeter(Plugin[GreeterConfig]):
            api = (1, 0)
            Config = GreeterConfig

            @hookimpl
            def on_event(self, event): ...

    One instance is made for each server, so state lives on the instance, never in the module.
    """

    api: ClassVar[tuple[int, int]] = (1, 0)
    """(major, minor) of the hooks it was written against."""
    Config: ClassVar[type[BaseModel]] = NoConfig
    """Model of its settings; give it `extra="forbid"`, and `SecretStr` for secrets."""

    config: ConfigT

    def __init__(self, config: ConfigT | None = None) -> None:
        made: Any = self.Config() if config is None else config
        self.config = made
