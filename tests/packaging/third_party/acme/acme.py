"""A stranger's plugin: counts joins and says so at /acme."""

from aiohttp import web
from pydantic import BaseModel

from roomful.model.events import ParticipantJoined
from roomful.plugin import Plugin, hookimpl


class AcmeConfig(BaseModel, extra="forbid"):
    greeting: str = "hello"


class Acme(Plugin[AcmeConfig]):
    Config = AcmeConfig
    joins = 0

    @hookimpl
    def on_event(self, event):
        self.joins += isinstance(event, ParticipantJoined)

    @hookimpl
    def routes(self):
        return [web.get("/acme", self.tell)]

    @hookimpl
    def commands(self, subparsers):
        subparsers.add_parser("greet").set_defaults(run=lambda _: print(self.config.greeting))

    async def tell(self, request):
        return web.json_response({"greeting": self.config.greeting, "joins": self.joins})
