"""One subscription's outgoing stream on one peer: layer choice, switching, reports, feedback."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from roomful.model.enums import VideoQuality
from roomful_rtc.source import Layer, Source


@dataclass(frozen=True, slots=True)
class SendParameters:
    """What was signalled to the subscriber about one section."""

    mid: str
    ssrc: int
    pts: Mapping[str, int]
    """codec name → the subscriber's payload type, all that were negotiated in the section"""
    rtx_ssrc: int = 0
    """0: no RTX stream, packets are repeated byte by byte"""
    rtx_pts: Mapping[int, int] = field(default_factory=dict[int, int])
    """payload type → its RTX payload type"""
    extensions: Mapping[str, int] = field(default_factory=dict[str, int])
    """kind → id of those that forwarded packets may carry"""
    may_pause: bool = False
    """congestion may stop this track altogether (the client allows pause); else it gets the lowest
    layer at least"""


@dataclass(frozen=True, slots=True)
class Want:
    """What the subscriber wants; `width` and `height` win over `quality`."""

    enabled: bool = True
    quality: VideoQuality = VideoQuality.HIGH
    width: int = 0
    height: int = 0
    fps: int = 0
    """0: all frames; else the smallest temporal layer that reaches it, where the codec has some"""
    priority: int = 0
    """higher gets bandwidth first"""


@dataclass(frozen=True, slots=True)
class SinkStats:
    """Of one outgoing stream, since it began; loss and RTT by the last receiver report."""

    packets: int = 0
    bytes: int = 0
    resent: int = 0
    dropped: int = 0
    fraction_lost: float = 0.0
    """0 to 1"""
    rtt_ms: float | None = None
    jitter_ms: float = 0.0


class WireSink:
    """A source forwarded to one peer. Made by `WirePeer.send`; starts with `Want()`."""

    @property
    def source(self) -> Source:
        raise NotImplementedError

    @property
    def parameters(self) -> SendParameters:
        raise NotImplementedError

    @property
    def want(self) -> Want:
        raise NotImplementedError

    @property
    def layer(self) -> Layer | None:
        """The layer that flows now; None when nothing does."""
        raise NotImplementedError

    @property
    def paused(self) -> bool:
        """Congestion stopped it (`PeerObserver.on_stream_state`)."""
        raise NotImplementedError

    @property
    def stats(self) -> SinkStats:
        """As of the last second."""
        raise NotImplementedError

    def set(self, want: Want) -> None:
        """Change what is wanted.

        Video changes layer at the next key frame of the new one, which is asked for; until then the
        old one flows. A silent layer is never waited for: the best live one at or below the wanted
        takes its place, else the lowest live one above.
        """
        raise NotImplementedError

    def update(self, parameters: SendParameters) -> None:
        """Take the section's payload types and ids after a new negotiation; SSRCs stay.

        Raises:
            ValueError: an SSRC changed.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Stop sending and free the row. Idempotent."""
        raise NotImplementedError
