"""What the sources of publications have in common, wire and local: layers, listeners, muting."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from roomful_rtc.sdp import RtpFormat
from roomful_rtc.stream import Layer, Stream

if TYPE_CHECKING:
    from roomful_rtc.switchboard import Switchboard


class SourceListener(Protocol):
    """What a source tells its sinks, and asks of them."""

    def on_source_changed(self) -> None:
        """Layers or the mute state are not what they were."""
        ...

    def on_source_ended(self) -> None:
        """It will never send again."""
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

    def asks_for(self, spatial: int) -> bool:
        """Whether this layer is wanted, or flows, be it live or not."""
        ...


class Source:
    """What sinks read and are told of. Made by `WirePeer.receive` or `Plane.source`."""

    def __init__(self, board: Switchboard, kind: str) -> None:
        """`kind`: `audio` or `video`."""
        self.board = board
        self.kind = kind
        self.on_level: Callable[[int, float], None] | None = None
        """Audio, each 100 ms with packets: (loudest dBov 0…-127, share of packets ≥ -35 dBov)."""
        self._group = board.new_group()
        self._listeners: dict[SourceListener, None] = {}
        self._muted = self._closed = False

    @property
    def by_layer(self) -> Mapping[int, Stream]:
        """Known streams by spatial index."""
        raise NotImplementedError

    @property
    def codec(self) -> str:
        """Name as in `Engine.set_codecs` (`vp8`, `opus`), empty while unknown."""
        raise NotImplementedError

    @property
    def formats(self) -> tuple[RtpFormat, ...]:
        """What it may send, to find a subscriber's payload types that mean the same."""
        raise NotImplementedError

    @property
    def muted(self) -> bool:
        return self._muted

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Known streams, lowest first."""
        streams = self.by_layer
        return tuple(streams[spatial].layer for spatial in sorted(streams))

    def attach(self, listener: SourceListener) -> None:
        """Tell this sink of changes from now on."""
        self._listeners[listener] = None

    def detach(self, listener: SourceListener) -> None:
        self._listeners.pop(listener, None)
        self.demand_changed()

    def request_key_frame(self, spatial: int | None = None) -> None:
        """Ask the publisher for a key frame of one layer, or of all that are live.

        At most one request per 0.5 s (lowest layer) … 1 s (highest) goes out per stream, whoever
        asks; one asked for meanwhile follows when the time is up, unless a key frame came by then.
        """
        if self.kind != "video" or self._muted:
            return
        now = self.board.now()
        for index, stream in tuple(self.by_layer.items()):
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
            self.on_unmuted()
        self.tell_sinks()

    def on_unmuted(self) -> None:
        """Packets are about to come."""

    def demand_changed(self) -> None:
        """A sink came, went or wants another layer."""

    # --- for streams ----------------------------------------------------------------------

    def layers_changed(self) -> None:
        """A layer fell silent, came back or has another size."""
        if not (self._closed or self._muted or self.kind != "video"):
            self.tell_sinks()

    def is_followed(self, up: int) -> bool:
        """Whether somebody needs the packets of this row."""
        return any(listener.follows(up) for listener in self._listeners)

    # --- for its kinds --------------------------------------------------------------------

    def tell_sinks(self) -> None:
        """Layers or the mute state changed."""
        for listener in tuple(self._listeners):
            listener.on_source_changed()

    def tell_clock(self, stream: Stream) -> None:
        """A stream's clock is new."""
        for listener in tuple(self._listeners):
            listener.on_clock(stream.up)

    def remove_row(self, stream: Stream) -> None:
        """Free a stream's row."""
        self.board.streams.pop(stream.up, None)
        self.board.set_timer(stream, None)
        try:
            self.board.engine.remove_up(stream.up)
        except LookupError:
            pass  # the engine's peer went first, with its rows
        for listener in tuple(self._listeners):
            listener.on_up_removed(stream.up)

    def tell_end(self) -> None:
        """The rows are gone; sinks stay until they are closed."""
        self.tell_sinks()
        for listener in tuple(self._listeners):
            listener.on_source_ended()
        self._listeners.clear()
