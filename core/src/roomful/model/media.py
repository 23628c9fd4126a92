"""What flows, as the core sees it: sources, sinks, and the plane that joins them. Protocols only."""

from __future__ import annotations

from typing import Protocol


class MediaSource(Protocol):
    """Where the media of one publication comes from (wire or local); owned by its transport."""

    def request_key_frame(self) -> None:
        """Ask the publisher for a key frame; throttled by the source."""
        ...


class MediaPlane(Protocol):
    """The one UDP port, engine and worker supervisor of a server; offered by one plugin.

    Transports know the concrete class of the plugin that offers it through `roomful_rtc`; the core
    only keeps it and hands it out.
    """

    async def start(self) -> None:
        """Open the ports. Raises `ConfigError` naming the setting when one is taken."""
        ...

    async def stop(self) -> None: ...
