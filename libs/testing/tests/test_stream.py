"""What stands in the packets of an outgoing stream."""

from roomful_rtc import extensions
from roomful_testing.clip import STAMP_BYTES
from roomful_testing.peer.description import (
    ABS_SEND_TIME_ID,
    LEVEL_ID,
    MID_ID,
    OPUS,
    RID_ID,
    TWCC_ID,
    VP8,
)
from roomful_testing.peer.stream import HISTORY

from .wire import Wire


def test_headers_count_and_tell_media_time() -> None:
    wire = Wire()
    stream = wire.stream()
    for number in range(3):
        stream.write(b"payload", number * 3000, marker=number == 2, now=1.0)
    first, second, third = wire.packets

    assert (first.pt, first.ssrc, first.payload) == (VP8, 77, b"payload")
    assert [p.marker for p in wire.packets] == [False, False, True]
    assert second.seq16 == (first.seq16 + 1) & 0xFFFF
    assert (third.ts - first.ts) % (1 << 32) == 6000
    assert (stream.packets, stream.octets) == (3, 21)


def test_numbers_roll_over() -> None:
    wire = Wire()
    stream = wire.stream()
    stream._seq = 0xFFFF
    for _ in range(2):
        stream.write(b"x", (1 << 32) + 5, marker=False, now=0.0)

    assert [p.seq16 for p in wire.packets] == [0xFFFF, 0]


def test_extensions_of_video_tell_layer_and_time_of_sending() -> None:
    wire = Wire()
    stream = wire.stream(rid="h")
    stream.write(b"x", 0, marker=False, now=65.5)
    stream.write(b"x", 0, marker=False, now=65.5)
    found = extensions.read(wire.packets[1].profile, wire.packets[1].extension)

    assert found[MID_ID] == b"3"
    assert found[RID_ID] == b"h"
    assert found[TWCC_ID] == b"\x00\x01"
    assert found[ABS_SEND_TIME_ID] == extensions.abs_send_time(65_500_000)


def test_extensions_of_audio_tell_the_level() -> None:
    wire = Wire()
    wire.stream(audio=True).write(b"x", 0, marker=False, now=1.0)
    packet = wire.packets[0]
    found = extensions.read(packet.profile, packet.extension)

    assert packet.pt == OPUS
    assert found.keys() == {TWCC_ID, MID_ID, LEVEL_ID}
    assert extensions.audio_level(found[LEVEL_ID]) == -20


def test_picture_id_and_stamp_are_written_over_their_room() -> None:
    wire = Wire()
    payload = b"\x90\x80\x80\x00data" + bytes(STAMP_BYTES)
    wire.stream().write(payload, 0, marker=True, now=1.0, stamped=True, picture_id=0x1234)
    sent = wire.packets[0].payload

    assert sent[:8] == b"\x90\x80\x92\x34data"
    assert int.from_bytes(sent[-STAMP_BYTES:], "big") > 1_700_000_000_000_000_000


def test_missed_packets_are_sent_again_while_they_are_kept() -> None:
    wire = Wire()
    stream = wire.stream()
    stream.keep_history()
    for number in range(HISTORY + 1):
        stream.write(b"x%d" % number, 0, marker=False, now=1.0)
    numbers = [packet.seq16 for packet in wire.packets]
    stream.resend([numbers[0], numbers[1], numbers[-1], (numbers[-1] + 5) & 0xFFFF])

    assert [again[2:4] for again in wire.again] == [
        number.to_bytes(2, "big") for number in (numbers[1], numbers[-1])
    ]
    assert stream.resent == 2


def test_nothing_is_sent_again_without_a_history() -> None:
    wire = Wire()
    stream = wire.stream()
    stream.write(b"x", 0, marker=False, now=1.0)
    stream.resend([wire.packets[0].seq16])

    assert wire.again == []


def test_report_ties_media_time_to_the_wall_clock() -> None:
    wire = Wire()
    stream = wire.stream()
    stream.write(b"four", 0, marker=False, now=1.0)
    stream.report(9000)
    [report] = wire.reports

    assert (report.ssrc, report.packets, report.octets) == (77, 1, 4)
    assert (report.rtp_ts - wire.packets[0].ts) % (1 << 32) == 9000
    assert report.ntp >> 32 > 3_900_000_000
