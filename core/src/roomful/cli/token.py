"""`roomful token`: sign an access token with a key of the settings."""

from __future__ import annotations

import argparse
import asyncio
import re
import sys

from roomful.auth.keys import DEV_KEY, DEV_SECRET, KeyRing
from roomful.auth.token import TokenIssuer
from roomful.cli.parser import TOKEN_FLAGS
from roomful.errors import ConfigError
from roomful.settings import Settings

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def token(arguments: argparse.Namespace) -> int:
    """Print a token."""
    settings = Settings.load(arguments.config)
    keys = KeyRing(settings.keys or {DEV_KEY: DEV_SECRET})
    key = arguments.key or keys.names[0]
    if key not in keys.names:
        raise ConfigError(f"option --key: {key!r} is not among [keys]: {', '.join(keys.names)}")
    lifetime_s = seconds(arguments.valid_for)
    issued = asyncio.run(TokenIssuer(keys).issue(key, claims(arguments), ttl_s=lifetime_s))
    sys.stdout.write(f"{issued}\n")
    return 0


def claims(arguments: argparse.Namespace) -> dict[str, object]:
    """Return the claims that the options describe, beside issuer and times."""
    found: dict[str, object] = {"video": _video(arguments)}
    if arguments.identity:
        found["sub"] = arguments.identity
    for name in ("name", "metadata"):
        if value := getattr(arguments, name):
            found[name] = value
    if arguments.attribute:
        found["attributes"] = dict(_pair(text) for text in arguments.attribute)
    return found


def seconds(text: str) -> int:
    """Return `10m`, `6h` and the like in seconds."""
    match = re.fullmatch(r"(\d+)([smhd]?)", text)
    if match is None:
        raise ConfigError(f"option --valid-for: {text!r} is no time; write 30s, 10m, 6h or 7d")
    return int(match[1]) * _UNITS[match[2]]


def _video(arguments: argparse.Namespace) -> dict[str, object]:
    video: dict[str, object] = {
        grant: not flag.startswith("no-")
        for flag, grant, _ in TOKEN_FLAGS
        if getattr(arguments, flag.replace("-", "_"))
    }
    if arguments.source:
        video["canPublishSources"] = arguments.source
    if arguments.room:
        video["room"] = arguments.room
    if not any(video.get(grant) for grant in _DOING):
        video["roomJoin"] = True
    if video.get("roomJoin") and not (arguments.room and arguments.identity):
        raise ConfigError("a token that joins needs both --room and --identity; give them")
    return video


_DOING = ("roomJoin", "roomCreate", "roomList", "roomAdmin", "roomRecord", "ingressAdmin", "agent")


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ConfigError(f"option --attribute: {text!r} is not KEY=VALUE; correct it")
    return key, value
