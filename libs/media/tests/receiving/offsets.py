"""Audio and video of one participant over a bad network: how far apart they come out.

What is measured is what a consumer would see: of the sound and of the picture that left their
buffers last, how far the time that each was given is from its true time of capture, and the
difference of both.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from roomful_media.clock import ParticipantClock
from roomful_media.delay import STREAM, DelayRange
from roomful_media.intake import Intake
from roomful_media.jitter import Released

from .network import START_US, Arrived, Network, Sent, Source, through

AUDIO_US, VIDEO_US = 20_000, 33_333
VIDEO_LATER_US = 70_000
"""of the camera's pictures: encoding and pacing"""
STEP_US = 10_000


@dataclass(frozen=True, slots=True)
class Scenario:
    """One run."""

    name: str
    network: Network = field(default_factory=Network)
    seconds: int = 45
    audio_drift: float = 0.0
    video_drift: float = 0.0
    ntp_drift: float = 0.0
    first_report_s: float = 0.7
    report_noise_us: int = 2_000
    switch_s: float | None = None
    """another video source, with numbers and times of its own"""
    detour_s: float | None = None
    """from here on the network takes 60 ms longer"""
    delay: DelayRange = STREAM


ROUGH = Network(loss=0.02, jitter_us=6_000, reorder=0.02, duplicate=0.005)
AWFUL = Network(loss=0.10, jitter_us=12_000, reorder=0.05, duplicate=0.01, seed=2)
DRIFTS = (200e-6, -200e-6)

SCENARIOS = (
    Scenario("2 % loss", ROUGH),
    Scenario("10 % loss, reordering", AWFUL),
    Scenario("clocks +200 ppm", ROUGH, 90, 200e-6, 200e-6, 200e-6),
    Scenario("clocks -200 ppm", ROUGH, 90, -200e-6, -200e-6, -200e-6),
    Scenario("sound +200, camera -200 ppm", AWFUL, 90, 200e-6, -200e-6),
    Scenario("first report after 12 s", AWFUL, first_report_s=12),
    Scenario("source switch", AWFUL, switch_s=20),
    Scenario("network 60 ms longer", ROUGH, detour_s=20),
    Scenario("all of it", AWFUL, 90, 200e-6, -200e-6, 100e-6, 6, 4_000, 30, 55),
)


class Offset(NamedTuple):
    """At one instant."""

    at_s: float
    offset_ms: float
    """picture behind sound"""
    locked: bool
    """both clocks say so"""


class _Track:
    """One track with what its packets truly are."""

    def __init__(self, intake: Intake) -> None:
        self.intake = intake
        self.captured: dict[bytes, float] = {}
        self.error_us: float | None = None

    def released(self, packet: Released) -> None:
        true = self.captured[packet.payload]
        self.error_us = self.intake.time.time_us(packet.ts) - true


def offsets(scenario: Scenario) -> list[Offset]:
    """Run one scenario."""
    participant = ParticipantClock()
    audio = _Track(Intake(48_000, participant, scenario.delay))
    video = _Track(Intake(90_000, participant, scenario.delay, 200_000))
    records = sorted(
        [
            *((record, audio) for record in _audio(scenario, audio)),
            *((record, video) for record in _video(scenario, video)),
        ],
        key=lambda row: row[0].at_us,
    )
    found: list[Offset] = []
    now_us, at = START_US, 0
    while at < len(records):
        now_us += STEP_US
        while at < len(records) and records[at][0].at_us <= now_us:
            _feed(*records[at])
            at += 1
        for track in (audio, video):
            while (packet := track.intake.pop(now_us)) is not None:
                track.released(packet)
        if audio.error_us is not None and video.error_us is not None:
            found.append(
                Offset(
                    (now_us - START_US) / 1e6,
                    (video.error_us - audio.error_us) / 1e3,
                    audio.intake.time.locked and video.intake.time.locked,
                )
            )
    return found


def worst_once_locked(found: list[Offset]) -> tuple[float, float]:
    """When both clocks were locked first, and the largest offset from there to the end, in ms."""
    begin = next(place for place, row in enumerate(found) if row.locked)
    return found[begin].at_s, max(abs(row.offset_ms) for row in found[begin:])


def _feed(record: Arrived, track: _Track) -> None:
    if record.packet is None:
        track.intake.clock(record.rtp_ts, record.ntp, record.at_us * 1000)
    else:
        track.intake.write(memoryview(record.packet), record.at_us * 1000)


def _detoured(scenario: Scenario, records: Iterator[Arrived]) -> Iterator[Arrived]:
    begin = None if scenario.detour_s is None else START_US + scenario.detour_s * 1e6
    for record in records:
        late = begin is not None and record.at_us > begin
        yield record._replace(at_us=record.at_us + 60_000) if late else record


def _reports(
    scenario: Scenario, source: Source, begin_s: float, end_s: float, every_s: float
) -> Iterator[Arrived]:
    chance = random.Random(source.ssrc)
    at_s = begin_s
    while at_s < end_s:
        at_us = START_US + round(at_s * 1e6)
        noise = chance.uniform(-scenario.report_noise_us, scenario.report_noise_us)
        rtp_ts, ntp = source.report(at_us, noise)
        yield Arrived(at_us + scenario.network.delay_us, None, rtp_ts, ntp)
        at_s += every_s * chance.uniform(0.5, 1.5)


def _audio(scenario: Scenario, track: _Track) -> list[Arrived]:
    source = Source(48_000, scenario.audio_drift, scenario.ntp_drift, ssrc=1)
    sent = []
    for number in range(scenario.seconds * 1_000_000 // AUDIO_US):
        captured = START_US + number * AUDIO_US
        payload = b"a" + number.to_bytes(4)
        track.captured[payload] = captured
        (packet,) = source.packets([payload], captured)
        sent.append(Sent(captured + AUDIO_US, packet))
    reports = _reports(scenario, source, scenario.first_report_s + 0.4, scenario.seconds, 5)
    return list(_detoured(scenario, iter([*through(scenario.network, sent), *reports])))


def _video(scenario: Scenario, track: _Track) -> list[Arrived]:
    switch_s = scenario.seconds if scenario.switch_s is None else scenario.switch_s
    first = Source(90_000, scenario.video_drift, scenario.ntp_drift, ssrc=2)
    second = Source(90_000, 0.0, scenario.ntp_drift, first_ts=77, ssrc=3, seq=9)
    chance = random.Random(5)
    sent = []
    for number in range(scenario.seconds * 1_000_000 // VIDEO_US):
        captured = START_US + number * VIDEO_US
        source = first if captured < START_US + switch_s * 1e6 else second
        count = 25 if number % 90 == 0 else chance.randint(1, 5)
        payloads = [bytes((118, place)) + number.to_bytes(4) for place in range(count)]
        track.captured |= dict.fromkeys(payloads, captured)
        for place, packet in enumerate(source.packets(payloads, captured)):
            sent.append(Sent(captured + VIDEO_LATER_US + 1_500 * place, packet))
    reports = [
        *_reports(scenario, first, scenario.first_report_s, switch_s, 1.0),
        *_reports(scenario, second, switch_s + 2.5, scenario.seconds, 1.0),
    ]
    network = scenario.network
    return list(_detoured(scenario, iter([*through(network, sent), *reports])))
