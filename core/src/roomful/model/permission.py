"""What one participant may do now; comes from its token, can be changed by the API."""

from dataclasses import dataclass

from roomful.model.enums import TrackSource


@dataclass(frozen=True, slots=True)
class Permission:
    """Effective permission of a participant in its room."""

    can_subscribe: bool = True
    can_publish: bool = True
    can_publish_data: bool = True
    can_publish_sources: tuple[TrackSource, ...] = ()
    """when not empty it replaces `can_publish`"""
    can_update_metadata: bool = False
    can_subscribe_metrics: bool = False
    hidden: bool = False
    recorder: bool = False
    agent: bool = False

    def may_publish(self, source: TrackSource) -> bool:
        """Whether a track of this source may be published."""
        if self.can_publish_sources:
            return source in self.can_publish_sources
        return self.can_publish

    @property
    def may_publish_anything(self) -> bool:
        return self.can_publish or bool(self.can_publish_sources)
