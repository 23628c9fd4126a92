"""The plugin: settings in, hook implementations out. The work is in `tally`."""

import logging

from roomful.model.events import LifeCycleEvent, ParticipantJoined
from roomful.plugin import Plugin, hookimpl
from roomful_template.config import TemplateConfig
from roomful_template.tally import Tally

log = logging.getLogger(__name__)


class TemplatePlugin(Plugin[TemplateConfig]):
    """One instance per server: state lives here, never in a module."""

    api = (1, 0)
    Config = TemplateConfig

    def __init__(self, config: TemplateConfig | None = None) -> None:
        super().__init__(config)
        self._tally = Tally()

    @hookimpl
    def on_event(self, event: LifeCycleEvent) -> None:
        """Count; names are personal data, so they go into a field that begins with `pii_`."""
        present = self._tally.note(event)
        if isinstance(event, ParticipantJoined) and present == self.config.notable_at:
            fields = {"room": event.room.sid, "pii_room_name": event.room.name, "present": present}
            log.info("room is of notable size", extra=fields)
