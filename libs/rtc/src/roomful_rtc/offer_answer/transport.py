"""The two ends of one DTLS transport as descriptions name them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from roomful_rtc.offer_answer.candidates import HostCandidate
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
    """Our end. All sections share it (BUNDLE)."""

    ufrag: str
    pwd: str = field(repr=False)
    fingerprint: Fingerprint
    candidates: tuple[HostCandidate, ...] = ()
    role: Role = "passive"
    """what to answer an `actpass` offer with; once DTLS runs, the role it has"""
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

    def restarted(self, previous: RemoteTransport) -> bool:
        """Whether the peer asks for an ICE restart (RFC 8839 section 4.4.1.1.1)."""
        return (self.ufrag, self.pwd) != (previous.ufrag, previous.pwd)


def remote_transport(description: SessionDescription) -> RemoteTransport:
    """Read the peer's end of the one bundled transport.

    Taken from the first section that is not rejected, else from the session level.

    Raises:
        RemoteProtocolError: credentials or a usable fingerprint are missing.
    """
    raise NotImplementedError
