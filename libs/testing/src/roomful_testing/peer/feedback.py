"""Feedback of a raw participant: what it is told of its streams, and what it tells of others'."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from roomful.errors import RemoteProtocolError
from roomful_rtc import rtcp
from roomful_testing.peer.flows import Flow
from roomful_testing.peer.player import Player
from roomful_testing.peer.transport import Transport
from roomful_testing.peer.wall import wall_ns

DOWNLINK = 50_000_000
"""bit/s that receivers say they can take"""


class Feedback:
    """Takes the RTCP of a transport. Key frames and packets that are asked for are sent."""

    def __init__(self, transport: Transport, players: Sequence[Player]) -> None:
        """`players`: of this transport, those that come later too."""
        self.clocks: dict[int, rtcp.SenderReport] = {}
        """SSRC → the newest report of its sender"""
        self.broken = 0
        """compound packets of the server that are against the rules"""
        self._transport, self._players = transport, players
        self._ssrc = secrets.randbits(32)
        self._heard_ns: dict[int, int] = {}
        self._told: dict[int, tuple[int, int]] = {}
        """SSRC → packets expected and lost at the last report"""
        transport.on_rtcp = self.take

    def take(self, packet: bytes) -> None:
        """Take a compound packet."""
        try:
            parts = rtcp.parse(packet)
        except RemoteProtocolError:
            self.broken += 1
            return
        for part in parts:
            match part:
                case rtcp.SenderReport():
                    self.clocks[part.ssrc], self._heard_ns[part.ssrc] = part, wall_ns()
                case rtcp.Pli(media=ssrc):
                    self._want_key_frames({ssrc})
                case rtcp.Fir(entries=entries):
                    self._want_key_frames({ssrc for ssrc, _ in entries})
                case rtcp.Nack(media=ssrc, seq16s=seq16s):
                    for player in self._players:
                        if player.stream.ssrc == ssrc:
                            player.stream.resend(seq16s)
                case _:
                    pass

    def _want_key_frames(self, ssrcs: set[int]) -> None:
        for player in self._players:
            if player.stream.ssrc in ssrcs:
                player.want_key_frame()

    def report(self) -> None:
        """Send receiver reports and a bandwidth estimate, as receivers do once a second."""
        flows = self._transport.flows
        if not flows:
            return
        now_ns = wall_ns()
        blocks = [self._block(ssrc, flow, now_ns) for ssrc, flow in flows.items()]
        size = rtcp.MAX_BLOCKS
        parts = [rtcp.build_rr(self._ssrc, blocks[at : at + size])
                 for at in range(0, len(blocks), size)]  # fmt: skip
        parts.append(rtcp.build_remb(self._ssrc, DOWNLINK, list(flows)[:50]))
        self._transport.send_rtcp(rtcp.compound(parts))

    def _block(self, ssrc: int, flow: Flow, now_ns: int) -> rtcp.ReportBlock:
        """RFC 3550 section 6.4.1; nobody here plays, so jitter is not known."""
        expected = flow.highest - flow.first + 1
        expected_before, lost_before = self._told.get(ssrc, (0, 0))
        self._told[ssrc] = expected, flow.gaps
        lost, since = flow.gaps - lost_before, expected - expected_before
        clock = self.clocks.get(ssrc)
        return rtcp.ReportBlock(
            ssrc=ssrc,
            fraction_lost=max(0, 256 * lost // since) if since > 0 else 0,
            lost=flow.gaps,
            highest_seq=flow.highest & 0xFFFFFFFF,
            jitter=0,
            lsr=clock.ntp >> 16 & 0xFFFFFFFF if clock else 0,
            dlsr=(now_ns - self._heard_ns[ssrc]) * 65_536 // 1_000_000_000 if clock else 0,
        )

    def ask_key_frame(self, ssrc: int) -> None:
        """Ask for a key frame of a stream that comes."""
        report = rtcp.build_rr(self._ssrc)
        self._transport.send_rtcp(rtcp.compound((report, rtcp.build_pli(self._ssrc, ssrc))))
