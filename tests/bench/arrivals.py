"""Records when the packets and sender reports of a real client arrive, for the tests of clocks.

    ./dev bench arrivals libs/media/tests/data/libwebrtc-room.csv [--seconds 25]

A Python SDK participant (libwebrtc) speaks and shows pictures in a room of ours; a raw participant
notes, of each packet, the kernel's arrival time, sequence number, RTP time and marker; of each
report, RTP time and NTP timestamp. No contents are kept.
"""

from __future__ import annotations

import argparse
import asyncio
import struct
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import aiohttp

from roomful_rtc import rtcp
from tests.interop.guest import guest
from tests.interop.server import RoomServer, start_roomful

from .figures.bench import leave
from .peers.dtls import Certificate
from .peers.flows import Flow
from .peers.link import Link, Reading
from .peers.metronome import Metronome
from .peers.peer import Commons, Order, RawPeer
from .peers.srtp import Buffer

SETTLE_S = 1.0
_HEAD = struct.Struct("!BBHII")
OPUS_BELOW = 300
"""bytes of the first packet of a track that is sound"""


class Trace:
    """Rows as they come: arrival in µs, what, numbers."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, str, int, int, int]] = []
        self._kinds: dict[int, str] = {}

    def packet(self, came_ns: int, header: bytes, size: int) -> None:
        """Note a packet."""
        _, second, seq16, ts, ssrc = _HEAD.unpack(header)
        kind = self._kinds.setdefault(ssrc, "audio" if size < OPUS_BELOW else "video")
        self._rows.append((came_ns // 1000, kind, seq16, ts, second >> 7))

    def report(self, came_ns: int, report: rtcp.SenderReport) -> None:
        """Note a sender report of a track that is known."""
        kind = self._kinds.get(report.ssrc)
        if kind:
            self._rows.append((came_ns // 1000, f"{kind}-report", 0, report.rtp_ts, report.ntp))

    def write(self, path: Path) -> int:
        """Write all rows by arrival, the first at 0; return their number."""
        rows = sorted(self._rows)
        begin = rows[0][0]
        lines = [",".join(map(str, (row[0] - begin, *row[1:]))) for row in rows]
        path.write_text("arrival_us,what,seq,rtp_ts,marker_or_ntp\n" + "\n".join(lines) + "\n")
        return len(rows)


class RecordingLink(Link):
    """Notes what it reads."""

    trace: Trace

    def _look(self, flow: Flow, size: int, came_ns: int) -> None:
        view = self._buffer.view
        self.trace.packet(came_ns or time.time_ns(), bytes(view[: _HEAD.size]), size)


class Recorder(RawPeer):
    """Subscribes to one sound and one picture."""

    def __init__(self, commons: Commons, order: Order, trace: Trace) -> None:
        super().__init__(commons, order)
        self.link.__class__ = RecordingLink
        self.link.trace = trace  # pyright: ignore[reportAttributeAccessIssue]
        self._trace = trace

    def _on_rtcp(self, packet: bytes) -> None:
        now_ns = time.time_ns()
        super()._on_rtcp(packet)
        for part in rtcp.parse(packet):
            if isinstance(part, rtcp.SenderReport):
                self._trace.report(now_ns, part)


async def record(server: RoomServer, seconds: float) -> Trace:
    """Run both participants."""
    trace, certificate = Trace(), Certificate.make()
    async with (
        aiohttp.ClientSession() as session,
        guest(server, "speaker", "arrivals") as speaker,
    ):
        commons = Commons(
            server.url, session, certificate, certificate.context(), Buffer(), Metronome()
        )
        token = server.token("recorder", "arrivals")
        order = Order(
            "recorder", token, audios=1, videos=1, reading=Reading.TIMED.value, feedback=False
        )
        recorder = Recorder(commons, order, trace)
        await recorder.join()
        await speaker.speak()
        await asyncio.sleep(SETTLE_S)
        await speaker.show()
        await asyncio.sleep(seconds)
        await recorder.leave()
    return trace


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("path", type=Path)
    parser.add_argument("--seconds", type=float, default=25.0)
    options = parser.parse_args(arguments)
    warnings.filterwarnings("ignore", "The HMAC key is")
    with tempfile.TemporaryDirectory() as scratch, start_roomful(Path(scratch)) as server:
        trace = asyncio.run(record(server, options.seconds))
        count = trace.write(options.path)
    sys.stdout.write(f"{count} rows in {options.path}\n")
    return 0


if __name__ == "__main__":
    leave(main())
