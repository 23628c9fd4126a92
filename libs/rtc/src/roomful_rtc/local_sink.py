"""One subscription's media as plain RTP, handed to an object in this process."""

from __future__ import annotations

import logging
from collections.abc import Callable

from roomful.model.media import TrackSink
from roomful_rtc.engine import DownStats, EngineStats
from roomful_rtc.local_codecs import PAYLOAD_TYPES
from roomful_rtc.media_sink import Sink
from roomful_rtc.media_source import Source
from roomful_rtc.rtp import TS_MASK
from roomful_rtc.switchboard import Switchboard

log = logging.getLogger(__name__)


class LocalSink(Sink):
    """Made by `Plane.sink`. Answers to `roomful.model.media.SinkHandle`.

    A `to` that raises, or is too slow, is ended: `to.end` is called, nobody else notices.
    """

    def __init__(self, board: Switchboard, source: Source, to: TrackSink) -> None:
        self._to = to
        self.phase = board.new_phase()
        super().__init__(board, source)
        board.locals[self] = None

    def enter(self, up: int) -> int:
        return self.board.engine.add_sink(up, self._to, PAYLOAD_TYPES[self._source.kind])

    def keyframe(self) -> None:
        """Ask for a key frame: a picture was lost."""
        self.on_key_frame_wanted()

    def on_source_ended(self) -> None:
        self.close()

    def send_report(self, stats: DownStats, now: float) -> None:
        """Tell the publisher's clock, with the timestamps of our packets."""
        layer = self.layer_of(stats.up)
        if layer is None or layer.clock is None or not stats.packets or not self.active:
            return
        clock = layer.clock
        rtp_ts = (clock.rtp_ts + stats.ts_offset) & TS_MASK
        self._tell(lambda: self._to.clock(rtp_ts, clock.ntp, round(clock.arrived * 1e9)))

    def each_second(self, stats: EngineStats, now: float) -> None:
        """Try again what did not work."""
        self.try_again()

    def on_failed(self, error: Exception | None) -> None:
        log.warning(
            "a local sink was ended",
            extra={"reason": "it is too slow" if error is None else "it raised"},
            exc_info=error,
        )
        self.close()

    def fail(self, reason: str) -> None:
        """End it from inside."""
        log.warning("a local sink was ended", extra={"reason": reason})
        self.close()

    def on_closed(self) -> None:
        self.board.locals.pop(self, None)
        self._tell(self._to.end)

    def _tell(self, call: Callable[[], None]) -> None:
        """Call the sink; its failure ends it."""
        try:
            call()
        except Exception as error:
            if not self._closed:
                self.on_failed(error)
            else:
                log.warning("a local sink failed at its end", exc_info=error)
