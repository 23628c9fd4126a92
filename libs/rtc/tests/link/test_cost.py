"""What a packet costs in the link, sockets apart: CPU, best of several."""

from __future__ import annotations

import time

from .rig import Pair, vp8

PACKETS, IN_A_TURN, LIMIT_US = 20_000, 20, 10.0


class Nothing:
    """A consumer that does nothing."""

    def write(self, packet: memoryview, arrival_ns: int) -> None: ...


def cpu_us(codec: str) -> tuple[float, float]:
    """µs of writing a packet and taking it out again, and of reading it."""
    pair = Pair()
    pair.table.consumers[1] = Nothing()  # type: ignore[assignment]
    sink = pair.sink(1, codec)
    packets = [memoryview(vp8(number, size=1150)) for number in range(IN_A_TURN)]
    messages = list[bytes]()
    begin = time.thread_time()
    for at_ns in range(0, PACKETS, IN_A_TURN):
        for packet in packets:
            sink.write(packet, at_ns)
        messages.append(pair.queue.take() or b"")
    written = time.thread_time()
    for message in messages:
        pair.feed(message)
    read = time.thread_time()
    assert pair.reader.records == PACKETS
    return 1e6 * (written - begin) / PACKETS, 1e6 * (read - written) / PACKETS


def test_packet_costs_less_than_ten_microseconds_in_each_direction():
    for codec in ("", "vp8"):
        rounds = [cpu_us(codec) for _ in range(5)]

        assert min(write for write, _ in rounds) < LIMIT_US
        assert min(read for _, read in rounds) < LIMIT_US
