"""The demo as a plugin: the command, the page with its token endpoint, the first scene.

The command line imports this module at every start, so nothing heavy is imported here.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import TYPE_CHECKING, Any

from roomful.plugin import NoConfig, Plugin, hookimpl

if TYPE_CHECKING:
    import argparse

    from aiohttp import web

    from roomful.server import RoomServer
    from roomful_demo.command import Subparsers
    from roomful_demo.scene import Scene


class DemoPlugin(Plugin[NoConfig]):
    """Has no settings; its page is on in `dev` and `demo`, off in `serve`."""

    @hookimpl
    def hookspecs(self) -> Iterable[ModuleType]:
        from roomful_demo import hookspecs

        return [hookspecs]

    @hookimpl
    def commands(self, subparsers: Subparsers[argparse.ArgumentParser]) -> None:
        from roomful_demo.command import add_command

        add_command(subparsers)

    @hookimpl
    def routes(self, server: RoomServer) -> Iterable[web.RouteDef]:
        if not server.settings.is_dev:
            return []
        from roomful_demo.site import Site

        return Site(server).routes()

    @hookimpl
    def demo_scenes(self) -> Iterable[Scene[Any]]:
        from roomful_demo.duo import DuoScene

        return [DuoScene()]
