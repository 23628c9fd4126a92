"""The calls about downs: outgoing streams, local sinks, switching and resending."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from roomful.errors import ResourceExhausted
from roomful_rtc.engine import PacketSink, Switched
from roomful_rtc.munge import Packet, Translation
from roomful_rtc.py_engine.extension_set import COPIED, ExtensionSet
from roomful_rtc.py_engine.forwarder import attach
from roomful_rtc.py_engine.outlet import Outlet
from roomful_rtc.py_engine.resending import resend
from roomful_rtc.py_engine.rows import (
    ALL_LAYERS,
    AUDIO,
    MID_PACKETS,
    Down,
    Peer,
    Up,
    history_length,
)
from roomful_rtc.py_engine.state import EngineState

MAX_USED_SSRCS = 65536
FIRST_SEQ_BELOW = 1 << 15
"""A first number below this leaves the receiver time before the first roll-over."""


class DownCalls(EngineState):
    """A part of `PyEngine`."""

    def add_down(  # noqa: PLR0913 - refused: the interface
        self,
        up: int,
        peer: int,
        ssrc: int,
        pts: Mapping[str, int],
        *,
        rtx_ssrc: int = 0,
        rtx_pts: Mapping[int, int] | None = None,
        mid: str = "",
        nack: bool = True,
    ) -> int:
        """Forward an up to a peer; starts disabled, video opens with a key frame."""
        source = self._ups[up] if up else None
        row = self._peers[peer]
        _check_pts(pts.values())
        _check_pts((rtx_pts or {}).values())
        ssrcs = {ssrc, rtx_ssrc} - {0}
        if not ssrc or ssrc == rtx_ssrc or any(not 0 < number < 1 << 32 for number in ssrcs):
            raise ValueError("an SSRC is out of range")
        if not ssrcs.isdisjoint(row.used_ssrcs):
            raise ValueError("this SSRC was used towards this peer")
        if len(row.used_ssrcs) + 2 > MAX_USED_SSRCS:
            raise ResourceExhausted("this peer was sent too many streams")
        video = source.video if source is not None else not AUDIO & pts.keys()
        down = self._new_down(source, row, ssrc, pts, None, video)
        row.used_ssrcs |= ssrcs
        down.rtx_ssrc, down.rtx_pts = rtx_ssrc, dict(rtx_pts or {})
        down.rtx_seq = self._below(FIRST_SEQ_BELOW)
        if nack and not rtx_ssrc:
            length = self._limits.video_history if video else self._limits.audio_history
            kept: list[bytes | None] = [None] * length
            down.sent = kept
        down.mid, down.mid_left = mid.encode(), MID_PACKETS if mid else 0
        row.downs[down.handle] = down
        down.settle()
        return down.handle

    def add_sink(
        self,
        up: int,
        to: PacketSink,
        pts: Mapping[str, int],
        *,
        extensions: Mapping[str, int] | None = None,
    ) -> int:
        """Forward an up to an object in this process as plain RTP."""
        source = self._ups[up] if up else None
        _check_pts(pts.values())
        for kind, number in (extensions or {}).items():
            if kind not in COPIED or not 0 < number < 256:
                raise ValueError(f"no extension {kind!r} with id {number} for a sink")
        ssrc = source.ssrc if source is not None else 1
        video = source.video if source is not None else not AUDIO & pts.keys()
        outlet = Outlet(to, ExtensionSet(extensions) if extensions else None, self._now_us())
        return self._new_down(source, None, ssrc, pts, outlet, video).handle

    def _new_down(
        self,
        up: Up | None,
        peer: Peer | None,
        ssrc: int,
        pts: Mapping[str, int],
        outlet: Outlet | None,
        video: bool,
    ) -> Down:
        if len(self._downs) >= self._limits.downs:
            raise ResourceExhausted("the engine's table of downs is full")
        first_seq, first_ts = self._below(FIRST_SEQ_BELOW), self._below(1 << 32)
        translation = Translation(first_seq, first_ts, history_length(video))
        down = Down(next(self._handles), peer, None, ssrc, dict(pts), translation, outlet)
        down.window.from_us = self._now_us()
        self._downs[down.handle] = down
        if up is not None:
            self._remember(up)
            attach(down, up)
        return down

    def _remember(self, up: Up) -> None:
        if up.history is None:
            length = self._limits.video_history if up.video else self._limits.audio_history
            history: list[Packet | None] = [None] * length
            up.history = history

    def set_down(
        self,
        down: int,
        enabled: bool,
        max_spatial: int = ALL_LAYERS,
        max_temporal: int = ALL_LAYERS,
    ) -> None:
        """Pause, resume and cap; `max_spatial` waits for an engine with that feature."""
        row = self._downs[down]
        row.max_temporal = max_temporal if max_temporal < 3 else ALL_LAYERS
        if enabled and not row.enabled:
            row.enabled = row.waiting = True
            self._want(row)
        elif row.enabled and not enabled:
            row.enabled, row.waiting = False, True
            row.translation.pause()
            if row.next_up is not None:
                self._follow(row, row.next_up)
        row.settle()

    def _want(self, down: Down) -> None:
        for up in (down.up, down.next_up):
            if up is not None and up.video:
                self._clockwork.wants(up, self._now_us())

    def switch(
        self, down: int, up: int, *, ts_offset: int | None = None, timeout_ms: int = 2000
    ) -> None:
        """Forward another up of the publication from its next key frame on."""
        row, target = self._downs[down], self._ups[up]
        self._cancel(row)
        if row.up is target:
            return
        self._remember(target)
        if not row.enabled:
            self._follow(row, target)
            return
        row.next_up, row.next_up_ts_offset = target, ts_offset
        row.deadline_us = self._now_us() + timeout_ms * 1000
        target.pending[row.handle] = row
        self._clockwork.deadlines.add(row.handle)
        self._want(row)

    def _follow(self, down: Down, up: Up) -> None:
        """Change the up of a down that sends nothing now."""
        self._cancel(down)
        attach(down, up)
        self._outbox.event(Switched(down.handle, up.handle))

    def _cancel(self, down: Down) -> None:
        if down.next_up is not None:
            down.next_up.pending.pop(down.handle, None)
            down.next_up = down.next_up_ts_offset = None

    def resend(self, down: int, seq16s: Sequence[int]) -> int:
        """Send these packets again, within the budget; return how many were sent."""
        return resend(self._downs[down], seq16s, self._forwarder, self._now_us())

    def remove_down(self, down: int) -> None:
        """Stop forwarding; its SSRCs are never used towards this peer again."""
        row = self._downs.pop(down)
        self._cancel(row)
        attach(row, None)
        row.enabled = False
        row.settle()
        peer = row.peer
        if peer is not None:
            peer.packets_gone += row.packets + row.resent
            del peer.downs[down]
            if peer.tx_context is not None:
                peer.tx_context.forget(row.ssrc)
                if row.rtx_ssrc:
                    peer.tx_context.forget(row.rtx_ssrc)


def _check_pts(pts: Iterable[int]) -> None:
    if any(not 0 <= pt < 128 for pt in pts):
        raise ValueError("a payload type is out of range")
