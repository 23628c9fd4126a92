"""The two ends of one DTLS transport as descriptions name them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from roomful.errors import LocalProtocolError, RemoteProtocolError
from roomful_rtc.candidate import Candidate
from roomful_rtc.sdp import Fingerprint, SessionDescription, Setup

Role = Literal["active", "passive"]
"""DTLS client or DTLS server."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The o= line: an id that stays and a version that grows with every description."""

    session_id: int = 1
    version: int = 1


@dataclass(frozen=True, slots=True)
class LocalTransport:
    """Our end, as `Transport` shows it. All sections share it (BUNDLE)."""

    ufrag: str
    pwd: str = field(repr=False)
    fingerprint: str
    """`sha-256 AA:BB:…`"""
    setup: str = "passive"
    """what to answer an `actpass` offer with, `active` or `passive`; our offers say `actpass`"""
    candidates: Sequence[Candidate | str] = ()
    """`str()` of each is a `candidate:…` line"""
    ice_lite: bool = True


@dataclass(frozen=True, slots=True)
class RemoteTransport:
    """The peer's end, read from its description."""

    ufrag: str
    pwd: str = field(repr=False)
    fingerprints: tuple[Fingerprint, ...]
    """the peer's certificate must match one of these; sha-256, sha-384 or sha-512, at least one"""
    setup: Setup
    ice_lite: bool = False

    @property
    def fingerprint(self) -> str:
        """The first usable one as text: `sha-256 AA:BB:…`."""
        return str(self.fingerprints[0])

    def restarted(self, previous: RemoteTransport) -> bool:
        """Whether the peer asks for an ICE restart (RFC 8839 section 4.4.1.1.1)."""
        return (self.ufrag, self.pwd) != (previous.ufrag, previous.pwd)


USABLE_HASHES = frozenset({"sha-256", "sha-384", "sha-512"})


def remote_transport(description: SessionDescription) -> RemoteTransport:
    """Read the peer's end of the one bundled transport.

    Each part is taken from the first live section that has it, else from the session level.

    Raises:
        RemoteProtocolError: credentials or a usable fingerprint are missing.
    """
    live = (section for section in description.sections if not section.rejected)
    holders = (*live, description)
    ice = next((holder for holder in holders if holder.ice_ufrag and holder.ice_pwd), None)
    if ice is None:
        raise RemoteProtocolError("session description has no ICE credentials")
    hashes = next((holder.fingerprints for holder in holders if holder.fingerprints), ())
    usable = tuple(value for value in hashes if value.algorithm in USABLE_HASHES)
    if not usable:
        raise RemoteProtocolError("session description has no usable certificate fingerprint")
    roles = next((holder for holder in holders if holder.setup), description)
    return RemoteTransport(ice.ice_ufrag, ice.ice_pwd, usable, roles.setup, description.ice_lite)


def answering_role(offered: Setup, wanted: str) -> Role:
    """Our DTLS role as answerer (RFC 8842 section 5.3).

    Raises:
        RemoteProtocolError: the offer holds the connection.
        LocalProtocolError: `wanted` is no role.
    """
    if wanted not in ("active", "passive"):
        raise LocalProtocolError(f"{wanted!r} is no DTLS role")
    match offered:
        case "active":
            return "passive"
        case "passive":
            return "active"
        case "holdconn":
            raise RemoteProtocolError("session description holds the connection")
        case _:
            return wanted


def offering_role(answered: Setup) -> Role:
    """Our DTLS role after an answer to `actpass`. Some clients answer `passive`: obey.

    Raises:
        RemoteProtocolError: the answer leaves it open.
    """
    match answered:
        case "active":
            return "passive"
        case "passive":
            return "active"
        case _:
            raise RemoteProtocolError("answer does not choose a DTLS role")
