"""The forwarding engine's interface: packets stay inside, tables change by calls.

Two implementations answer to it (`py_engine.PyEngine`, later a native one) and run through one
contract test suite (`tests/contract/test_engine.py`). Rules for both:

- All calls are safe from the loop's thread, never block longer than one batch, and raise
  `LookupError` for a stale handle and `ValueError` for a bad argument.
- Handles are opaque positive ints of slot and generation: a freed one never means another thing.
- Addresses are `(host, port)`, IPv4-mapped IPv6 addresses already normalised.
- Sequence numbers are *extended* (unwrapped, 64 bit) unless named `seq16`; RTP timestamps are raw
  32 bit with their clock rate beside them; arrival times are CLOCK_MONOTONIC in µs; sizes are
  bytes, rates bit/s.
- Reaching a limit raises `ResourceExhausted` (calls) or counts a drop (packets); nothing grows
  without bound. What an implementation lacks is refused and absent from `features`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from roomful.model.media import GapReason

Address = tuple[str, int]

INTERFACE = (1, 1)

AES_256_GCM, AES_128_GCM, AES_128_CM = "aes256gcm", "aes128gcm", "aes128cm_sha1_80"
KEY_AND_SALT = {AES_256_GCM: 44, AES_128_GCM: 28, AES_128_CM: 30}
"""Bytes of key‖salt of each SRTP profile (RFC 7714 section 12, RFC 3711 section 8.2)."""


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """Sizes of the engine's tables and buffers."""

    peers: int = 4096
    ups: int = 8192
    downs: int = 65536
    ssrcs_per_peer: int = 64
    handed_up: int = 4096
    handed_up_per_peer: int = 64
    """within a turn: who floods is dropped where it costs least, and others do not wait"""
    datagram: int = 1500
    video_history: int = 512
    audio_history: int = 200


@dataclass(frozen=True, slots=True)
class Codec:
    """One payload type of one direction of a peer. `apt` is set for rtx only."""

    name: str
    """opus, red, pcmu, pcma, g722, vp8, h264, h265, vp9, av1, rtx or raw"""
    clock_rate: int
    apt: int = 0


@dataclass(frozen=True, slots=True)
class Datagram:
    """What Python handles itself: STUN, DTLS, and RTCP still protected."""

    peer: int
    """0 when the address belongs to no peer"""
    addr: Address
    data: bytes
    arrival_us: int


@dataclass(frozen=True, slots=True)
class UnknownSsrc:
    """An authenticated packet of an SSRC that has no `add_up` yet; the packet is held ≤ 500 ms."""

    peer: int
    ssrc: int
    pt: int
    mid: str
    rid: str
    repaired_rid: str


@dataclass(frozen=True, slots=True)
class Gap:
    """Packets `first` … `first + count - 1` of an up did not come (yet)."""

    up: int
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class Recovered:
    """A packet named by an earlier `Gap` came after all, late or by RTX."""

    up: int
    seq: int


@dataclass(frozen=True, slots=True)
class KeyFrame:
    """A key frame of an up began."""

    up: int
    seq: int
    rtp_ts: int
    width: int = 0
    height: int = 0


@dataclass(frozen=True, slots=True)
class KeyFrameWanted:
    """A down needs a key frame of this up before it can send."""

    up: int


@dataclass(frozen=True, slots=True)
class Switched:
    """A down now forwards this up."""

    down: int
    up: int


@dataclass(frozen=True, slots=True)
class SwitchTimedOut:
    """No key frame came in time; the down still forwards the old up."""

    down: int


@dataclass(frozen=True, slots=True)
class AudioLevel:
    """Loudness of one audio up over the last 100 ms window (RFC 6464)."""

    up: int
    dbov: int
    """loudest level of the window, 0 (loud) to -127 (silent)"""
    active: float
    """share of packets at or above -35 dBov, 0 to 1"""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Transport-wide sequence numbers that arrived at one peer (for TWCC feedback)."""

    peer: int
    packets: tuple[tuple[int, int], ...]
    """(seq16, arrival_us), in order of arrival"""


@dataclass(frozen=True, slots=True)
class SilentUp:
    """No packet for 2 s."""

    up: int


@dataclass(frozen=True, slots=True)
class SinkFailed:
    """A local sink raised, or took too much of the engine's time; it gets nothing more."""

    down: int
    error: Exception | None = None
    """what it raised; None: it was too slow"""


EngineEvent = (
    UnknownSsrc
    | Gap
    | Recovered
    | KeyFrame
    | KeyFrameWanted
    | Switched
    | SwitchTimedOut
    | AudioLevel
    | Arrivals
    | SilentUp
    | SinkFailed
)


@dataclass(frozen=True, slots=True)
class UpStats:
    """Of one incoming stream, since it was added."""

    packets: int
    bytes: int
    """of whole datagrams"""
    lost: int
    """expected minus received, may be negative with duplicates (RFC 3550 6.4.1)"""
    highest_seq: int
    jitter: float
    """interarrival jitter in RTP units (RFC 3550 6.4.1)"""
    bitrate: int
    """over the last second"""
    last_arrival_us: int
    last_rtp_ts: int


@dataclass(frozen=True, slots=True)
class DownStats:
    """Of one outgoing stream, since it was added."""

    packets: int
    bytes: int
    """of payload, as sender reports count it"""
    resent: int
    dropped: int
    last_seq: int
    last_rtp_ts: int
    ts_offset: int
    """sent RTP time minus the current up's RTP time, modulo 2**32: translates sender reports"""
    up: int
    """the up being forwarded, 0 when none is"""


@dataclass(frozen=True, slots=True)
class EngineStats:
    """Everything in one call."""

    ups: Mapping[int, UpStats]
    downs: Mapping[int, DownStats]
    peers: Mapping[int, tuple[int, int, int]]
    """peer → (packets in, packets out, authentication failures)"""
    drops: Mapping[str, int] = field(default_factory=dict[str, int])
    """datagrams and packets dropped by reason"""


class PacketSink(Protocol):
    """What a local sink is made with (`roomful.model.media.TrackSink`): called within a turn.

    It may call the engine. One that raises, or takes more than a quarter of the time for two
    seconds, is called no more (`SinkFailed`).
    """

    def write(self, packet: memoryview, arrival_ns: int) -> None:
        """Take one whole plain RTP packet; the view is valid during the call only."""
        ...

    def gap(self, count: int, reason: int) -> None:
        """Note packets that will not come: `roomful.model.media.GapReason`."""
        ...


class Engine(Protocol):
    """Forwards protected RTP between peers. Made with bound UDP sockets, which it owns."""

    @property
    def features(self) -> frozenset[str]:
        """Subset of simulcast, vp8, vp9, av1, rtx, padding, red, twcc, link, gso."""
        ...

    def fileno(self) -> int:
        """Descriptor that is readable when `take` has something."""
        ...

    def take(self, max_items: int = 512) -> tuple[list[Datagram], list[EngineEvent]]:
        """Return what Python must handle. In PyEngine this call also moves the packets.

        What lies ready because of another call makes the descriptor readable too.
        """
        ...

    def next_turn(self) -> float | None:
        """Seconds after which `take` must be called though nothing is readable, or None."""
        ...

    def send(self, to: Address | int, data: bytes) -> bool:
        """Send a datagram that is ready for the wire; False if dropped.

        To an address it goes by UDP, to a peer the way its media goes.
        """
        ...

    def close(self) -> None:
        """Free everything, close the sockets."""
        ...

    def add_peer(self, addr: Address) -> int:
        """Enter a peer by its validated address. RTP is dropped until it has keys.

        An address that another peer holds is refused with `ValueError`: `disallow` it there first.
        """
        ...

    def allow(self, peer: int, addr: Address) -> None:
        """Accept packets from one more validated address of this peer."""
        ...

    def disallow(self, peer: int, addr: Address) -> None: ...

    def set_keys(self, peer: int, profile: str, rx_key: bytes, tx_key: bytes) -> None:
        """Give the SRTP master keys (key‖salt) once; a second call raises ValueError."""
        ...

    def move_peer(self, peer: int, addr: Address) -> None:
        """Send to this address from now on; accept packets from it too. Old ones stay allowed."""
        ...

    def set_tcp(self, peer: int, write: Callable[[bytes], None] | None) -> None:
        """Send this peer's packets through `write` (ICE-TCP) instead of the socket."""
        ...

    def receive(self, addr: Address, data: bytes, arrival_us: int) -> None:
        """Take in a datagram that came another way than the engine's sockets (ICE-TCP)."""
        ...

    def remove_peer(self, peer: int) -> None:
        """Remove it with its ups and downs."""
        ...

    def set_extensions(self, peer: int, recv: Mapping[str, int], send: Mapping[str, int]) -> None:
        """Set the negotiated header extension ids (1–255), by kind.

        Kinds: mid, rid, repaired_rid, audio_level, abs_send_time, twcc, dependency_descriptor,
        abs_capture_time, playout_delay. May be called again when a negotiation adds some.
        """
        ...

    def set_codecs(self, peer: int, recv: Mapping[int, Codec]) -> None:
        """Set what the payload types mean that this peer sends. May be called again."""
        ...

    def add_up(
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
        """Accept one incoming stream: a simulcast layer, an SVC stream, or audio.

        `group` ties the layers of one publication, `spatial` 0 is the lowest. Held packets of this
        SSRC are replayed.
        """
        ...

    def set_rtx(self, up: int, rtx_ssrc: int) -> None:
        """Name the RTX stream that repairs this up, learnt later by repaired-rid."""
        ...

    def remove_up(self, up: int) -> None:
        """Downs that it feeds fall silent; they are not removed."""
        ...

    def add_down(
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
        """Forward an up to a peer; starts disabled, video opens with a key frame.

        `pts`: codec name → the subscriber's payload type; a packet of another codec is dropped and
        counted. `rtx_pts`: payload type → its RTX payload type. `up` may be 0: silent until
        `switch`. The first sequence number is random below 2**15, the timestamp base random.
        An SSRC once used towards a peer, RTX included, is refused with `ValueError` ever after,
        also when its down was removed: its keys have protected those numbers. `nack` False: no
        NACK was negotiated, so without RTX nothing is kept for `resend`.
        """
        ...

    def add_source(
        self,
        codec: str,
        clock_rate: int,
        *,
        extensions: Mapping[str, int] | None = None,
        group: int = 0,
        spatial: int = 0,
    ) -> int:
        """Enter an up whose packets `feed` gives, instead of a peer; an up like the others.

        `extensions`: kind → id that its packets use. `remove_up` ends it.
        """
        ...

    def feed(
        self, up: int, packet: bytes | memoryview, arrival_us: int, *, level: int | None = None
    ) -> bool:
        """Take in one plain RTP packet of a source and forward it; False and a count if dropped.

        SSRC and payload type mean nothing. `level`: dBov, 0 to -127, where the packet has no
        audio level extension. `ValueError` for an up that a peer sends.
        """
        ...

    def give_up(self, up: int, count: int, reason: int = GapReason.LOST) -> None:
        """Packets of this up will not come: the sinks that follow it are told."""
        ...

    def add_sink(
        self,
        up: int,
        to: PacketSink,
        pts: Mapping[str, int],
        *,
        extensions: Mapping[str, int] | None = None,
    ) -> int:
        """Forward an up to an object in this process as plain RTP; a down like the others.

        `pts`: codec name → the payload type written; a packet of another codec is dropped and
        counted. `extensions`: kind → id of those that are kept (audio_level, abs_capture_time,
        playout_delay, dependency_descriptor; `ValueError` for others). Before the first packet
        after a pause the sink is told how many were left out (reason 2).
        """
        ...

    def set_down(
        self, down: int, enabled: bool, max_spatial: int = 255, max_temporal: int = 255
    ) -> None:
        """Pause, resume and cap; takes effect at the next legal packet.

        A cap counts for codecs that the engine names in `features`; of others all layers flow.
        """
        ...

    def switch(
        self, down: int, up: int, *, ts_offset: int | None = None, timeout_ms: int = 2000
    ) -> None:
        """Forward another up of the publication from its next key frame on.

        Until then the old one flows. `ts_offset`: new minus old RTP time at equal wall time, from
        both sender reports; None: estimated from arrival times. Event `Switched` or
        `SwitchTimedOut`.
        """
        ...

    def resend(self, down: int, seq16s: Sequence[int]) -> int:
        """Send these packets again (RTX if negotiated, else byte-identical); → number sent."""
        ...

    def remove_down(self, down: int) -> None: ...

    def stats(self) -> EngineStats: ...
