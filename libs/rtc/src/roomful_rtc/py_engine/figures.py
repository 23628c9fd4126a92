"""Reading PyEngine's counters."""

from __future__ import annotations

from collections.abc import Mapping

from roomful_rtc.engine import DownStats, EngineStats, UpStats
from roomful_rtc.py_engine.rows import Down, Peer, Up
from roomful_rtc.rtp import TS_MASK


def read_stats(
    peers: Mapping[int, Peer],
    ups: Mapping[int, Up],
    downs: Mapping[int, Down],
    drops: Mapping[str, int],
    now_us: int,
) -> EngineStats:
    """Return every counter as of now."""
    return EngineStats(
        ups={handle: _up(up, now_us) for handle, up in ups.items()},
        downs={handle: _down(down) for handle, down in downs.items()},
        peers={handle: _peer(peer) for handle, peer in peers.items()},
        drops=dict(drops),
    )


def _up(up: Up, now_us: int) -> UpStats:
    expected = up.highest - up.base + 1 if up.highest >= 0 else 0
    idle = now_us - up.last_arrival_us >= 1_000_000
    return UpStats(
        packets=up.packets,
        bytes=up.bytes,
        lost=expected - up.packets,
        highest_seq=max(up.highest, 0),
        jitter=up.jitter,
        bitrate=0 if idle else up.rate,
        last_arrival_us=up.last_arrival_us,
        last_rtp_ts=up.last_ts,
    )


def _down(down: Down) -> DownStats:
    translation = down.translation
    last = translation.last
    ts_offset = translation.ts_offset
    return DownStats(
        packets=down.packets,
        bytes=down.bytes,
        resent=down.resent,
        dropped=down.dropped,
        last_seq=translation.next_out - 1 if last is not None else 0,
        last_rtp_ts=(last.ts + ts_offset) & TS_MASK if last is not None else 0,
        ts_offset=ts_offset,
        up=down.up.handle if down.up is not None else 0,
    )


def _peer(peer: Peer) -> tuple[int, int, int]:
    out = sum(down.packets + down.resent for down in peer.downs.values())
    return peer.packets_in, peer.packets_gone + out, peer.auth_failures
