"""One publication's incoming streams on one peer: layers, key frames, feedback to the publisher.

A `WireSource` is bound to a mid. Its streams (one per simulcast layer; a single one for audio, SVC
and plain video) become known by announced SSRC or by the MID and RID header extensions of the first
packets; each then is a row of the engine (`up`). Sinks read `layers` and are told of changes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from roomful.errors import ResourceExhausted
from roomful_rtc import rtcp
from roomful_rtc.engine import Codec, EngineStats, UnknownSsrc
from roomful_rtc.layer_plan import LayerPlan, PlannedLayer, ReceiveParameters
from roomful_rtc.stream import Layer, Stream

if TYPE_CHECKING:
    from roomful_rtc.peer import WirePeer
    from roomful_rtc.switchboard import Switchboard

__all__ = ["Layer", "ReceiveParameters", "Source", "SourceListener", "WireSource"]

log = logging.getLogger(__name__)

_MIME_SPELLING = {
    "vp8": "VP8",
    "vp9": "VP9",
    "av1": "AV1",
    "h264": "H264",
    "h265": "H265",
    "pcmu": "PCMU",
    "pcma": "PCMA",
    "g722": "G722",
}


class SourceListener(Protocol):
    """What a source tells its sinks."""

    def on_source_changed(self) -> None:
        """Layers or the mute state are not what they were."""
        ...

    def on_up_removed(self, up: int) -> None:
        """The engine no longer has this row."""
        ...

    def on_clock(self, up: int) -> None:
        """A sender report for this row came: `Layer.clock` is new."""
        ...

    def follows(self, up: int) -> bool:
        """Whether packets of this row are needed now, or soon."""
        ...


class Source(Protocol):
    """What a sink needs of a source; a local source answers to it as well."""

    @property
    def kind(self) -> str: ...

    @property
    def codec(self) -> str: ...

    @property
    def muted(self) -> bool: ...

    @property
    def layers(self) -> tuple[Layer, ...]: ...

    def attach(self, listener: SourceListener) -> None:
        """Tell this sink of changes from now on."""
        ...

    def detach(self, listener: SourceListener) -> None: ...

    def request_key_frame(self, spatial: int | None = None) -> None: ...


class WireSource:
    """Media that one peer publishes in one section. Made by `WirePeer.receive`."""

    def __init__(
        self,
        board: Switchboard,
        peer: WirePeer,
        mid: str,
        parameters: ReceiveParameters,
        group: int,
    ) -> None:
        """`group`: unique number that ties the rows of this source in the engine."""
        self.board = board
        self.peer = peer
        self.on_level: Callable[[int, float], None] | None = None
        """Audio, each 100 ms with packets: (loudest dBov 0…-127, share of packets ≥ -35 dBov)."""
        self._mid = mid
        self._parameters = parameters
        self._plan = LayerPlan(parameters)
        self._group = group
        self._streams: dict[int, Stream] = {}
        self._rtx: dict[int, int] = {}
        self._listeners: dict[SourceListener, None] = {}
        self._codec = ""
        self._muted = self._closed = False

    @property
    def mid(self) -> str:
        return self._mid

    @property
    def kind(self) -> str:
        """`audio` or `video`."""
        return self._parameters.kind

    @property
    def codec(self) -> str:
        """Name as in `Engine.set_codecs` (`vp8`, `opus`), empty before the first packet."""
        return self._codec

    @property
    def mime_type(self) -> str:
        """`video/VP8`, `audio/opus`; empty before the first packet."""
        return f"{self.kind}/{_MIME_SPELLING.get(self._codec, self._codec)}" if self._codec else ""

    @property
    def muted(self) -> bool:
        return self._muted

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Known streams, lowest first; empty before the first packet."""
        return tuple(self._streams[spatial].layer for spatial in sorted(self._streams))

    @property
    def streams(self) -> tuple[Stream, ...]:
        """The same with their machinery."""
        return tuple(self._streams.values())

    @property
    def parameters(self) -> ReceiveParameters:
        return self._parameters

    def attach(self, listener: SourceListener) -> None:
        """Tell this sink of changes from now on."""
        self._listeners[listener] = None

    def detach(self, listener: SourceListener) -> None:
        self._listeners.pop(listener, None)

    # --- commands -------------------------------------------------------------------------

    def request_key_frame(self, spatial: int | None = None) -> None:
        """Ask the publisher for a key frame of one layer, or of all that are live.

        At most one PLI per 0.5 s (lowest layer) … 1 s (highest) goes out per stream, whoever asks;
        one asked for meanwhile follows when the time is up, unless a key frame came by then.
        """
        if self.kind != "video" or self._muted:
            return
        now = self.board.now()
        for index, stream in self._streams.items():
            if index == spatial or (spatial is None and stream.live):
                stream.want_key_frame(now)

    def set_muted(self, muted: bool) -> None:
        """The publisher muted the track: sinks stop, the streams' silence means nothing.

        On unmute a key frame is asked for.
        """
        if muted == self._muted or self._closed:
            return
        self._muted = muted
        if not muted:
            for stream in self._streams.values():
                stream.be_patient(self.board.now())
        self._tell_sinks()

    def update(self, parameters: ReceiveParameters) -> None:
        """Take what a further negotiation changed; known streams stay."""
        if parameters == self._parameters:
            return
        self._parameters = parameters
        self._plan = LayerPlan(parameters)
        for stream in self._streams.values():
            planned = self._plan.find(stream.planned.rid, stream.ssrc)
            if planned is not None and planned.spatial == stream.planned.spatial:
                stream.planned = planned
        if self._streams:
            self._tell_sinks()

    def close(self) -> None:
        """Free the rows. Sinks fall silent and stay until they are closed. Idempotent."""
        if self._closed:
            return
        self._closed = True
        for stream in list(self._streams.values()):
            self._remove(stream)
        self._streams.clear()
        self._tell_sinks()
        self._listeners.clear()
        self.peer.forget_source(self)

    # --- learning streams -----------------------------------------------------------------

    def announces(self, ssrc: int) -> bool:
        """Whether the description named this SSRC."""
        return self._plan.announces(ssrc)

    def learn(self, event: UnknownSsrc, codec: Codec) -> bool:
        """Bind an SSRC that sends in this section; False when it cannot be placed."""
        if self._closed:
            return False
        if codec.name == "rtx":
            return self._learn_rtx(event)
        planned = self._plan.find(event.rid, event.ssrc)
        if planned is None:
            return False
        former = self._streams.get(planned.spatial)
        if not self._bind(planned, event.ssrc, codec):
            return False
        if former is not None:
            self._remove(former)
        self._bound(codec.name)
        return True

    def _learn_rtx(self, event: UnknownSsrc) -> bool:
        planned = self._plan.find_repaired(event.repaired_rid, event.ssrc)
        if planned is None:
            return False
        self._rtx[planned.spatial] = event.ssrc
        stream = self._streams.get(planned.spatial)
        if stream is not None:
            try:
                self.board.engine.set_rtx(stream.up, event.ssrc)
            except (ResourceExhausted, ValueError) as error:
                return self._refuse(event.ssrc, error)
        return True

    def _bind(self, planned: PlannedLayer, ssrc: int, codec: Codec) -> bool:
        stream = Stream(self, planned, ssrc, codec, self.board.now())
        former = self._streams.get(planned.spatial)
        rtx = planned.rtx_ssrc or (0 if former else self._rtx.get(planned.spatial, 0))
        try:
            stream.up = self.board.engine.add_up(
                self.peer.engine_peer,
                ssrc,
                codec.name,
                codec.clock_rate,
                rtx_ssrc=rtx,
                group=self._group,
                spatial=planned.spatial,
            )
        except (ResourceExhausted, ValueError, LookupError) as error:
            return self._refuse(ssrc, error)
        self._streams[planned.spatial] = stream
        self.board.streams[stream.up] = stream
        return True

    def _refuse(self, ssrc: int, error: Exception) -> bool:
        log.info(
            "a stream was refused", extra={"mid": self._mid, "ssrc": ssrc, "reason": str(error)}
        )
        return False

    def _bound(self, codec: str) -> None:
        first, self._codec = not self._codec, codec
        self._tell_sinks()
        if first:
            self.peer.observer.on_source_bound(self)
        else:
            self.peer.observer.on_source_changed(self)

    def _remove(self, stream: Stream) -> None:
        self.board.streams.pop(stream.up, None)
        self.board.set_timer(stream, None)
        try:
            self.board.engine.remove_up(stream.up)
        except LookupError:
            pass  # the engine's peer went first, with its rows
        for listener in tuple(self._listeners):
            listener.on_up_removed(stream.up)

    # --- events ---------------------------------------------------------------------------

    def layers_changed(self) -> None:
        """A layer fell silent, came back or has another size."""
        if self._closed or self._muted or self.kind != "video":
            return
        self._tell_sinks()
        self.peer.observer.on_source_changed(self)

    def is_followed(self, up: int) -> bool:
        """Whether somebody needs the packets of this row."""
        return any(listener.follows(up) for listener in self._listeners)

    def _tell_sinks(self) -> None:
        for listener in tuple(self._listeners):
            listener.on_source_changed()

    def sender_report(self, ssrc: int, ntp: int, rtp_ts: int, now: float) -> bool:
        """A sender report of this peer; False when the SSRC is none of ours."""
        for stream in self._streams.values():
            if stream.ssrc == ssrc:
                stream.read_clock(ntp, rtp_ts, now)
                for listener in tuple(self._listeners):
                    listener.on_clock(stream.up)
                return True
        return False

    def goodbye(self, ssrc: int) -> None:
        """The publisher says that this stream ended."""
        for stream in self._streams.values():
            if stream.ssrc == ssrc:
                stream.set_live(live=False)

    def each_second(self, stats: EngineStats, now: float) -> list[rtcp.ReportBlock]:
        """Take the counters; return the blocks for the receiver report."""
        blocks: list[rtcp.ReportBlock] = []
        for stream in tuple(self._streams.values()):
            counters = stats.ups.get(stream.up)
            if counters is not None:
                blocks.append(stream.each_second(counters, now))
        return blocks
