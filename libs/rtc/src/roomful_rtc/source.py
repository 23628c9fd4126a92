"""One publication's incoming streams on one peer: layers, key frames, feedback to the publisher.

A `WireSource` is bound to a mid. Its streams (one per simulcast layer; a single one for audio, SVC
and plain video) become known by announced SSRC or by the MID and RID header extensions of the first
packets; each then is a row of the engine (`up`). Sinks read `layers` and are told of changes.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from roomful.errors import ResourceExhausted
from roomful_rtc import rtcp
from roomful_rtc.engine import Codec, EngineStats, UnknownSsrc
from roomful_rtc.layer_plan import LayerPlan, PlannedLayer, ReceiveParameters
from roomful_rtc.media_source import Source, SourceListener
from roomful_rtc.sdp import RtpFormat
from roomful_rtc.stream import Layer, Stream
from roomful_rtc.wire_stream import WireStream

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


class WireSource(Source):
    """Media that one peer publishes in one section. Made by `WirePeer.receive`."""

    def __init__(
        self,
        board: Switchboard,
        peer: WirePeer,
        mid: str,
        parameters: ReceiveParameters,
    ) -> None:
        super().__init__(board, parameters.kind)
        self.peer = peer
        self._mid = mid
        self._parameters = parameters
        self._plan = LayerPlan(parameters)
        self._streams: dict[int, WireStream] = {}
        self._rtx: dict[int, int] = {}
        self._codec = ""

    @property
    def mid(self) -> str:
        return self._mid

    @property
    def codec(self) -> str:
        """Name as in `Engine.set_codecs` (`vp8`, `opus`), empty before the first packet."""
        return self._codec

    @property
    def mime_type(self) -> str:
        """`video/VP8`, `audio/opus`; empty before the first packet."""
        return f"{self.kind}/{_MIME_SPELLING.get(self._codec, self._codec)}" if self._codec else ""

    @property
    def by_layer(self) -> Mapping[int, Stream]:
        """Empty before the first packet."""
        return self._streams

    @property
    def formats(self) -> tuple[RtpFormat, ...]:
        return self._parameters.formats

    @property
    def streams(self) -> tuple[WireStream, ...]:
        """The same with their machinery."""
        return tuple(self._streams.values())

    @property
    def parameters(self) -> ReceiveParameters:
        return self._parameters

    # --- commands -------------------------------------------------------------------------

    def on_unmuted(self) -> None:
        """Wait for the layers that flowed before."""
        for stream in self._streams.values():
            stream.be_patient(self.board.now())

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
            self.tell_sinks()

    def close(self) -> None:
        """Free the rows. Sinks fall silent and stay until they are closed. Idempotent."""
        if self._closed:
            return
        self._closed = True
        for stream in list(self._streams.values()):
            self.remove_row(stream)
        self._streams.clear()
        self.tell_end()
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
            self.remove_row(former)
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
        stream = WireStream(self, planned, ssrc, codec, self.board.now())
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
        self.tell_sinks()
        if first:
            self.peer.observer.on_source_bound(self)
        else:
            self.peer.observer.on_source_changed(self)

    def order_by_size(self) -> None:
        """Number the layers anew where their pictures say that the description's order is wrong.

        Nothing happens before every known layer's size is known. Rows in the engine stay; sinks
        choose again.
        """
        streams = [self._streams[index] for index in sorted(self._streams)]
        wanted = sorted(streams, key=lambda stream: stream.layer.width * stream.layer.height)
        if wanted == streams or not all(stream.layer.width for stream in streams):
            return
        places = [stream.planned for stream in streams]
        for place, stream in zip(places, wanted, strict=True):
            stream.planned = replace(stream.planned, spatial=place.spatial, quality=place.quality)
        self._plan.take([stream.planned for stream in wanted])
        self._rtx = {}
        self._streams = {stream.planned.spatial: stream for stream in wanted}
        self.tell_sinks()

    # --- events ---------------------------------------------------------------------------

    def layers_changed(self) -> None:
        """A layer fell silent, came back or has another size."""
        if self._closed or self._muted or self.kind != "video":
            return
        super().layers_changed()
        self.peer.observer.on_source_changed(self)

    def sender_report(self, ssrc: int, ntp: int, rtp_ts: int, now: float) -> bool:
        """A sender report of this peer; False when the SSRC is none of ours."""
        for stream in self._streams.values():
            if stream.ssrc == ssrc:
                stream.read_clock(ntp, rtp_ts, now)
                self.tell_clock(stream)
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
