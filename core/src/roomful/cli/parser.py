"""The parser: our commands with their options, and the commands of plugins."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from roomful.plugin.service import Subparsers

COMMANDS_GROUP = "roomful.commands"
"""Entry points: command → the `module:Class` of its plugin; lists it without an import."""


def parse(argv: list[str]) -> argparse.Namespace:
    """Return the parsed command; `run` is its function."""
    return build_parser(_command_in(argv)).parse_args(argv)


def build_parser(wanted: str | None = None) -> argparse.ArgumentParser:
    """Return the parser; plugins are loaded only where one of their commands is `wanted`."""
    parser = argparse.ArgumentParser(
        prog="roomful", description="A real-time room server in one process."
    )
    parser.add_argument("--version", action=_Version)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_dev(commands)
    _add_serve(commands)
    _add_token(commands)
    _add_plugins(commands)
    _add_config(commands)
    _add_plugin_commands(commands, wanted)
    return parser


def _later(module: str, function: str) -> Callable[[argparse.Namespace], int]:
    """Return a command that imports its module when it runs."""

    def run(arguments: argparse.Namespace) -> int:
        return int(getattr(import_module(f"roomful.cli.{module}"), function)(arguments))

    return run


def _add_config_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings, a TOML file")


def add_server_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that stand above file and environment; for plugins' commands too."""
    _add_config_option(parser)
    parser.add_argument("--port", type=int, help="HTTP and WebSocket port; 0: any free one")
    parser.add_argument(
        "--bind", action="append", metavar="ADDRESS", help="address to listen on; may be repeated"
    )
    parser.add_argument("--node-ip", metavar="ADDRESS", help="address that clients send media to")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="state and recordings")
    parser.add_argument("--log-format", choices=("text", "json"), help="how log records look")


def _add_dev(commands: Subparsers) -> None:
    dev = commands.add_parser("dev", help="run on this machine for trying things out")
    dev.description = (
        "Run on 127.0.0.1 with the key 'devkey' and the secret 'secret', every installed plugin "
        "on, and state in ./roomful-data."
    )
    add_server_options(dev)
    dev.set_defaults(run=_later("run", "dev"))


def _add_serve(commands: Subparsers) -> None:
    serve = commands.add_parser("serve", help="run as the settings say")
    add_server_options(serve)
    serve.set_defaults(run=_later("run", "serve"))


def _add_token(commands: Subparsers) -> None:
    token = commands.add_parser("token", help="make an access token")
    _add_config_option(token)
    token.add_argument("--room", default="", help="the room the token is for")
    token.add_argument("--identity", default="", help="who bears it, unique in the room")
    token.add_argument("--name", default="", help="display name")
    token.add_argument("--metadata", default="", help="metadata of the participant")
    token.add_argument(
        "--attribute",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="attribute of the participant; may be repeated",
    )
    token.add_argument(
        "--valid-for", default="6h", metavar="TIME", help="30s, 10m, 6h (default), 7d"
    )
    token.add_argument("--key", default="", help="API key to sign with; default: the first one")
    grants = token.add_argument_group("grants", "without any of these the token joins --room")
    for flag, _, meaning in TOKEN_FLAGS:
        grants.add_argument(f"--{flag}", action="store_true", help=meaning)
    grants.add_argument(
        "--source",
        action="append",
        default=[],
        choices=("camera", "microphone", "screen_share", "screen_share_audio"),
        help="publish nothing but this source; may be repeated",
    )
    token.set_defaults(run=_later("token", "token"))


TOKEN_FLAGS = (
    ("join", "roomJoin", "join the room"),
    ("create", "roomCreate", "create and delete rooms"),
    ("list", "roomList", "list rooms"),
    ("admin", "roomAdmin", "moderate the room"),
    ("record", "roomRecord", "start and stop recordings"),
    ("ingress-admin", "ingressAdmin", "manage ingresses"),
    ("agent", "agent", "be an agent worker: trusted with every room"),
    ("hidden", "hidden", "join unseen"),
    ("recorder", "recorder", "join as a recorder"),
    ("no-publish", "canPublish", "publish no tracks"),
    ("no-subscribe", "canSubscribe", "subscribe to nothing"),
    ("no-data", "canPublishData", "send no data"),
    ("update-own-metadata", "canUpdateOwnMetadata", "change its own name, metadata, attributes"),
)
"""Option, video grant of the token, meaning; an option that begins with `no-` denies."""


def _add_plugins(commands: Subparsers) -> None:
    plugins = commands.add_parser("plugins", help="list, show and begin plugins")
    verbs = plugins.add_subparsers(metavar="VERB", required=True)
    listing = verbs.add_parser("list", help="what is installed, and what became of it")
    _add_config_option(listing)
    listing.set_defaults(run=_later("plugins", "list_plugins"))
    show = verbs.add_parser("show", help="the settings of one plugin")
    show.add_argument("name", help="as `roomful plugins list` names it")
    show.set_defaults(run=_later("plugins", "show_plugin"))
    new = verbs.add_parser("new", help="begin a plugin from the template")
    new.add_argument("name", help="lower case, words joined by _")
    new.add_argument("--directory", type=Path, default=Path(), help="where its folder is made")
    new.set_defaults(run=_later("template", "new_plugin"))


def _add_config(commands: Subparsers) -> None:
    config = commands.add_parser("config", help="check the settings")
    verbs = config.add_subparsers(metavar="VERB", required=True)
    check = verbs.add_parser("check", help="settings, plugins' settings, unknown variables")
    _add_config_option(check)
    check.set_defaults(run=_later("config", "check"))


def _add_plugin_commands(commands: Subparsers, wanted: str | None) -> None:
    """Add the commands of plugins: by name and summary, or in full the one that is wanted."""
    if wanted in commands.choices:
        return
    listed = {point.name: point for point in entry_points(group=COMMANDS_GROUP)}
    if wanted is not None:
        module = import_module("roomful.cli.plugin_commands")
        module.add_command(commands, wanted, listed)
        return
    for name, point in sorted(listed.items()):
        summary = point.dist.metadata["Summary"] if point.dist else ""
        commands.add_parser(name, help=summary)


def _command_in(argv: Sequence[str]) -> str | None:
    return next((word for word in argv if not word.startswith("-")), None)


class _Version(argparse.Action):
    """Print the version of the core; read when asked, not before."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="print the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        sys.stdout.write(f"roomful {version('roomful-core')}\n")
        parser.exit()
