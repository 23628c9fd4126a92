"""One subscription's outgoing stream, wire or local: which layer flows, and when it changes.

What flows follows from four things: what is wanted (`Want`), what is live (`Source.layers`), what
the way to the subscriber carries (`ceiling`), whether the publisher muted. Each change ends in
`reconsider`, which tells the engine the difference.
"""

from __future__ import annotations

from roomful.model.enums import VideoQuality
from roomful_rtc.engine import DownStats
from roomful_rtc.media_source import Source
from roomful_rtc.reports import offset_between
from roomful_rtc.selection import Want, best_live, wanted_spatial
from roomful_rtc.stream import Layer
from roomful_rtc.switchboard import Switchboard

ALL_SPATIAL = 255
_SVC_CODECS = frozenset({"vp9", "av1"})


class Sink:
    """A source forwarded to one subscriber; starts with `Want()`. Answers to `SourceListener`."""

    def __init__(self, board: Switchboard, source: Source) -> None:
        self.board = board
        self._source = source
        self._want = Want()
        self._down = 0
        self._flowing = self._target = 0
        """ups: the one the engine forwards, and the one it shall forward"""
        self._applied: tuple[bool, int, int] | None = None
        self._retry = self._closed = False
        source.attach(self)

    @property
    def source(self) -> Source:
        return self._source

    @property
    def want(self) -> Want:
        return self._want

    @property
    def layer(self) -> Layer | None:
        """The layer that flows now; None when nothing does."""
        return self.layer_of(self._flowing) if self.active else None

    @property
    def down(self) -> int:
        """The engine's handle, 0 while it has no row."""
        return self._down

    @property
    def wanted(self) -> bool:
        """Whether both ends mean it to flow."""
        return (
            self._want.enabled
            and self._want.quality is not VideoQuality.OFF
            and not self._source.muted
            and not self._closed
        )

    @property
    def active(self) -> bool:
        """Whether it may flow."""
        return self.wanted

    @property
    def ceiling(self) -> int | None:
        """Highest spatial layer that the way to the subscriber carries; None: no limit."""
        return None

    # --- commands -------------------------------------------------------------------------

    def set(self, want: Want) -> None:
        """Change what is wanted.

        Video changes layer at the next key frame of the new one, which is asked for; until then the
        old one flows. A silent layer is never waited for: the best live one at or below the wanted
        takes its place, else the lowest live one above.
        """
        if self._closed or want == self._want:
            return
        self._want = want
        self.on_want_changed()
        self.reconsider()

    def close(self) -> None:
        """Stop sending and free the row. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._source.detach(self)
        if self._down:
            self.board.sinks.pop(self._down, None)
            try:
                self.board.engine.remove_down(self._down)
            except LookupError:
                pass  # the engine's peer went first, with its rows
            self.board.wake()
        self.board.cancel_report(self)
        self.on_closed()

    # --- for its kinds --------------------------------------------------------------------

    def enter(self, up: int) -> int:
        """Add the row to the engine; return its handle."""
        raise NotImplementedError

    def send_report(self, stats: DownStats, now: float) -> None:
        """Tell the subscriber the publisher's clock."""
        raise NotImplementedError

    def on_want_changed(self) -> None:
        """`want` is new."""

    def on_closed(self) -> None:
        """The row is gone."""

    def on_failed(self, error: Exception | None) -> None:
        """The engine calls the sink no more."""

    # --- life in the engine ---------------------------------------------------------------

    def open(self) -> None:
        """Enter the row: packets can go out.

        Raises:
            ResourceExhausted: the engine's tables are full.
            ValueError: the engine refuses an SSRC or payload type.
        """
        layer = self._choose(self._source.layers)
        up = layer.up if layer else 0
        self._down = self.enter(up)
        self.board.sinks[self._down] = self
        self._flowing = self._target = up
        self.reconsider()

    def on_source_changed(self) -> None:
        """Layers or the mute state are not what they were."""
        self.reconsider()

    def on_source_ended(self) -> None:
        """It will never send again: silence, until somebody closes this."""

    def on_up_removed(self, up: int) -> None:
        """The engine no longer has this row."""
        if self._flowing == up:
            self._flowing = 0
        if self._target == up:
            self._target = self._flowing

    def on_clock(self, up: int) -> None:
        """A sender report for this row came."""
        if up == self._flowing and self.active:
            self.board.report_soon(self)

    def follows(self, up: int) -> bool:
        """Whether packets of this row are needed now, or soon."""
        return self.active and up in (self._flowing, self._target)

    def asks_for(self, spatial: int) -> bool:
        """Whether this layer is wanted, or flows, be it live or not.

        What the way carries does not count: a layer that nobody asks for is never live again.
        """
        layers = self._source.layers
        if not self.wanted or not layers:
            return False
        if wanted_spatial(layers, self._want) == spatial:
            return True
        ups = (self._flowing, self._target)
        return any(layer.up in ups for layer in layers if layer.spatial == spatial)

    def on_switched(self, up: int) -> None:
        """The engine now forwards this row."""
        self._flowing = up
        self.board.report_soon(self)
        self._source.demand_changed()

    def on_switch_timed_out(self) -> None:
        """No key frame came; it is tried again at the next second."""
        self._target = self._flowing
        self._retry = True

    def on_key_frame_wanted(self) -> None:
        """The subscriber lost a picture."""
        layer = self.layer_of(self._target)
        if layer is not None and self.active:
            self._source.request_key_frame(layer.spatial)

    def try_again(self) -> None:
        """Once a second: a switch that timed out, or a source that had nothing."""
        if self._retry or not self._target:
            self._retry = False
            self.reconsider()

    def reconsider(self) -> None:
        """Tell the engine what is not as it shall be."""
        if self._closed or not self._down:
            return
        layers = self._source.layers
        layer = self._choose(layers)
        state = (self.active, self._max_spatial(layers), self._want.max_temporal)
        resumes = state[0] and not (self._applied and self._applied[0])
        if layer is not None and self.active:
            self._follow(layer)
        if state != self._applied:
            self.board.engine.set_down(self._down, *state)
            self._applied = state
        self._source.demand_changed()
        if resumes and layer is not None:
            self._source.request_key_frame(layer.spatial)
        self.board.wake()

    def _choose(self, layers: tuple[Layer, ...]) -> Layer | None:
        if not layers:
            return None
        spatial = wanted_spatial(layers, self._want)
        ceiling = self.ceiling
        if ceiling is not None and ceiling >= 0:
            spatial = min(spatial, ceiling)
        best = best_live(layers, spatial)
        if best is None:
            return self.layer_of(self._target) or layers[0]
        return next(layer for layer in layers if layer.spatial == best)

    def _follow(self, layer: Layer) -> None:
        if layer.up == self._target:
            return
        old = self.layer_of(self._flowing)
        offset = None
        if old is not None and old.clock is not None and layer.clock is not None:
            offset = offset_between(old.clock, layer.clock, layer.clock_rate)
        self.board.engine.switch(self._down, layer.up, ts_offset=offset)
        self._target = layer.up
        if layer.up != self._flowing:
            self._source.request_key_frame(layer.spatial)

    def layer_of(self, up: int) -> Layer | None:
        """The source's layer that has this row."""
        return next((layer for layer in self._source.layers if layer.up == up), None)

    def _max_spatial(self, layers: tuple[Layer, ...]) -> int:
        """Cap within one SVC stream, where the engine can drop its layers."""
        codec = self._source.codec
        if codec not in _SVC_CODECS or codec not in self.board.engine.features:
            return ALL_SPATIAL
        if len(layers) != 1 or self._want.quality is VideoQuality.HIGH:
            return ALL_SPATIAL
        return int(self._want.quality)
