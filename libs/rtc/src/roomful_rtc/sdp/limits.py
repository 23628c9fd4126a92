"""What a session description may cost, by where it comes from.

Signalling peers hold a token and negotiate one section per track of a room; WHIP encoders and SIP
peers need a handful of sections, and SIP peers are unauthenticated when their offer is read.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SdpLimits:
    """Upper bounds, all inclusive. Sizes are bytes of UTF-8."""

    size: int
    line: int
    lines: int
    sections: int
    formats: int
    """payload types (or other formats) per section"""
    extensions: int = 32
    """header extensions per section"""
    rids: int = 4
    candidates: int = 64
    """candidate lines per section"""
    ssrcs: int = 64
    """distinct SSRCs, and groups of them, per section"""
    feedback: int = 16
    """distinct feedback kinds per payload type"""
    fingerprints: int = 8


SIGNALLING_LIMITS = SdpLimits(size=1 << 20, line=4096, lines=40_000, sections=512, formats=128)
EXTERNAL_LIMITS = SdpLimits(size=64 << 10, line=2048, lines=2_000, sections=8, formats=64)
"""For WHIP and SIP bodies."""
