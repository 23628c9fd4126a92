"""The calls about ups: incoming streams and their RTX."""

from __future__ import annotations

from collections.abc import Mapping

from roomful.errors import ResourceExhausted
from roomful.model.media import GapReason
from roomful_rtc.extensions import AUDIO_LEVEL
from roomful_rtc.payload import ALWAYS_KEY, Inspector, Look
from roomful_rtc.payload.inspectors import INSPECTORS
from roomful_rtc.py_engine.peer_calls import KINDS
from roomful_rtc.py_engine.rows import Origin, Peer, Repair, Unclaimed, Up
from roomful_rtc.py_engine.state import EngineState

BESIDE = 256
"""Id of a level that was handed in beside the packet: none on the wire is so large."""
LOCAL_SSRC = 1
"""Of sources: nobody sees it but sinks, which are told apart otherwise."""


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
        up = self._new_up(row, ssrc, codec, clock_rate, group, spatial)
        self._enter(row, ssrc, up)
        self._keep(up)
        if rtx_ssrc:
            self.set_rtx(up.handle, rtx_ssrc)
        self._intake.replay(row, ssrc)
        self._work()
        return up.handle

    def set_rtx(self, up: int, rtx_ssrc: int) -> None:
        """Name the RTX stream that repairs this up."""
        row = self._ups[up]
        peer = row.origin
        if not isinstance(peer, Peer):
            raise ValueError("a local source has no stream that repairs it")
        if row.rtx_ssrc == rtx_ssrc:
            return
        self._check_free(peer, rtx_ssrc)
        self._enter(peer, rtx_ssrc, Repair(row))
        if row.rtx_ssrc:
            peer.streams[row.rtx_ssrc] = Unclaimed()
        row.rtx_ssrc = rtx_ssrc
        self._intake.replay(peer, rtx_ssrc)
        self._work()

    def _new_up(  # noqa: PLR0913 - refused: the columns of the row
        self, origin: Origin, ssrc: int, codec: str, clock_rate: int, group: int, spatial: int
    ) -> Up:
        if len(self._ups) >= self._limits.ups:
            raise ResourceExhausted("the engine's table of ups is full")
        inspect: Inspector = INSPECTORS.get(codec, _always_key)
        return Up(next(self._handles), origin, ssrc, codec, clock_rate, inspect, group, spatial)

    def _keep(self, up: Up) -> None:
        self._ups[up.handle] = up.origin.ups[up.handle] = up
        up.last_arrival_us = up.rate_from_us = self._now_us()

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
        del row.origin.ups[up]
        if isinstance(row.origin, Peer):
            for ssrc in (row.ssrc, row.rtx_ssrc):
                if ssrc:
                    # The entry stays: its replay window must outlive the up.
                    row.origin.streams[ssrc] = Unclaimed()

    # --- local sources --------------------------------------------------------------------

    def add_source(
        self,
        codec: str,
        clock_rate: int,
        *,
        extensions: Mapping[str, int] | None = None,
        group: int = 0,
        spatial: int = 0,
    ) -> int:
        """Enter an up whose packets `feed` gives."""
        if clock_rate <= 0:
            raise ValueError("the clock rate is out of range")
        given = dict(extensions or {})
        for kind, number in given.items():
            if kind not in KINDS or not 0 < number < BESIDE:
                raise ValueError(f"no extension {kind!r} with id {number}")
        origin = Origin({AUDIO_LEVEL: BESIDE} | given)
        up = self._new_up(origin, LOCAL_SSRC, codec, clock_rate, group, spatial)
        self._keep(up)
        return up.handle

    def feed(
        self, up: int, packet: bytes | memoryview, arrival_us: int, *, level: int | None = None
    ) -> bool:
        """Take in one plain packet of a local source and forward it."""
        row = self._ups[up]
        if isinstance(row.origin, Peer):
            raise ValueError("a peer sends this stream")
        if len(self._forwarder.jobs) >= self._limits.handed_up:
            self._outbox.drops["turn_full"] += 1
            return False
        taken = self._intake.feed(row, packet, arrival_us, level)
        self._work()
        return taken

    def give_up(self, up: int, count: int, reason: int = GapReason.LOST) -> None:
        """Tell the sinks of this up that so many packets will not come."""
        for down in self._ups[up].downs:
            self._forwarder.give_up(down, count, reason)


def _always_key(payload: bytes) -> Look:
    return ALWAYS_KEY
