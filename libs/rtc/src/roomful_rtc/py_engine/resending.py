"""Resends on request of a subscriber (NACK), from history, within a budget per down."""

from __future__ import annotations

from collections.abc import Sequence

from roomful_rtc.munge import Packet, Segment
from roomful_rtc.py_engine.forwarder import Forwarder
from roomful_rtc.py_engine.rows import Down, Peer, Up
from roomful_rtc.rtp import unwrap

AGAIN_AFTER_US = 20_000
MOST_TIMES = 3
REMEMBERED = 1024


def resend(down: Down, seq16s: Sequence[int], forwarder: Forwarder, now_us: int) -> int:
    """Resend what is found of these outgoing numbers; return how many packets were sent."""
    peer = down.peer
    if peer is None or peer.tx is None:
        return 0
    done = 0
    for seq16 in seq16s:
        out = unwrap(seq16 & 0xFFFF, down.translation.next_out - 1)
        times, last_us = down.resends.get(out, (0, -AGAIN_AFTER_US))
        if times >= MOST_TIMES or now_us - last_us < AGAIN_AFTER_US:
            continue
        sent = _by_rtx if down.rtx_ssrc else _as_sent
        if sent(down, peer, out, forwarder, now_us):
            _note(down, out, times + 1, now_us)
            done += 1
    down.resent += done
    return done


def _note(down: Down, out: int, times: int, now_us: int) -> None:
    if len(down.resends) >= REMEMBERED:
        for old in sorted(down.resends)[: REMEMBERED // 2]:
            del down.resends[old]
    down.resends[out] = (times, now_us)


def _by_rtx(down: Down, peer: Peer, out: int, forwarder: Forwarder, now_us: int) -> bool:
    found = down.translation.find(out)
    if found is None:
        return False
    segment, seq = found
    packet = _from_history(segment, seq)
    if packet is None:
        return False
    pt = down.pts.get(packet.codec, -1)
    rtx_pt = down.rtx_pts.get(pt)
    if rtx_pt is None or not down.window.allow(len(packet.payload), down.bytes, now_us):
        return False
    size = forwarder.compose_rtx(down, peer, packet, segment, pt, rtx_pt)
    return bool(size) and forwarder.seal_and_send(down, peer, size)


def _from_history(segment: Segment, seq: int) -> Packet | None:
    source = segment.source
    history = source.history if isinstance(source, Up) else None
    if history is None or seq < 0:
        return None
    packet = history[seq % len(history)]
    return packet if packet is not None and packet.seq == seq else None


def _as_sent(down: Down, peer: Peer, out: int, forwarder: Forwarder, now_us: int) -> bool:
    """Repeat the very bytes: the same index must never protect others (RFC 3711 section 9.1)."""
    if down.sent is None or out < 0:
        return False
    datagram = down.sent[out % len(down.sent)]
    if datagram is None or int.from_bytes(datagram[2:4], "big") != out & 0xFFFF:
        return False
    if not down.window.allow(len(datagram), down.bytes, now_us):
        return False
    return forwarder.send(peer, datagram)
