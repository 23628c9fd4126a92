"""What a publisher is told each second, and how much it may send."""

from __future__ import annotations

from collections.abc import Sequence

from roomful_rtc import rtcp
from roomful_rtc.bandwidth import UplinkAdvice
from roomful_rtc.extensions import TWCC
from roomful_rtc.source import WireSource
from roomful_rtc.wire_stream import WireStream

BITRATE_CEILING = 20_000_000
"""bit/s of one peer"""
PACKETS_CEILING = 5_000
"""packets a second of one peer"""
ABOVE_FOR_S = 5
"""A publisher above a ceiling for so long is ended (`security.md` 4.5)."""


class Uplink:
    """Of one peer. `rtcp_ssrc`: the sender of our reports."""

    __slots__ = ("_above", "_advice", "_rtcp_ssrc")

    def __init__(self, rtcp_ssrc: int) -> None:
        self._rtcp_ssrc = rtcp_ssrc
        self._advice = UplinkAdvice(BITRATE_CEILING)
        self._above = 0

    def reports(
        self, blocks: Sequence[rtcp.ReportBlock], sources: Sequence[WireSource]
    ) -> list[bytes]:
        """Return compounds: receiver reports, and REMB where nothing better is negotiated."""
        size = rtcp.MAX_BLOCKS
        compounds = [
            rtcp.build_rr(self._rtcp_ssrc, blocks[at : at + size])
            for at in range(0, len(blocks), size)
        ]
        streams = [s for source in sources if source.parameters.remb for s in source.streams]
        if streams and not any(TWCC in source.parameters.extensions for source in sources):
            compounds[-1] += self._remb(streams)
        return compounds

    def _remb(self, streams: Sequence[WireStream]) -> bytes:
        expected = sum(stream.reporter.interval_expected for stream in streams)
        lost = sum(stream.reporter.interval_lost for stream in streams)
        received = sum(stream.bitrate for stream in streams if stream.live)
        advice = self._advice.advise(received, lost / expected if expected else 0.0)
        return rtcp.build_remb(self._rtcp_ssrc, advice, [stream.ssrc for stream in streams])

    def exceeds(self, sources: Sequence[WireSource]) -> bool:
        """Whether the publisher has been above a ceiling for too long; ask once a second."""
        streams = [stream for source in sources for stream in source.streams]
        rate = sum(stream.bitrate for stream in streams if stream.live)
        packets = sum(stream.reporter.interval_received for stream in streams)
        above = rate > BITRATE_CEILING or packets > PACKETS_CEILING
        self._above = self._above + 1 if above else 0
        return self._above >= ABOVE_FOR_S
