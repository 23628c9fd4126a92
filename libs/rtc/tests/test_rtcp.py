"""RTCP compounds: what is read, what is refused, what is built."""

from __future__ import annotations

import pytest
from aiortc import rtp as aiortc_rtp
from hypothesis import given
from hypothesis import strategies as st

from roomful.errors import RemoteProtocolError
from roomful_rtc import rtcp
from roomful_rtc.rtcp import (
    Bye,
    Fir,
    Nack,
    Pli,
    ReceiverReport,
    Remb,
    ReportBlock,
    SenderReport,
    TransportFeedback,
)

U32 = st.integers(0, 0xFFFFFFFF)
BLOCKS = st.lists(
    st.builds(
        ReportBlock, U32, st.integers(0, 255), st.integers(-0x800000, 0x7FFFFF), U32, U32, U32, U32
    ),
    max_size=31,
).map(tuple)


@given(st.builds(SenderReport, U32, st.integers(0, (1 << 64) - 1), U32, U32, U32, BLOCKS))
def test_sender_reports_come_back(report: SenderReport) -> None:
    assert rtcp.parse(rtcp.build_sr(report)) == [report]


@given(U32, BLOCKS)
def test_receiver_reports_come_back(ssrc: int, blocks: tuple[ReportBlock, ...]) -> None:
    assert rtcp.parse(rtcp.build_rr(ssrc, blocks)) == [ReceiverReport(ssrc, blocks)]


@given(st.sets(st.integers(0, 0xFFFF), max_size=200).map(sorted))
def test_nacks_come_back(numbers: list[int]) -> None:
    (nack,) = rtcp.parse(rtcp.build_nack(1, 2, numbers))
    assert nack == Nack(1, 2, tuple(numbers))


def test_a_nack_over_the_roll_over_packs_into_one_item() -> None:
    data = rtcp.build_nack(1, 2, [65_535, 0, 1, 14, 15])
    assert len(data) == 4 + 8 + 4
    assert rtcp.parse(data) == [Nack(1, 2, (65_535, 0, 1, 14, 15))]


def test_a_nack_is_read_up_to_256_numbers_once_each() -> None:
    items = b"".join(number.to_bytes(2, "big") + b"\xff\xff" for number in range(0, 5100, 17))
    body = bytes(8) + bytes(4) + items
    data = b"\x81\xcd" + (len(body) // 4).to_bytes(2, "big") + body
    (nack,) = rtcp.parse(data)
    assert isinstance(nack, Nack)
    assert len(nack.seq16s) == len(set(nack.seq16s)) == 256


def test_picture_requests_come_back() -> None:
    data = rtcp.compound(
        [rtcp.build_rr(1), rtcp.build_pli(1, 2), rtcp.build_fir(1, [(3, 7), (4, 300)])]
    )
    assert rtcp.parse(data) == [ReceiverReport(1), Pli(1, 2), Fir(1, ((3, 7), (4, 300 & 255)))]


def test_goodbyes_come_back_and_their_reason_is_ignored() -> None:
    assert rtcp.parse(rtcp.build_bye([1, 2])) == [Bye((1, 2))]
    assert rtcp.parse(b"\x81\xcb\0\2\0\0\0\5\3ab\0") == [Bye((5,))]


def test_a_description_is_what_others_read_and_ignored_here() -> None:
    data = rtcp.build_sdes(7, "name") + rtcp.build_bye([7])
    assert rtcp.parse(data) == [Bye((7,))]
    (description, _) = aiortc_rtp.RtcpPacket.parse(data)
    assert description.chunks[0].items == [(1, b"name")]


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (2_500_000, 2_500_000),
        (262_143, 262_143),
        (262_145, 262_144),
        (50, 10_000),
        (1 << 40, 10**8),
    ],
)
def test_estimates_come_back_clamped(sent: int, read: int) -> None:
    assert rtcp.parse(rtcp.build_remb(1, sent, [5, 6])) == [Remb(1, read, (5, 6))]


def test_estimates_are_what_others_read() -> None:
    (packet,) = aiortc_rtp.RtcpPacket.parse(rtcp.build_remb(1, 1_234_000, [5]))
    assert aiortc_rtp.unpack_remb_fci(packet.fci) == (pytest.approx(1_234_000, rel=1e-4), [5])


@pytest.mark.parametrize("size", range(8, 16))
def test_transport_feedback_is_padded_and_comes_back(size: int) -> None:
    body = bytes(range(size))
    data = rtcp.build_transport_feedback(1, 2, body)
    assert len(data) % 4 == 0
    assert rtcp.parse(data) == [TransportFeedback(1, 2, body)]


def test_reports_agree_with_another_implementation() -> None:
    block = ReportBlock(1, 2, -3, 4, 5, 6, 7)
    data = rtcp.build_sr(SenderReport(9, 1 << 40, 8, 7, 6, (block,)))
    (report,) = aiortc_rtp.RtcpPacket.parse(data)
    assert (report.ssrc, report.sender_info.ntp_timestamp) == (9, 1 << 40)
    assert (report.reports[0].fraction_lost, report.reports[0].packets_lost) == (2, -3)


def test_unknown_types_are_skipped() -> None:
    extended = b"\x80\xcf\0\2" + bytes(8)
    other_feedback = b"\x83\xcd\0\2" + bytes(8) + b"\x82\xce\0\2" + bytes(8)
    assert rtcp.parse(extended + other_feedback + rtcp.build_pli(1, 2)) == [Pli(1, 2)]


@pytest.mark.parametrize(
    "data",
    [
        b"\x80",
        b"\x40\xc9\0\1" + bytes(4),
        b"\x80\xc9\0\2" + bytes(4),
        b"\x80\xc9\0\0",
        b"\x82\xc9\0\7" + bytes(28),
        b"\x80\xc8\0\4" + bytes(16),
        b"\x84\xcb\0\1" + bytes(4),
        b"\x81\xce\0\1" + bytes(4),
        b"\xa0\xc9\0\1" + bytes(4),
        b"\xa0\xc9\0\1" + b"\0\0\0\5",
        b"\xa0\xc9\0\2" + bytes(7) + b"\4" + b"\x80\xc9\0\1" + bytes(4),
        b"\x8f\xce\0\4" + bytes(8) + b"REMB\x02\0\0\0",
        b"\x80\xc9\0\1" + bytes(1500),
    ],
)
def test_lengths_that_do_not_fit_are_refused(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        rtcp.parse(data)


def test_too_many_blocks_are_not_built() -> None:
    with pytest.raises(ValueError, match="31"):
        rtcp.build_rr(1, [ReportBlock(1, 0, 0, 0, 0, 0, 0)] * 32)


def test_values_beyond_their_field_are_clamped() -> None:
    block = ReportBlock(1, 300, 1 << 30, (5 << 32) + 4, 1 << 40, 6, 1 << 40)
    (report,) = rtcp.parse(rtcp.build_rr(1, [block]))
    assert isinstance(report, ReceiverReport)
    assert report.blocks[0] == ReportBlock(1, 255, 0x7FFFFF, 4, 0xFFFFFFFF, 6, 0xFFFFFFFF)


def test_rtcp_is_told_from_rtp() -> None:
    assert rtcp.is_rtcp(rtcp.build_rr(1))
    assert not rtcp.is_rtcp(b"\x80\x60" + bytes(10))
    assert not rtcp.is_rtcp(b"\x80\xc9\0")
