"""Reports tell what was received; key frames and packets that are asked for are sent."""

from __future__ import annotations

from roomful_rtc import rtcp
from roomful_testing.clip import Film
from roomful_testing.peer.feedback import Feedback
from roomful_testing.peer.flows import Flow
from roomful_testing.peer.player import FilmPlayer, Player

from .wire import Wire

PICTURE = (b"\x90\x80\x80\x00x",)


def feedback_of(wire: Wire, *players: Player) -> Feedback:
    return Feedback(wire, players)  # pyright: ignore[reportArgumentType]


def film(wire: Wire) -> FilmPlayer:
    return FilmPlayer(wire.stream(), Film("vp8", 64, 64, 10, 1, (PICTURE,), {0: (PICTURE,)}), 0, 0)


def test_key_frames_are_asked_of_the_stream_that_is_named() -> None:
    wire = Wire()
    player = film(wire)
    feedback = feedback_of(wire, player)
    for ssrc in (player.stream.ssrc, player.stream.ssrc + 1):
        feedback.take(rtcp.compound((rtcp.build_rr(1), rtcp.build_pli(1, ssrc))))
        feedback.take(rtcp.compound((rtcp.build_rr(1), rtcp.build_fir(1, [(ssrc, 1)]))))

    assert player.key_frames_asked == 2


def test_missed_packets_are_sent_again() -> None:
    wire = Wire()
    player = film(wire)
    player.stream.keep_history()
    player.send(0.0)
    missed = wire.packets[0].seq16
    nack = rtcp.build_nack(1, player.stream.ssrc, [missed])
    feedback_of(wire, player).take(rtcp.compound((rtcp.build_rr(1), nack)))

    assert [again[2:4] for again in wire.again] == [missed.to_bytes(2, "big")]


def test_report_tells_losses_since_the_last_and_the_senders_clock() -> None:
    wire = Wire()
    feedback = feedback_of(wire)
    wire.flows[5] = Flow(96, first=10, highest=109, first_ns=0, packets=100)
    sent = rtcp.SenderReport(5, 0x1234_5678_9ABC_DEF0, 1, 2, 3)
    feedback.take(rtcp.compound((rtcp.build_sr(sent),)))
    feedback.report()
    wire.flows[5].highest, wire.flows[5].gaps = 209, 25
    feedback.report()
    first, second = (report.blocks[0] for report in wire.receiver_reports)

    assert (first.highest_seq, first.lost, first.fraction_lost) == (109, 0, 0)
    assert (second.highest_seq, second.lost, second.fraction_lost) == (209, 25, 64)
    assert first.lsr == 0x5678_9ABC
    assert 0 <= first.dlsr < 65_536


def test_nothing_received_is_not_reported() -> None:
    wire = Wire()
    feedback_of(wire).report()

    assert wire.receiver_reports == []


def test_reports_against_the_rules_are_counted() -> None:
    wire = Wire()
    feedback = feedback_of(wire)
    feedback.take(b"\x80\xc8\x00\xff" + bytes(20))

    assert feedback.broken == 1
