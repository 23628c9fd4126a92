"""Arrivals of a real client, played again; loss, jitter and reordering are added from a seed.

Nobody knows when the client captured what. Its own clock does: a line through all sender reports
of a track, the later ones included, stands for the truth.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from roomful_media.clock import ParticipantClock
from roomful_media.delay import STREAM
from roomful_media.intake import Intake
from roomful_rtc.rtp import HEADER, unwrap

from .network import START_US
from .offsets import STEP_US, Offset

TRACE = Path(__file__).parents[1] / "data/libwebrtc-room.csv"
RATES = {"audio": 48_000, "video": 90_000}
LOSS, JITTER_US, LATER, LATER_US = 0.05, 8_000, 0.03, 25_000


class Row(NamedTuple):
    """One line of a recording."""

    at_us: int
    what: str
    seq16: int
    ts: int
    rest: int
    """marker of a packet, NTP timestamp of a report"""


def rows(path: Path) -> list[Row]:
    """Read a recording."""
    with path.open() as lines:
        reader = csv.reader(lines)
        next(reader)
        return [Row(int(at), what, *map(int, numbers)) for at, what, *numbers in reader]


def worse(recording: list[Row], seed: int) -> list[Row]:
    """The same arrivals over a worse network; reports come as they came."""
    chance, made = random.Random(seed), list[Row]()
    last = dict.fromkeys(RATES, 0)
    for row in recording:
        if row.what not in RATES:
            made.append(row)
        elif chance.random() >= LOSS:
            at = row.at_us + round(chance.expovariate(1 / JITTER_US))
            if chance.random() < LATER:
                at += LATER_US
            else:
                at = last[row.what] = max(at, last[row.what])
            made.append(row._replace(at_us=at))
    return sorted(made)


def truth(recording: list[Row], what: str) -> Callable[[int], float]:
    """RTP time (32 bits) → µs of the client's wall clock, by all its reports."""
    reports = [row for row in recording if row.what == f"{what}-report"]
    near = reports[0].ts
    begin = reports[0].rest
    ts = [unwrap(row.ts, near, 32) - near for row in reports]
    us = [(row.rest - begin) * 1e6 / 2**32 for row in reports]
    slope, start = np.polyfit(ts, us, 1)
    base = begin * 1e6 / 2**32

    def at(ts32: int) -> float:
        return base + start + slope * (unwrap(ts32, near, 32) - near)

    return at


def replayed(path: Path, seed: int = 1) -> list[Offset]:
    """Play a recording into two intakes of one participant; see `offsets.offsets`."""
    recording = rows(path)
    true = {what: truth(recording, what) for what in RATES}
    participant = ParticipantClock()
    intakes = {what: Intake(rate, participant, STREAM) for what, rate in RATES.items()}
    errors: dict[str, float] = {}
    waiting, found = worse(recording, seed), list[Offset]()
    now_us, place = START_US, 0
    while place < len(waiting):
        now_us += STEP_US
        while place < len(waiting) and waiting[place].at_us + START_US <= now_us:
            _feed(waiting[place], intakes)
            place += 1
        for what, intake in intakes.items():
            while (packet := intake.pop(now_us)) is not None:
                errors[what] = intake.time.time_us(packet.ts) - true[what](_wire(packet.payload))
        if len(errors) == len(RATES):
            locked = all(intake.time.locked for intake in intakes.values())
            offset_ms = (errors["video"] - errors["audio"]) / 1e3
            found.append(Offset((now_us - START_US) / 1e6, offset_ms, locked))
    return found


def _wire(payload: bytes) -> int:
    return int.from_bytes(payload)


def _feed(row: Row, intakes: dict[str, Intake]) -> None:
    at_ns = (row.at_us + START_US) * 1000
    kind, _, report = row.what.partition("-")
    if report:
        intakes[kind].clock(row.ts, row.rest, at_ns)
        return
    header = HEADER.pack(0x80, row.rest << 7 | 96, row.seq16, row.ts, len(kind))
    packet = header + row.ts.to_bytes(4)
    intakes[kind].write(memoryview(packet), at_ns)
