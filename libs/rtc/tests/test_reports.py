import pytest

from roomful_rtc.reports import ClockReading, ReceptionReporter, RoundTrip, offset_between

SECOND = 1 << 32


def test_the_offset_of_two_layers_is_their_difference_at_equal_wall_time():
    old = ClockReading(ntp=1000 * SECOND, rtp_ts=90_000, arrived=0)
    new = ClockReading(ntp=1001 * SECOND, rtp_ts=500_000 + 90_000, arrived=0)

    offset = offset_between(old, new, 90_000)

    assert offset == 500_000 - 90_000


def test_the_offset_wraps_with_the_timestamps():
    old = ClockReading(ntp=50 * SECOND, rtp_ts=0xFFFFFFF0, arrived=0)
    new = ClockReading(ntp=50 * SECOND, rtp_ts=0x10, arrived=0)
    assert offset_between(old, new, 90_000) == 0x20


def test_an_older_reading_of_the_new_layer_counts_too():
    old = ClockReading(ntp=1001 * SECOND + SECOND // 2, rtp_ts=135_000, arrived=0)
    new = ClockReading(ntp=1000 * SECOND, rtp_ts=7_000, arrived=0)
    assert offset_between(old, new, 90_000) == 7_000 + 135_000 - 135_000


@pytest.mark.parametrize(
    ("old", "new"), [(0, 5 * SECOND), (5 * SECOND, 0), (5 * SECOND, 40 * SECOND)]
)
def test_readings_that_cannot_be_compared_give_no_offset(old: int, new: int):
    assert offset_between(ClockReading(old, 0, 0), ClockReading(new, 0, 0), 90_000) is None


def test_a_round_trip_is_found_by_the_report_it_refers_to():
    trip = RoundTrip()
    ntp = 0x1122_3344_5566_7788
    trip.sent(ntp, now=10.0)

    rtt = trip.reported(0x3344_5566, dlsr=65536 // 2, now=10.58)

    assert rtt == pytest.approx(0.08)
    assert trip.rtt_s == pytest.approx(0.08)


def test_a_report_about_something_never_sent_says_nothing():
    trip = RoundTrip()
    trip.sent(1 << 16, now=1.0)
    assert trip.reported(lsr=7, dlsr=0, now=2.0) is None
    assert trip.rtt_s is None


def test_a_negative_round_trip_is_not_believed():
    trip = RoundTrip()
    trip.sent(1 << 16, now=1.0)
    assert trip.reported(lsr=1, dlsr=65536 * 9, now=1.1) is None


def test_only_the_last_four_sends_are_remembered():
    trip = RoundTrip()
    for number in range(1, 6):
        trip.sent(number << 16, now=float(number))
    assert trip.reported(lsr=1, dlsr=0, now=6.0) is None
    assert trip.reported(lsr=2, dlsr=0, now=6.0) == pytest.approx(4.0)


def test_the_fraction_lost_is_of_the_interval():
    reporter = ReceptionReporter(ssrc=7)
    reporter.report(packets=100, lost=0, highest_seq=99, jitter=0, clock=None, now=1)

    block = reporter.report(packets=175, lost=25, highest_seq=199, jitter=3.7, clock=None, now=2)

    assert block.fraction_lost == 64
    assert block.lost == 25
    assert block.highest_seq == 199
    assert block.jitter == 3
    assert (block.lsr, block.dlsr) == (0, 0)
    assert (reporter.interval_expected, reporter.interval_lost) == (100, 25)


def test_packets_that_were_repaired_make_no_negative_fraction():
    reporter = ReceptionReporter(ssrc=7)
    reporter.report(packets=90, lost=10, highest_seq=99, jitter=0, clock=None, now=1)

    block = reporter.report(packets=200, lost=0, highest_seq=199, jitter=0, clock=None, now=2)

    assert block.fraction_lost == 0
    assert block.lost == 0


def test_duplicates_give_a_negative_total_within_24_bits():
    reporter = ReceptionReporter(ssrc=7)
    block = reporter.report(
        packets=1 << 25, lost=-(1 << 24), highest_seq=(1 << 33) + 5, jitter=0, clock=None, now=1
    )
    assert block.lost == -0x800000
    assert block.highest_seq == 5


def test_the_last_sender_report_and_its_age_are_given():
    clock = ClockReading(ntp=0x1122_3344_5566_7788, rtp_ts=0, arrived=10.0)
    block = ReceptionReporter(1).report(1, 0, 0, 0, clock, now=10.25)
    assert block.lsr == 0x3344_5566
    assert block.dlsr == 16384
