"""What the caller decides about a section of an offer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from roomful_rtc.sdp import MediaSection


@dataclass(frozen=True, slots=True)
class Publish:
    """Receive the peer's track: answered `recvonly`, simulcast rids accepted."""

    prefer: str = ""
    """codec to list first: `vp8` or `video/vp8`, any case; unknown or not offered: no effect"""
    dtx: bool = True
    """Opus: `usedtx=1`, silence costs almost nothing"""
    stereo: bool = False
    """Opus: `stereo=1;maxaveragebitrate=510000`"""


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Send a track to the peer: `sendonly` with msid and SSRCs.

    When the section carried another track before, leave it without one for a negotiation in
    between: not every client announces a track that merely changed its name.
    """

    stream_id: str
    """`PA_…|TR_…`: how clients find participant and track"""
    track_id: str
    """`TR_…`"""
    ssrc: int
    cname: str
    rtx_ssrc: int = 0
    """0: no RTX stream; it is left out too when no RTX payload type is negotiated"""
    stereo: bool = False
    """Opus: announce `sprop-stereo=1`"""


@dataclass(frozen=True, slots=True)
class Placeholder:
    """Keep a receiving section ready: `sendonly` without a track."""


@dataclass(frozen=True, slots=True)
class Inactive:
    """Keep the section, no media either way."""


@dataclass(frozen=True, slots=True)
class Reject:
    """Port 0. The peer gives the section up; prefer `Inactive` for anything temporary."""

    reason: str = ""
    """for the caller's log, never sent"""


Decision = Publish | Subscribe | Placeholder | Inactive | Reject

Decide = Callable[[MediaSection], Decision | None]
"""Asked once per audio or video section that the peer has not rejected, in the offer's order.

None stands for `default_decision`. A decision that the section's direction does not allow
(`Publish` where the peer does not send, `Subscribe` where it does not receive) is a
LocalProtocolError. Application sections are not asked about.
"""


def default_decision(section: MediaSection) -> Decision:
    """`Placeholder` where the peer only receives, else `Inactive`."""
    return Placeholder() if section.direction == "recvonly" else Inactive()
