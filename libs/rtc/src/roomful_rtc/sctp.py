"""SCTP of one peer: aiortc's `RTCSctpTransport` behind our rules (RFC 8831, 8832, 9260).

Every packet is checked before it is parsed (`sctp_check` for its structure, `_admit` for its place
in the association); what comes in and what waits to go out is bounded; an exception anywhere ends
this peer and nothing else. Private names of aiortc used here are asserted in
`tests/contract/test_aiortc_surface.py`.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Coroutine
from struct import Struct
from typing import Any, Protocol

from aiortc import RTCDataChannel, RTCDataChannelParameters, RTCSctpCapabilities, RTCSctpTransport
from aiortc.rtcsctptransport import (
    DATA_CHANNEL_ACK,
    DATA_CHANNEL_OPEN,
    WEBRTC_BINARY,
    WEBRTC_BINARY_EMPTY,
    WEBRTC_DCEP,
    WEBRTC_STRING,
    WEBRTC_STRING_EMPTY,
    Chunk,
    DataChunk,
    InboundStream,
)

from roomful.clock import Clock
from roomful.errors import RemoteProtocolError
from roomful.token_bucket import TokenBucket
from roomful_rtc.channel_open import check_open
from roomful_rtc.dtls import PeerDtls, drive
from roomful_rtc.sctp_check import (
    COOKIE_ECHO,
    DATA,
    FORWARD_TSN,
    INIT,
    SACK,
    ChunkRef,
    SctpError,
    highest_gap,
    sctp_check,
)
from roomful_rtc.send_queue import SendQueue, Waiting

PORT = 5000
MAX_MESSAGE = 65_535
REFUSALS, REFUSALS_S = 16, 10.0
PACKETS_PER_S, PACKETS_BURST = 2000, 1000

WINDOW_TSNS = 1024
MISORDERED_TSNS = 256
REASSEMBLY_BYTES = 256 * 1024
REASSEMBLY_CHUNKS = 512
INCOMPLETE_S = 10.0
STREAMS, CHANNELS = 64, 16

IN_FLIGHT_CHUNKS = 256
CONGESTION_WINDOW = 256 * 1024

_HALF = 1 << 31
_MASK = (1 << 32) - 1
_TSN = Struct("!L")
_DATA = Struct("!LH")
_STREAM = Struct("!HH")


class ChannelObserver(Protocol):
    """What the association tells its owner; must not raise."""

    def on_channel_open(self, label: str) -> None: ...
    def on_message(self, label: str, data: bytes) -> None: ...
    def on_sctp_end(self, reason: str) -> None:
        """Called once; the owner ends the peer."""
        ...


class GuardedSctpTransport(RTCSctpTransport):
    """One association and its channels.

    We answer the peer's INIT; only when we have channels to open ourselves do we send one.
    """

    def __init__(
        self,
        dtls: PeerDtls,
        observer: ChannelObserver,
        clock: Clock,
        labels: frozenset[str],
        drops: Counter[str],
    ) -> None:
        """`labels`: of channels the peer may open; `drops`: what is dropped is counted there."""
        super().__init__(dtls, PORT)
        self._observer, self._clock, self._labels = observer, clock, labels
        self._advertised_rwnd = REASSEMBLY_BYTES
        self._ended = False
        self._was_established = False
        self._opening: tuple[RTCDataChannelParameters, ...] = ()
        self._by_label: dict[str, RTCDataChannel] = {}
        self._rate = TokenBucket(PACKETS_PER_S, PACKETS_BURST)
        self._refused_at: deque[float] = deque(maxlen=REFUSALS)
        self._stale: dict[int, tuple[DataChunk, float]] = {}
        """stream → the first chunk in reassembly and since when it has been that"""
        self._queue = SendQueue()
        self.drops = drops
        self.holds_data: Callable[[], bool] = lambda: False
        """asked before DATA is taken in: while it is held it is lost to the peer, which sends what
        is reliable again, more slowly"""

    # -- life --------------------------------------------------------------------------------

    async def open(self, channels: tuple[RTCDataChannelParameters, ...] = ()) -> None:
        """Take part; `channels` are opened by us."""
        self._opening = channels
        await self.start(RTCSctpCapabilities(maxMessageSize=MAX_MESSAGE), PORT)
        for parameters in channels:
            RTCDataChannel(self, parameters)

    async def _init(self) -> None:
        if self._opening:
            await super()._init()

    def close(self) -> None:
        """Abort the association, stop every timer, forget what waits."""
        if not self._ended:
            drive(self._contain(self.stop()))
            self._finish()

    def end(self, reason: str) -> None:
        """Stop without a word to the peer and tell the owner, once."""
        if not self._ended:
            self._finish()
            self._observer.on_sctp_end(reason)

    def _finish(self) -> None:
        self._ended = True
        self._queue.clear()
        self._by_label.clear()
        self._set_state(self.State.CLOSED)
        self.transport._unregister_data_receiver(self)  # pyright: ignore[reportPrivateUsage]

    async def _contain(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a step of aiortc's; whatever it raises ends this peer only."""
        if self._ended:
            work.close()
            return
        try:
            await work
        except RemoteProtocolError as error:
            self.end(f"sctp: {error}")
        except Exception as error:  # noqa: BLE001 - a peer's failure is contained here
            self.end(f"sctp: {type(error).__name__}")

    def _contain_timer(self, expired: Callable[[], None]) -> None:
        if self._ended:
            return
        try:
            expired()
        except Exception as error:  # noqa: BLE001 - a peer's failure is contained here
            self.end(f"sctp: {type(error).__name__}")

    def _set_state(self, state: RTCSctpTransport.State) -> None:
        super()._set_state(state)
        if state is self.State.ESTABLISHED:
            self._was_established = True

    # -- in ----------------------------------------------------------------------------------

    async def _handle_data(self, data: bytes) -> None:
        if self._ended:
            return
        now = self._clock.monotonic()
        if not self._rate.take(now):
            self.drops["sctp_rate"] += 1
            return
        packet = memoryview(data)
        try:
            chunks = sctp_check(packet)
            if any(chunk.kind == DATA for chunk in chunks) and self.holds_data():
                self.drops["data_held"] += 1
                return
            admitted = self._admit(packet, chunks)
        except SctpError as error:
            self._refuse(str(error), now)
            return
        except RemoteProtocolError as error:
            self.end(f"sctp: {error}")
            return
        if not admitted:
            self.drops["sctp_unexpected"] += 1
            return
        await self._contain(super()._handle_data(data))
        if not self._ended:
            self._cwnd = min(self._cwnd, CONGESTION_WINDOW)
            await self._contain(self._pump())

    def _refuse(self, rule: str, now: float) -> None:
        self.drops["sctp_refused"] += 1
        self._refused_at.append(now)
        if len(self._refused_at) == REFUSALS and now - self._refused_at[0] <= REFUSALS_S:
            self.end(f"sctp: {REFUSALS} packets refused, the last because {rule}")

    def _admit(self, packet: memoryview, chunks: list[ChunkRef]) -> bool:
        """Tell whether a well-formed packet fits the association; False drops it.

        Raises:
            SctpError: no honest peer sends this; it is refused and counted.
            RemoteProtocolError: the peer must go.
        """
        closed = self._association_state is self.State.CLOSED
        if closed and self._was_established:
            return False
        if chunks[0].kind == INIT:
            return self._association_state is not self.State.ESTABLISHED
        kinds = {chunk.kind for chunk in chunks}
        if kinds & {DATA, SACK, FORWARD_TSN} and (
            self._last_received_tsn is None or (closed and COOKIE_ECHO not in kinds)
        ):
            return False
        waiting = self._chunks_waiting()
        for chunk in chunks:
            if chunk.kind == DATA:
                if not self._admit_data(packet, chunk, waiting):
                    return False
                waiting += 1
            elif chunk.kind == SACK:
                self._check_sack(packet, chunk)
            elif chunk.kind == FORWARD_TSN:
                self._check_forwarded(packet, chunk)
        return True

    def _chunks_waiting(self) -> int:
        return sum(len(stream.reassembly) for stream in self._inbound_streams.values())

    def _admit_data(self, packet: memoryview, chunk: ChunkRef, waiting: int) -> bool:
        tsn, stream = _DATA.unpack_from(packet, chunk.body)
        self._check_streams({stream})
        ahead = (tsn - self._last_received_tsn) & _MASK
        if ahead == 0 or ahead >= _HALF:
            return True  # a duplicate
        room = self._advertised_rwnd - (chunk.end - chunk.body - 12)
        if ahead == 1:
            if room < -MAX_MESSAGE or waiting > 2 * REASSEMBLY_CHUNKS:
                raise RemoteProtocolError("the receive window is not kept")
            return True
        return (
            ahead <= WINDOW_TSNS
            and len(self._sack_misordered) < MISORDERED_TSNS
            and room >= 0
            and waiting < REASSEMBLY_CHUNKS
        )

    def _check_sack(self, packet: memoryview, chunk: ChunkRef) -> None:
        """Nothing may be acknowledged that was not sent."""
        (cumulative,) = _TSN.unpack_from(packet, chunk.body)
        outstanding = (self._local_tsn - 1 - cumulative) & _MASK
        if outstanding >= _HALF or highest_gap(packet, chunk) > outstanding:
            raise SctpError("a SACK of what was not sent")

    def _check_forwarded(self, packet: memoryview, chunk: ChunkRef) -> None:
        streams = packet[chunk.body + 4 : chunk.end]
        self._check_streams({stream for stream, _ in _STREAM.iter_unpack(streams)})

    def _check_streams(self, streams: set[int]) -> None:
        known = self._inbound_streams
        new = sum(stream not in known for stream in streams)
        if new and len(known) + new > STREAMS:
            raise SctpError("too many streams")

    def _mark_received(self, tsn: int) -> bool:
        """As aiortc's, in time that does not grow with what is out of order."""
        last = self._last_received_tsn
        assert last is not None  # `_admit` drops DATA before the association began
        misordered = self._sack_misordered
        ahead = (tsn - last) & _MASK
        if ahead == 0 or ahead >= _HALF or tsn in misordered:
            self._sack_duplicates.append(tsn)
            return True
        misordered.add(tsn)
        while (following := (last + 1) & _MASK) in misordered:
            misordered.remove(following)
            last = following
        self._last_received_tsn = last
        return False

    # -- channels ----------------------------------------------------------------------------

    async def _data_channel_receive(self, stream_id: int, pp_id: int, data: bytes) -> None:
        if len(data) > MAX_MESSAGE:
            raise RemoteProtocolError("a message is too large")
        if pp_id == WEBRTC_DCEP:
            await self._receive_control(stream_id, data)
            return
        channel = self._data_channels.get(stream_id)
        if channel is None or channel.label not in self._by_label or self._ended:
            self.drops["data_without_channel"] += 1
        elif pp_id in (WEBRTC_BINARY, WEBRTC_STRING):
            self._observer.on_message(channel.label, data)
        elif pp_id in (WEBRTC_BINARY_EMPTY, WEBRTC_STRING_EMPTY):
            self._observer.on_message(channel.label, b"")
        else:
            self.drops["data_of_unknown_kind"] += 1

    async def _receive_control(self, stream_id: int, data: bytes) -> None:
        """RFC 8832 section 5."""
        kind = data[0] if data else None
        if kind == DATA_CHANNEL_OPEN:
            self._check_open(stream_id, data)
            await super()._data_channel_receive(stream_id, WEBRTC_DCEP, data)
            self._opened(self._data_channels[stream_id])
        elif kind == DATA_CHANNEL_ACK and stream_id in self._data_channels:
            await super()._data_channel_receive(stream_id, WEBRTC_DCEP, data)
            self._opened(self._data_channels[stream_id])
        else:
            self.drops["data_of_unknown_kind"] += 1

    def _check_open(self, stream_id: int, data: bytes) -> None:
        label = check_open(data)
        if stream_id in self._data_channels:
            raise RemoteProtocolError(f"channel {label!r} opens a stream that is open")
        if len(self._data_channels) >= CHANNELS:
            raise RemoteProtocolError("too many channels")

    def _opened(self, channel: RTCDataChannel) -> None:
        ours = {parameters.label for parameters in self._opening}
        if channel.label not in self._labels | ours:
            self.drops["channel_refused"] += 1
            channel.close()
        elif channel.readyState == "open" and self._by_label.get(channel.label) is not channel:
            self._by_label[channel.label] = channel
            self._observer.on_channel_open(channel.label)

    # -- out ---------------------------------------------------------------------------------

    @property
    def send_bytes(self) -> int:
        """What waits here or is under way, in bytes."""
        return self._queue.bytes + self._flight_size

    def send(self, label: str, data: bytes) -> bool:
        """Queue one binary message; False: no such open channel, too large, or dropped."""
        channel = self._by_label.get(label)
        if self._ended or channel is None or channel.readyState != "open":
            return False
        if len(data) > MAX_MESSAGE:
            return False
        reliable = channel.maxRetransmits is None and channel.maxPacketLifeTime is None
        message = Waiting(channel, data, reliable, self._clock.monotonic())
        try:
            taken = self._queue.offer(message, self._flight_size)
        except RemoteProtocolError as error:
            self.end(f"data: {error}")
            return False
        if not taken:
            self.drops["data_lossy"] += 1
            return False
        drive(self._contain(self._pump()))
        return not self._ended

    async def _pump(self) -> None:
        """Give aiortc as much as it can send now."""
        while (
            self._queue
            and not self._outbound_queue
            and not self._data_channel_queue
            and len(self._sent_queue) < IN_FLIGHT_CHUNKS
        ):
            message = self._queue.pop()
            channel, data = message.channel, message.data
            if channel.readyState != "open":
                continue
            kind, body = (WEBRTC_BINARY, data) if data else (WEBRTC_BINARY_EMPTY, b"\x00")
            channel._addBufferedAmount(len(body))
            self._data_channel_queue.append((channel, kind, body))
            await self._data_channel_flush()

    async def _send_chunk(self, chunk: Chunk) -> None:
        if self._ended:
            return
        try:
            await super()._send_chunk(chunk)
        except ConnectionError:
            self.drops["sctp_unsent"] += 1

    # -- what aiortc starts by itself: tasks and timers ------------------------------------------

    async def _transmit(self) -> None:
        await self._contain(super()._transmit())

    async def _data_channel_flush(self) -> None:
        await self._contain(super()._data_channel_flush())

    async def _transmit_reconfig(self) -> None:
        await self._contain(super()._transmit_reconfig())

    async def _send_reconfig_param(self, param: Any) -> None:
        await self._contain(super()._send_reconfig_param(param))

    def _t1_expired(self) -> None:
        self._contain_timer(super()._t1_expired)

    def _t2_expired(self) -> None:
        self._contain_timer(super()._t2_expired)

    def _t3_expired(self) -> None:
        self._contain_timer(super()._t3_expired)

    def _reconfig_timer_expired(self) -> None:
        self._contain_timer(super()._reconfig_timer_expired)

    # -- time --------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Let time pass; call about twice a second."""
        if self._ended:
            return
        try:
            self._queue.check(now)
        except RemoteProtocolError as error:
            self.end(f"data: {error}")
            return
        for stream_id, stream in self._inbound_streams.items():
            if self._is_stale(stream_id, stream, now) and not self._drop_unordered(stream):
                self.end(f"data: a message stayed incomplete for {INCOMPLETE_S:.0f} s")
                return

    def _is_stale(self, stream_id: int, stream: InboundStream, now: float) -> bool:
        if not stream.reassembly:
            self._stale.pop(stream_id, None)
            return False
        first = stream.reassembly[0]
        known = self._stale.get(stream_id)
        if known is None or known[0] is not first:
            self._stale[stream_id] = (first, now)
            return False
        return now - known[1] > INCOMPLETE_S

    def _drop_unordered(self, stream: InboundStream) -> bool:
        """Drop the fragments of the first message if its channel is unordered."""
        if not stream.reassembly[0].flags & 0x04:
            return False
        count, tsn = 0, stream.reassembly[0].tsn
        for chunk in stream.reassembly:
            if chunk.tsn != tsn or (count and chunk.flags & 0x02):
                break
            count, tsn = count + 1, (tsn + 1) & _MASK
        dropped = stream.reassembly[:count]
        stream.reassembly = stream.reassembly[count:]
        self._advertised_rwnd += sum(len(chunk.user_data) for chunk in dropped)
        self.drops["data_incomplete"] += 1
        return True
