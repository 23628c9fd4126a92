"""A publisher with a clock of its own, and a network that loses, delays and reorders. Seeded.

Times are µs of the receiver's CLOCK_MONOTONIC unless they are called otherwise.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from roomful_rtc.rtp import HEADER

START_US = 5_000_000_000
NTP_OF_START = 3_900_000_000


@dataclass(frozen=True, slots=True)
class Network:
    """What happens to packets."""

    loss: float = 0.0
    delay_us: int = 20_000
    jitter_us: int = 0
    """mean of an exponential"""
    reorder: float = 0.0
    """share of packets that overtake nobody, but are overtaken"""
    duplicate: float = 0.0
    seed: int = 1


class Sent(NamedTuple):
    """One packet as it leaves."""

    at_us: int
    packet: bytes


class Arrived(NamedTuple):
    """One record of the link."""

    at_us: int
    packet: bytes | None
    """None: a report"""
    rtp_ts: int = 0
    ntp: int = 0


@dataclass(slots=True)
class Source:
    """RTP clock and NTP clock of one track of a publisher.

    `drift` and `ntp_drift`: how much faster its RTP and NTP clocks run than ours. `ntp_s` is its wall
    clock at our START_US.
    """

    rate: int
    drift: float = 0.0
    ntp_drift: float = 0.0
    ntp_s: float = NTP_OF_START
    first_ts: int = 0xFFFF_0000
    ssrc: int = 0x1234
    seq: int = 0xFFF0

    def rtp_ts(self, captured_us: float) -> int:
        """RTP time (32 bits) of what was captured at this time."""
        local_us = (captured_us - START_US) * (1 + self.drift)
        return (self.first_ts + round(local_us * self.rate / 1e6)) & 0xFFFFFFFF

    def report(self, at_us: int, noise_us: float = 0.0) -> tuple[int, int]:
        """RTP time and NTP timestamp for a sender report."""
        local_us = (at_us - START_US) * (1 + self.ntp_drift)
        ntp = int((self.ntp_s + local_us / 1e6) * (1 << 32))
        return self.rtp_ts(at_us + noise_us), ntp

    def packets(
        self, payloads: Iterable[bytes], captured_us: float, marker_last: bool = True
    ) -> list[bytes]:
        """RTP packets of one frame."""
        ts, found = self.rtp_ts(captured_us), list(payloads)
        made: list[bytes] = []
        for place, payload in enumerate(found):
            mark = 0x80 if marker_last and place == len(found) - 1 else 0
            made.append(HEADER.pack(0x80, mark | 96, self.seq & 0xFFFF, ts, self.ssrc) + payload)
            self.seq += 1
        return made


def through(network: Network, sent: Iterable[Sent]) -> Iterator[Arrived]:
    """What arrives of what was sent, by arrival."""
    chance = random.Random(network.seed)
    arrived: list[Arrived] = []
    last = 0
    for at_us, packet in sent:
        if chance.random() < network.loss:
            continue
        jitter = chance.expovariate(1 / network.jitter_us) if network.jitter_us else 0.0
        at = at_us + network.delay_us + round(jitter)
        if chance.random() < network.reorder:
            at += 15_000
        else:
            at = last = max(last, at)
        arrived.append(Arrived(at, packet))
        if chance.random() < network.duplicate:
            arrived.append(Arrived(at + 1000, packet))
    return iter(sorted(arrived, key=lambda record: record.at_us))
