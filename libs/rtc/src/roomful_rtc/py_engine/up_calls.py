"""The calls about ups: incoming streams and their RTX."""

from __future__ import annotations

from roomful.errors import ResourceExhausted
from roomful_rtc.payload import ALWAYS_KEY, Inspector, Look
from roomful_rtc.payload.inspectors import INSPECTORS
from roomful_rtc.py_engine.rows import Peer, Repair, Unclaimed, Up
from roomful_rtc.py_engine.state import EngineState


class UpCalls(EngineState):
    """A part of `PyEngine`."""

    def add_up(  # noqa: PLR0913 - refused: the interface
        self,
        peer: int,
        ssrc: int,
        codec: str,
        clock_rate: int,
        *,
        rtx_ssrc: int = 0,
        group: int = 0,
        spatial: int = 0,
    ) -> int:
        """Accept one incoming stream; packets held of its SSRC are replayed."""
        row = self._peers[peer]
        if not 0 < ssrc < 1 << 32 or clock_rate <= 0:
            raise ValueError("SSRC or clock rate are out of range")
        self._check_free(row, ssrc)
        if len(self._ups) >= self._limits.ups:
            raise ResourceExhausted("the engine's table of ups is full")
        inspect: Inspector = INSPECTORS.get(codec, _always_key)
        up = Up(next(self._handles), row, ssrc, codec, clock_rate, inspect, group, spatial)
        self._enter(row, ssrc, up)
        self._ups[up.handle] = row.ups[up.handle] = up
        up.last_arrival_us = up.rate_from_us = self._now_us()
        if rtx_ssrc:
            self.set_rtx(up.handle, rtx_ssrc)
        self._intake.replay(row, ssrc)
        self._work()
        return up.handle

    def set_rtx(self, up: int, rtx_ssrc: int) -> None:
        """Name the RTX stream that repairs this up."""
        row = self._ups[up]
        if row.rtx_ssrc == rtx_ssrc:
            return
        self._check_free(row.peer, rtx_ssrc)
        self._enter(row.peer, rtx_ssrc, Repair(row))
        if row.rtx_ssrc:
            row.peer.streams[row.rtx_ssrc] = Unclaimed()
        row.rtx_ssrc = rtx_ssrc
        self._intake.replay(row.peer, rtx_ssrc)
        self._work()

    def _check_free(self, peer: Peer, ssrc: int) -> None:
        if type(peer.streams.get(ssrc)) in {Up, Repair}:
            raise ValueError("this SSRC has an up")

    def _enter(self, peer: Peer, ssrc: int, stream: Up | Repair) -> None:
        if (
            ssrc not in peer.streams
            and len(peer.streams) >= self._limits.ssrcs_per_peer
            and not self._intake.make_room(peer, self._now_us())
        ):
            raise ResourceExhausted("this peer sends too many streams")
        peer.streams[ssrc] = stream

    def remove_up(self, up: int) -> None:
        """Remove a stream; downs that it feeds fall silent, they are not removed."""
        row = self._ups.pop(up)
        for down in row.downs:
            down.translation.pause()
            down.up, down.waiting = None, True
            down.settle()
        row.downs = ()
        for down in row.pending.values():
            down.next_up = None
        row.pending.clear()
        row.history = None
        streams = row.peer.streams
        for ssrc in (row.ssrc, row.rtx_ssrc):
            if ssrc:
                # The entry stays: its replay window must outlive the up.
                streams[ssrc] = Unclaimed()
        del row.peer.ups[up]


def _always_key(payload: bytes) -> Look:
    return ALWAYS_KEY
