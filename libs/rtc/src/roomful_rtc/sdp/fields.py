"""Small pieces of description lines: numbers, tokens, credentials. Each refuses what it dislikes."""

from __future__ import annotations

import re
from typing import cast, get_args

from roomful.errors import RemoteProtocolError
from roomful_rtc.sdp.model import Direction, Fingerprint, Setup

MAX_MID = 16
"""Longest mid and rid: what a one-byte header extension holds (RFC 8285 section 4.2)."""

DIRECTIONS = cast("tuple[Direction, ...]", get_args(Direction))
SETUPS = frozenset(get_args(Setup)) - {""}
HASH_BYTES = {"sha-1": 20, "sha-224": 28, "sha-256": 32, "sha-384": 48, "sha-512": 64}

# One character class each: no way to backtrack.
_TOKEN = re.compile(r"[!#-'*+\-.0-9A-Z^-~]+")
_ICE = re.compile(r"[0-9A-Za-z+/\-_=]+")
_RID = re.compile(r"[0-9A-Za-z\-_]+")
_HEX = re.compile(r"[0-9A-F:]+")


def refuse(problem: str) -> RemoteProtocolError:
    """Make the error for a description that breaks a rule; never quote the peer's text in it."""
    return RemoteProtocolError(f"session description: {problem}")


def number(text: str, low: int, high: int, what: str) -> int:
    """Read plain decimal digits within a range."""
    if not (text.isascii() and text.isdigit()) or len(text) > 20:
        raise refuse(f"{what} is not a number")
    value = int(text)
    if not low <= value <= high:
        raise refuse(f"{what} is out of range")
    return value


def token(text: str, what: str, longest: int = 64) -> str:
    """Check an RFC 8866 token."""
    if len(text) > longest or not _TOKEN.fullmatch(text):
        raise refuse(f"{what} is not a token of at most {longest} characters")
    return text


def rid(text: str) -> str:
    """Check an RTP stream identifier (RFC 8851 section 10)."""
    if len(text) > MAX_MID or not _RID.fullmatch(text):
        raise refuse("rid is malformed")
    return text


def ice_credential(text: str, shortest: int, what: str) -> str:
    """Check an ICE user fragment or password (RFC 8839 section 5.4), base64 variants included."""
    if not shortest <= len(text) <= 256 or not _ICE.fullmatch(text):
        raise refuse(f"{what} is malformed")
    return text


def fingerprint(value: str) -> Fingerprint | None:
    """Read a certificate hash; None for a hash function that is not known here."""
    algorithm, _, digest = value.partition(" ")
    size = HASH_BYTES.get(algorithm.lower())
    if size is None:
        return None
    digest = digest.strip().upper()
    pairs = digest.split(":", size)
    if len(pairs) != size or not _HEX.fullmatch(digest) or any(len(pair) != 2 for pair in pairs):
        raise refuse("fingerprint is malformed")
    return Fingerprint(algorithm.lower(), digest)


def setup(value: str) -> Setup:
    """Read a DTLS role."""
    if value not in SETUPS:
        raise refuse("setup is unknown")
    return cast("Setup", value)


def address(value: str) -> str:
    """Take the address out of a c= or o= tail: `IN IP4 192.0.2.1/127` → `192.0.2.1`."""
    parts = value.split()
    if len(parts) != 3 or parts[0] != "IN" or parts[1] not in ("IP4", "IP6"):
        raise refuse("address is malformed")
    return token_address(parts[2].partition("/")[0])


def token_address(text: str) -> str:
    """Check the characters of an address or name; what it names is nobody's concern here."""
    if not 0 < len(text) <= 255 or not text.isascii() or not text.isprintable():
        raise refuse("address is malformed")
    return text
