"""The rows of PyEngine's tables: peers, ups, downs, and SSRCs nobody has claimed yet."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from roomful_rtc.engine import Address, Codec
from roomful_rtc.extensions import AUDIO_LEVEL
from roomful_rtc.munge import AUDIO_HISTORY, VIDEO_HISTORY, Packet, Translation
from roomful_rtc.payload import Inspector
from roomful_rtc.py_engine.extension_set import ExtensionSet
from roomful_rtc.py_engine.outlet import Outlet
from roomful_rtc.py_engine.srtp import Context

AUDIO = frozenset({"opus", "red", "pcmu", "pcma", "g722"})
VIDEO = frozenset({"vp8", "vp9", "h264", "h265", "av1"})

ALL_LAYERS = 255
MID_PACKETS = 64
"""First packets of a down that name their mid; by then the receiver has bound the SSRC."""

Send = Callable[[memoryview | bytes, Any], object]


class Origin:
    """Where ups come from, a peer or a local source: what the numbers in their packets mean."""

    __slots__ = ("codecs", "level_id", "recv_ids", "ups")

    def __init__(self, recv_ids: Mapping[str, int] | None = None) -> None:
        self.codecs: Mapping[int, Codec] = {}
        self.set_recv_ids(recv_ids or {})
        self.ups: dict[int, Up] = {}

    def set_recv_ids(self, ids: Mapping[str, int]) -> None:
        """Say which id means which header extension."""
        self.recv_ids = ids
        self.level_id = ids.get(AUDIO_LEVEL, 0)
        """0: no packet has an element of this id"""


class Peer(Origin):
    """One transport. `streams` says what each of its SSRCs is."""

    __slots__ = (
        "addr",
        "addresses",
        "arrivals",
        "auth_failures",
        "downs",
        "extensions",
        "handed_up",
        "handed_up_turn",
        "handle",
        "held",
        "looks",
        "looks_from_us",
        "packets_gone",
        "packets_in",
        "rx",
        "send",
        "sockaddr",
        "streams",
        "twcc_id",
        "twcc_newest",
        "tx",
        "tx_context",
        "used_ssrcs",
        "write",
    )

    def __init__(self, handle: int, addr: Address, extensions: ExtensionSet) -> None:
        super().__init__()
        self.handle = handle
        self.addr = addr
        self.addresses = {addr}
        self.send: Send = nowhere
        self.sockaddr: Any = addr
        self.write: Callable[[bytes], None] | None = None
        self.rx: Context | None = None
        self.tx: Any = None
        """libsrtp handle, None without keys"""
        self.tx_context: Context | None = None
        self.streams: dict[int, Up | Repair | Unclaimed] = {}
        self.twcc_id = 0
        self.twcc_newest = -1
        self.extensions = extensions
        self.used_ssrcs: set[int] = set()
        self.downs: dict[int, Down] = {}
        self.arrivals: list[tuple[int, int]] = []
        self.held: deque[Held] = deque()  # bounded by `intake.HELD_PACKETS`
        self.looks = 0
        self.looks_from_us = 0
        self.handed_up = self.handed_up_turn = 0
        """datagrams handed up in the turn of this number"""
        self.packets_in = 0
        self.packets_gone = 0
        """packets sent by downs since removed"""
        self.auth_failures = 0


def nowhere(data: memoryview | bytes, to: object) -> object:
    """Refuse to send: the peer's address is none that a UDP socket reaches."""
    raise OSError("this peer has no way out")


class Unclaimed:
    """An authenticated SSRC without an up. `told`: the ids of the last event about it."""

    __slots__ = ("told", "until_us")

    def __init__(self) -> None:
        self.told: tuple[str, str, str] | None = None
        self.until_us = 0


class Held:
    """A plain packet of an unclaimed SSRC."""

    __slots__ = ("arrival_us", "data", "ssrc")

    def __init__(self, ssrc: int, data: bytes, arrival_us: int) -> None:
        self.ssrc = ssrc
        self.data = data
        self.arrival_us = arrival_us


class Repair:
    """The RTX stream of an up."""

    __slots__ = ("up",)

    def __init__(self, up: Up) -> None:
        self.up = up


class Up:
    """One incoming stream and its counters."""

    __slots__ = (
        "base",
        "bytes",
        "clock_rate",
        "codec",
        "downs",
        "group",
        "handle",
        "highest",
        "history",
        "idle_from_us",
        "inspect",
        "jitter",
        "key_ts",
        "last_arrival_us",
        "last_ts",
        "level_active",
        "level_max",
        "level_packets",
        "missing",
        "origin",
        "packets",
        "pending",
        "pt",
        "rate",
        "rate_bytes",
        "rate_from_us",
        "rtx_ssrc",
        "silent",
        "spatial",
        "ssrc",
        "transit",
        "video",
        "waiting_since_us",
    )

    def __init__(  # noqa: PLR0913 - refused: the columns of the row
        self,
        handle: int,
        origin: Origin,
        ssrc: int,
        codec: str,
        clock_rate: int,
        inspect: Inspector,
        group: int,
        spatial: int,
    ) -> None:
        self.handle = handle
        self.origin = origin
        self.ssrc = ssrc
        self.codec = codec
        self.clock_rate = clock_rate
        self.inspect = inspect
        self.group = group
        self.spatial = spatial
        self.rtx_ssrc = 0
        self.video = codec in VIDEO
        self.pt = -1
        """payload type of the newest packet"""
        self.downs: tuple[Down, ...] = ()
        """replaced, never changed: a fan-out under way keeps the one it began with"""
        self.pending: dict[int, Down] = {}
        """downs that switch here at the next key frame"""
        self.history: list[Packet | None] | None = None
        self.idle_from_us = 0
        self.highest = -1
        self.base = 0
        self.missing: dict[int, None] = {}
        """numbers below `highest` that did not come, ascending, bounded"""
        self.key_ts = -1
        self.packets = 0
        self.bytes = 0
        self.jitter = 0.0
        self.transit = 0
        self.last_ts = 0
        self.last_arrival_us = 0
        self.silent = False
        self.level_max = -127
        self.level_packets = 0
        self.level_active = 0
        self.rate = 0
        self.rate_bytes = 0
        self.rate_from_us = 0
        self.waiting_since_us = 0


class Down:
    """One outgoing stream: a peer's, or a local sink's (`outlet`)."""

    __slots__ = (
        "bytes",
        "deadline_us",
        "dropped",
        "enabled",
        "handle",
        "max_temporal",
        "mid",
        "mid_left",
        "next_up",
        "next_up_ts_offset",
        "outlet",
        "packets",
        "peer",
        "pts",
        "resends",
        "resent",
        "rtx_pts",
        "rtx_seq",
        "rtx_ssrc",
        "sent",
        "slow",
        "ssrc",
        "temporal",
        "translation",
        "up",
        "waiting",
        "window",
    )

    def __init__(  # noqa: PLR0913 - refused: the columns of the row
        self,
        handle: int,
        peer: Peer | None,
        up: Up | None,
        ssrc: int,
        pts: Mapping[str, int],
        translation: Translation,
        outlet: Outlet | None = None,
    ) -> None:
        self.handle = handle
        self.peer = peer
        self.up = up
        self.ssrc = ssrc
        self.pts = pts
        self.translation = translation
        self.outlet = outlet
        self.mid = b""
        self.mid_left = 0
        self.rtx_ssrc = 0
        self.rtx_pts: Mapping[int, int] = {}
        self.rtx_seq = 0
        self.sent: list[bytes | None] | None = None
        """protected packets by outgoing number, where they must be repeated byte by byte"""
        self.enabled = False
        self.waiting = True
        """the next packet sent must begin a key frame"""
        self.temporal = ALL_LAYERS
        """highest temporal layer sent now"""
        self.max_temporal = ALL_LAYERS
        self.slow = True
        """not in the state that the inner loop handles"""
        self.next_up: Up | None = None
        self.next_up_ts_offset: int | None = None
        self.deadline_us = 0
        self.packets = 0
        self.bytes = 0
        self.resent = 0
        self.dropped = 0
        self.resends: dict[int, tuple[int, int]] = {}
        """outgoing number → (times, when last in µs)"""
        self.window = ResendWindow()

    def settle(self) -> None:
        """Recompute `slow` after a change."""
        self.slow = (
            not self.enabled
            or self.waiting
            or self.outlet is not None
            or self.mid_left > 0
            or self.temporal != ALL_LAYERS
            or self.max_temporal != ALL_LAYERS
            or self.peer is None
            or self.peer.tx is None
        )


class ResendWindow:
    """What was resent in the current second, and the bytes sent in the one before."""

    __slots__ = ("bytes", "bytes_before", "from_us", "packets", "per_second")

    def __init__(self) -> None:
        self.from_us = 0
        self.bytes_before = 0
        self.per_second = 0
        self.packets = 0
        self.bytes = 0

    def allow(self, size: int, sent_bytes: int, now_us: int) -> bool:
        """Take `size` bytes from the budget: 64 packets, or a quarter of a second's bytes."""
        elapsed = now_us - self.from_us
        if elapsed >= 1_000_000:
            sent = sent_bytes - self.bytes_before
            self.per_second = sent * 1_000_000 // elapsed
            self.from_us, self.bytes_before, self.packets, self.bytes = now_us, sent_bytes, 0, 0
        budget = max(self.per_second, sent_bytes - self.bytes_before) // 4
        if self.packets >= 64 and self.bytes + size > budget:
            return False
        self.packets += 1
        self.bytes += size
        return True


def history_length(video: bool) -> int:
    """Return how many numbers a down's translation remembers."""
    return VIDEO_HISTORY if video else AUDIO_HISTORY
