"""Guards on the RTCP that comes in."""

from __future__ import annotations

import pytest

from roomful_rtc import rtcp
from roomful_rtc.feedback import (
    NACKED_BURST,
    NACKED_PER_COMPOUND,
    NACKED_PER_S,
    REPORTS_BURST,
    REPORTS_PER_S,
    FeedbackReader,
)

OURS, FOREIGN = 100, 999


class Sink:
    def __init__(self) -> None:
        self.blocks, self.nacked, self.asked = [], [], 0

    def on_report_block(self, block: rtcp.ReportBlock, now: float) -> None:
        self.blocks.append(block)

    def on_nack(self, seq16s: tuple[int, ...]) -> None:
        self.nacked += seq16s

    def on_key_frame_wanted(self) -> None:
        self.asked += 1


class Target:
    def __init__(self) -> None:
        self.sink = Sink()
        self.reports, self.byes, self.estimates = [], [], []

    def sink_of(self, ssrc: int) -> Sink | None:
        return self.sink if ssrc == OURS else None

    def on_sender_report(self, report: rtcp.SenderReport, now: float) -> None:
        self.reports.append(report)

    def on_goodbye(self, ssrc: int) -> None:
        self.byes.append(ssrc)

    def on_estimate(self, bitrate: int, now: float) -> None:
        self.estimates.append(bitrate)


@pytest.fixture
def target() -> Target:
    return Target()


@pytest.fixture
def reader(target: Target) -> FeedbackReader:
    return FeedbackReader(target)


def block(ssrc: int) -> rtcp.ReportBlock:
    return rtcp.ReportBlock(ssrc, 1, 2, 3, 4, 5, 6)


def test_everything_is_handed_to_what_it_is_about(reader: FeedbackReader, target: Target):
    reader.receive(
        rtcp.compound(
            (
                rtcp.build_sr(rtcp.SenderReport(7, 1, 2, 3, 4, (block(OURS),))),
                rtcp.build_nack(1, OURS, [1, 2]),
                rtcp.build_pli(1, OURS),
                rtcp.build_remb(1, 500_000, [OURS]),
                rtcp.build_bye([7]),
                rtcp.build_transport_feedback(1, OURS, bytes(8)),
            )
        ),
        0.0,
    )

    assert [report.ssrc for report in target.reports] == [7]
    assert target.sink.blocks == [block(OURS)]
    assert target.sink.nacked == [1, 2]
    assert target.sink.asked == 1
    assert target.estimates == [499_712] or target.estimates == [500_000]
    assert target.byes == [7]


def test_feedback_about_foreign_streams_is_ignored(reader: FeedbackReader, target: Target):
    reader.receive(
        rtcp.compound(
            (
                rtcp.build_rr(1, [block(FOREIGN)]),
                rtcp.build_nack(1, FOREIGN, [1]),
                rtcp.build_pli(1, FOREIGN),
                rtcp.build_fir(1, [(FOREIGN, 1)]),
                rtcp.build_remb(1, 500_000, [FOREIGN]),
                rtcp.build_remb(1, 500_000, []),
            )
        ),
        0.0,
    )

    assert (target.sink.blocks, target.sink.nacked, target.sink.asked) == ([], [], 0)
    assert target.estimates == []
    assert reader.drops["foreign_ssrc"] == 4


def test_one_compound_asks_for_one_key_frame(reader: FeedbackReader, target: Target):
    wishes = [rtcp.build_pli(1, OURS)] * 20 + [rtcp.build_fir(1, [(OURS, n) for n in range(20)])]
    reader.receive(rtcp.compound(wishes), 0.0)
    assert target.sink.asked == 1


def test_a_second_has_so_many_reports(reader: FeedbackReader, target: Target):
    compound = rtcp.build_rr(1, [block(OURS)])
    for _ in range(10 * REPORTS_BURST):
        reader.receive(compound, 0.0)
    assert len(target.sink.blocks) == REPORTS_BURST
    for _ in range(10 * REPORTS_BURST):
        reader.receive(compound, 1.0)
    assert len(target.sink.blocks) == REPORTS_BURST + REPORTS_PER_S
    assert reader.drops["rate"] == 20 * REPORTS_BURST - REPORTS_BURST - REPORTS_PER_S


def test_one_compound_names_so_many_lost_packets(reader: FeedbackReader, target: Target):
    nack = rtcp.build_nack(1, OURS, range(0, 17 * 16))
    reader.receive(rtcp.compound([nack] * 8), 0.0)
    assert 0 < len(target.sink.nacked) <= NACKED_PER_COMPOUND


def test_a_second_names_so_many_lost_packets(reader: FeedbackReader, target: Target):
    nack = rtcp.compound([rtcp.build_nack(1, OURS, range(200))])
    for _ in range(20):
        reader.receive(nack, 0.0)
    assert len(target.sink.nacked) == NACKED_BURST
    for turn in range(1, 51):
        reader.receive(nack, turn / 25)
    assert len(target.sink.nacked) <= NACKED_BURST + 2 * NACKED_PER_S
    assert reader.drops["nack_rate"] > 0


@pytest.mark.parametrize(
    "junk",
    [
        b"\x80",
        b"\x80\xc9\xff\xff",
        b"\x9f\xc9\x00\x01\x00\x00\x00\x01",
        rtcp.build_rr(1) + b"\x00\x00",
        bytes(1501),
    ],
)
def test_malformed_compounds_are_counted(reader: FeedbackReader, target: Target, junk: bytes):
    reader.receive(junk, 0.0)
    assert reader.drops["malformed"] == 1
