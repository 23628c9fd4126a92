"""One transport and everything that is sent and received on it.

A client with one peer connection has one `WirePeer`, one with two has two. What is asked for before
the transport is connected is kept and done when it is; nothing here waits. All on the loop's
thread; rows in the engine end with the peer.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Protocol

from roomful.errors import ResourceExhausted
from roomful_rtc import rtcp, twcc
from roomful_rtc.bandwidth import Downlink
from roomful_rtc.engine import Codec, EngineStats, UnknownSsrc
from roomful_rtc.feedback import FeedbackReader
from roomful_rtc.quality import Conditions, PeerQuality, QualityScorer
from roomful_rtc.sink import SendParameters, WireSink
from roomful_rtc.source import ReceiveParameters, Source, WireSource
from roomful_rtc.switchboard import Switchboard
from roomful_rtc.transport import Transport
from roomful_rtc.uplink import Uplink

__all__ = ["PeerObserver", "PeerQuality", "WirePeer"]

MAX_SOURCES = 64
QUALITY_EVERY_S = 5


class PeerObserver(Protocol):
    """What a peer tells its owner: plain calls on the loop.

    The first six are `TransportObserver`'s, with the same meaning. One that raises ends this peer.
    """

    def on_connected(self) -> None: ...

    def on_disconnected(self) -> None: ...

    def on_reconnected(self) -> None: ...

    def on_failed(self, reason: str) -> None:
        """The end, not asked for: sources and sinks are closed already."""
        ...

    def on_channel_open(self, label: str) -> None: ...

    def on_message(self, label: str, data: bytes) -> None: ...

    def on_source_bound(self, source: WireSource) -> None:
        """The first packet of a source came: codec and SSRC are known. Once per source."""
        ...

    def on_source_changed(self, source: WireSource) -> None:
        """Another layer became known, one fell silent, came back or has another size."""
        ...

    def on_stream_state(self, sink: WireSink, paused: bool) -> None:
        """Congestion control stopped a stream, or let it go again."""
        ...

    def on_quality(self, quality: PeerQuality) -> None:
        """A reading, every 5 s while connected."""
        ...


class WirePeer:
    """Made by `Plane.peer`; answers to `TransportObserver` for its transport."""

    def __init__(self, board: Switchboard, observer: PeerObserver) -> None:
        self._board = board
        self.observer = observer
        self.engine_peer = 0
        """the engine's handle, 0 until packets may flow and after the end"""
        self.phase = board.new_phase()
        """the beat in which `each_second` is called"""
        self._transport: Transport | None = None
        self._connected = self._over = False
        self._ssrcs: set[int] = set()
        self.rtcp_ssrc = self.new_ssrc()
        """sender of our feedback"""
        self._sources: dict[str, WireSource] = {}
        self._sinks: dict[int, WireSink] = {}
        """by SSRC"""
        self._tables: tuple[dict[int, Codec], dict[str, int], dict[str, int]] | None = None
        self._feedback = FeedbackReader(self)
        self._arrivals = twcc.FeedbackBuilder()
        self._downlink = Downlink()
        self._uplink = Uplink(self.rtcp_ssrc)
        self._scorer = QualityScorer()
        self._seconds = self._expected = self._lost = 0
        self._degraded = False
        board.all_peers[self] = None

    # --- what the owner sees --------------------------------------------------------------

    @property
    def transport(self) -> Transport:
        """ICE credentials, fingerprint, candidates; `set_remote`, `restart_ice`, `state`.

        Close the peer, not the transport.
        """
        assert self._transport is not None  # noqa: S101 - set by the plane at once
        return self._transport

    @transport.setter
    def transport(self, transport: Transport) -> None:
        self._transport = transport

    @property
    def connected(self) -> bool:
        """Media can flow; stays true while disconnected."""
        return self._connected and not self._over

    @property
    def sources(self) -> tuple[WireSource, ...]:
        return tuple(self._sources.values())

    @property
    def sinks(self) -> tuple[WireSink, ...]:
        return tuple(self._sinks.values())

    @property
    def bandwidth(self) -> int | None:
        """What the peer says it can receive, bit/s; None before its first estimate."""
        return self._downlink.estimate

    @property
    def rtt_s(self) -> float | None:
        """Least round trip of its streams; None before the first report about one."""
        return min((s.rtt_s for s in self._sinks.values() if s.rtt_s is not None), default=None)

    def new_ssrc(self) -> int:
        """An SSRC for `SendParameters`: random, never 0, unique within this peer for its life."""
        while (ssrc := secrets.randbits(32)) in self._ssrcs or not ssrc:
            pass
        self._ssrcs.add(ssrc)
        return ssrc

    def receive(self, mid: str, parameters: ReceiveParameters) -> WireSource:
        """Accept what the peer publishes in this section.

        Raises:
            ValueError: the mid has a source already (`update_receive` changes it).
            ResourceExhausted: the peer publishes too many tracks.
        """
        if mid in self._sources:
            raise ValueError(f"section {mid!r} has a source")
        if len(self._sources) >= MAX_SOURCES:
            raise ResourceExhausted(f"a peer publishes at most {MAX_SOURCES} tracks")
        source = WireSource(self._board, self, mid, parameters)
        self._sources[mid] = source
        self.set_tables()
        return source

    def update_receive(self, mid: str, parameters: ReceiveParameters) -> None:
        """Take what a further negotiation or UpdateVideoTrack changed.

        Raises:
            LookupError: the mid has no source.
        """
        self._sources[mid].update(parameters)
        self.set_tables()

    def stop_receiving(self, mid: str) -> None:
        """Close the source of this mid; nothing happens when there is none."""
        source = self._sources.get(mid)
        if source is not None:
            source.close()

    def send(self, source: Source, parameters: SendParameters) -> WireSink:
        """Forward a source to this peer; video begins with a key frame, which is asked for.

        Call it once the description that names the section is with the client (v1: answer sent,
        v0: answer received).

        Raises:
            ValueError: an SSRC is in use in this peer.
            ResourceExhausted: the engine's tables are full.
        """
        if parameters.ssrc in self._sinks:
            raise ValueError("this SSRC is in use")
        sink = WireSink(self._board, self, source, parameters)
        self._sinks[parameters.ssrc] = sink
        self._ssrcs |= {parameters.ssrc, parameters.rtx_ssrc}
        self.set_tables()
        if self.engine_peer:
            try:
                sink.open()
            except (ValueError, ResourceExhausted):
                sink.close()
                raise
        return sink

    def send_message(self, label: str, data: bytes) -> bool:
        """As `Transport.send_message`."""
        return self.transport.send_message(label, data)

    async def close(self, reason: str = "") -> None:
        """Close sinks, sources and the transport. Idempotent; no observer call comes after."""
        self._end()
        await self.transport.close(reason)

    def fail(self, reason: str) -> None:
        """End this peer from inside."""
        if self._over:
            return
        self._end()
        self._board.spawn(self.transport.close(reason))
        self.observer.on_failed(reason)

    def _end(self) -> None:
        if self._over:
            return
        self._over = True
        for sink in self.sinks:
            sink.close()
        for source in self.sources:
            source.close()
        self._board.peers.pop(self.engine_peer, None)
        self._board.all_peers.pop(self, None)
        self.engine_peer = 0

    # --- for sources and sinks ------------------------------------------------------------

    def send_rtcp(self, packet: bytes) -> None:
        """Send one compound packet; lost when the transport cannot."""
        if not self._over:
            self.transport.send_rtcp(packet)

    def forget_source(self, source: WireSource) -> None:
        """The source closed itself."""
        if self._sources.get(source.mid) is source:
            del self._sources[source.mid]

    def forget_sink(self, sink: WireSink) -> None:
        """The sink closed itself."""
        if self._sinks.get(sink.parameters.ssrc) is sink:
            del self._sinks[sink.parameters.ssrc]
        self._downlink.forget(sink)

    def enter_tables(self) -> None:
        """Fill the engine's tables as soon as it has the peer."""
        if self.engine_peer or self._over or not self.transport.engine_peer:
            return
        self.engine_peer = self.transport.engine_peer
        self._board.peers[self.engine_peer] = self
        self.set_tables()
        for sink in self.sinks:
            sink.open_or_close()

    def set_tables(self) -> None:
        """Give the engine payload types and extension ids, if they changed.

        They are the same in every section of a transport (BUNDLE, RFC 9143 section 9.1 and 9.2).
        """
        if not self.engine_peer:
            return
        codecs: dict[int, Codec] = {}
        received: dict[str, int] = {}
        sent: dict[str, int] = {}
        for source in self._sources.values():
            codecs |= source.parameters.codecs
            received |= source.parameters.extensions
        for sink in self._sinks.values():
            sent |= sink.parameters.extensions
        tables = (codecs, received, sent)
        if tables != self._tables:
            self._tables = tables
            self._board.engine.set_codecs(self.engine_peer, codecs)
            self._board.engine.set_extensions(self.engine_peer, received, sent)
            self._board.wake()

    # --- TransportObserver ----------------------------------------------------------------

    def on_connected(self) -> None:
        """DTLS is done: RTP flows."""
        self._connected = True
        self.enter_tables()
        self.observer.on_connected()

    def on_disconnected(self) -> None:
        self.observer.on_quality(self._scorer.read(Conditions(connected=False)))
        self.observer.on_disconnected()

    def on_reconnected(self) -> None:
        """Pictures were lost meanwhile."""
        for sink in self.sinks:
            sink.on_key_frame_wanted()
        self.observer.on_reconnected()

    def on_failed(self, reason: str) -> None:
        """The transport ended, its rows are gone."""
        if not self._over:
            self._end()
            self.observer.on_failed(reason)

    def on_channel_open(self, label: str) -> None:
        self.observer.on_channel_open(label)

    def on_message(self, label: str, data: bytes) -> None:
        self.observer.on_message(label, data)

    def on_rtcp(self, packet: bytes) -> None:
        """One decrypted compound packet."""
        self._feedback.receive(packet, self._board.now())

    # --- the engine's events --------------------------------------------------------------

    def on_unknown_ssrc(self, event: UnknownSsrc) -> None:
        """Place an SSRC by mid, else by announcement, else by a rid that only one section has.

        Anything else stays unplaced: the payload type alone proves nothing (`security.md` 4.5).
        """
        source = self._source_of(event)
        codec = source.parameters.codecs.get(event.pt) if source else None
        if source is not None and codec is not None and source.learn(event, codec):
            self._ssrcs.add(event.ssrc)

    def _source_of(self, event: UnknownSsrc) -> WireSource | None:
        if event.mid:
            return self._sources.get(event.mid)
        announced = [s for s in self._sources.values() if s.announces(event.ssrc)]
        if announced:
            return announced[0]
        rid = event.rid or event.repaired_rid
        having = [s for s in self._sources.values() if rid and rid in s.parameters.rids]
        return having[0] if len(having) == 1 else None

    def on_arrivals(self, packets: Sequence[tuple[int, int]]) -> None:
        """Give the publisher transport-wide feedback."""
        self._arrivals.add(packets)
        media = next((st.ssrc for s in self._sources.values() for st in s.streams), 0)
        for body in self._arrivals.take():
            self.send_rtcp(rtcp.build_transport_feedback(self.rtcp_ssrc, media, body))

    # --- FeedbackTarget -------------------------------------------------------------------

    def sink_of(self, ssrc: int) -> WireSink | None:
        """The stream we send under this SSRC."""
        return self._sinks.get(ssrc)

    def on_sender_report(self, report: rtcp.SenderReport, now: float) -> None:
        """The peer's clock of one of its streams."""
        for source in self._sources.values():
            if source.sender_report(report.ssrc, report.ntp, report.rtp_ts, now):
                return

    def on_goodbye(self, ssrc: int) -> None:
        """The peer ended one of its streams."""
        for source in self._sources.values():
            source.goodbye(ssrc)

    def on_estimate(self, bitrate: int, now: float) -> None:
        """What the peer can receive."""
        self._downlink.report(bitrate, now)
        self.allocate()

    # --- the second -----------------------------------------------------------------------

    def each_second(self, stats: EngineStats, now: float) -> None:
        """Report, advise, allocate, judge."""
        blocks = [b for source in self.sources for b in source.each_second(stats, now)]
        if blocks and self.connected:
            for compound in self._uplink.reports(blocks, self.sources):
                self.send_rtcp(compound)
        sent, lost = 0, 0.0
        for sink in self.sinks:
            counters = stats.downs.get(sink.down)
            if counters is not None:
                packets = sink.each_second(counters, now)
                sent += packets
                lost += packets * sink.fraction_lost
        loss_down = lost / sent if sent else 0.0
        self._downlink.loss(loss_down)
        self.allocate()
        self._judge(loss_down)
        if self._uplink.exceeds(self.sources):
            self.fail("publishes more than the ceiling")

    def allocate(self) -> None:
        """Divide the downlink among the video sinks."""
        if not self.connected or not self._downlink.limits:
            return
        demands = [d for sink in self._sinks.values() if (d := sink.demand()) is not None]
        audio = sum(
            layer.bitrate
            for sink in self._sinks.values()
            if sink.source.kind == "audio" and (layer := sink.layer) is not None
        )
        levels = self._downlink.allocate(demands, audio, self._board.now())
        self._degraded = False
        for sink in self.sinks:
            level = levels.get(sink)
            if level is not None:
                self._degraded = sink.allot(level) or self._degraded

    def _judge(self, loss_down: float) -> None:
        for source in self._sources.values():
            for stream in source.streams:
                self._expected += stream.reporter.interval_expected
                self._lost += stream.reporter.interval_lost
        self._seconds += 1
        if self._seconds % QUALITY_EVERY_S or not self.connected:
            return
        if self.transport.state == "disconnected":
            return
        conditions = Conditions(
            expected_up=self._expected,
            lost_up=self._lost,
            loss_down=loss_down,
            rtt_s=self.rtt_s,
            degraded=self._degraded,
            paused=any(sink.paused for sink in self._sinks.values()),
        )
        self._expected = self._lost = 0
        self.observer.on_quality(self._scorer.read(conditions))
