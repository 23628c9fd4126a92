"""A stranger's plugin that mistypes a hook."""

from roomful.plugin import Plugin, hookimpl


class Broken(Plugin):
    @hookimpl
    def on_evnt(self, event): ...
