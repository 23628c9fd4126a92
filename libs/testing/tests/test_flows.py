"""Packets are counted by their numbers."""

from roomful_testing.peer.flows import Flow, Latencies


def flow_of(*numbers: int) -> Flow:
    flow = Flow(pt=111, first=numbers[0], highest=numbers[0], first_ns=0)
    for number in numbers[1:]:
        flow.packets += 1
        flow.advance(number & 0xFFFF)
    return flow


def test_numbers_that_never_came_are_gaps() -> None:
    flow = flow_of(10, 11, 14, 15)

    assert (flow.gaps, flow.late) == (2, 0)


def test_number_that_comes_late_closes_its_gap() -> None:
    flow = flow_of(10, 12, 11, 13)

    assert (flow.gaps, flow.late) == (0, 1)


def test_numbers_roll_over_without_a_gap() -> None:
    flow = flow_of(0xFFFE, 0xFFFF, 0x10000, 0x10001)

    assert (flow.gaps, flow.late, flow.highest) == (0, 0, 0x10001)


def test_implausible_stamps_are_not_transit_times() -> None:
    latencies = Latencies()
    latencies.add(sent_ns=1_000_000, came_ns=1_250_000)
    latencies.add(sent_ns=2**63, came_ns=1_250_000)

    assert latencies.take() == [250]
    assert latencies.take() == []
