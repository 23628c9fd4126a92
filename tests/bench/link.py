"""CPU per packet of the local link, beside bare send and receive of the same records.

    ./dev bench link [--size 160 1150] [--rate 50000] [--batch 1 8 50] [--seconds 2] [--repeats 5]

Sender and receiver are processes of their own; CPU is user + system of each, less what the sender's
pace takes without a link. Packets are written to a sink, `--batch` in a turn of the loop, and
counted by a consumer at the other end; both ends of a link are the same code, so this is either
direction. `vp8` looks for key frames, as for video. Bare: the same records in the same messages by
`send` and `recv_into`, and nothing else. Median of the repeats; status 1 when one is over the bar.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import select
import socket
import statistics
import struct
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from roomful.model.media import RECORDING
from roomful_media.link_socket import LinkSocket, link_pair
from roomful_rtc.link.record import MESSAGE_BYTES, RTP, RTP_HEADER, Frame

BAR_US = 10.0
STREAM = 1


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table."""

    size: int
    """bytes of an RTP packet"""
    codec: str
    batch: int
    """packets written in one turn of the sender's loop"""
    rate: float
    """packets a second"""
    seconds: float

    @property
    def count(self) -> int:
        return int(self.rate * self.seconds) // self.batch * self.batch


class Counter:
    """A consumer that only counts, and a handler that hears nothing."""

    def __init__(self) -> None:
        self.packets = 0

    def write(self, packet: memoryview, arrival_ns: int) -> None:
        self.packets += 1

    def clock(self, rtp_ts: int, ntp: int, arrival_ns: int) -> None: ...
    def gap(self, count: int, reason: int) -> None: ...
    def frame(self, frame: Frame) -> None: ...
    def end(self) -> None: ...
    def on_control(self, message: Mapping[str, Any], stream: int) -> None: ...
    def on_closed(self, error: Exception | None) -> None: ...


def packets(size: int, count: int) -> list[memoryview]:
    """Packets within VP8 key frames, ten to a frame."""
    head, rest = struct.Struct("!BBHII"), b"\x90\x80\x80\x01\x00".ljust(size - 12, b"\1")
    made = (head.pack(0x80, 96, number, 3000 * (number // 10), 7) for number in range(count))
    return [memoryview(start + rest) for start in made]


async def pace(begin: float, number: int, rate: float) -> None:
    await asyncio.sleep(max(0.0, begin + number / rate - time.perf_counter()))


async def write_packets(sock: socket.socket, case: Case) -> tuple[float, int]:
    """Send the packets of a case; return CPU seconds and how many found no room."""
    link = LinkSocket(sock, Counter(), RECORDING, strict=True)
    sink, data = link.sink(STREAM, codec=case.codec), packets(case.size, max(100, case.batch))
    used, begin = time.process_time(), time.perf_counter()
    for number in range(0, case.count, case.batch):
        await pace(begin, number, case.rate)
        now_ns = time.monotonic_ns()
        first = number % 100
        for at in range(case.batch):
            sink.write(data[(first + at) % 100], now_ns)
    await link.sent_all()
    used = time.process_time() - used
    link.close()
    return used - await pace_alone(case), link.stats.dropped


async def pace_alone(case: Case) -> float:
    """Return CPU seconds of keeping the pace of a case, and nothing else."""
    used, begin = time.process_time(), time.perf_counter()
    for number in range(0, case.count, case.batch):
        await pace(begin, number, case.rate)
    return time.process_time() - used


async def read_packets(sock: socket.socket, count: int) -> tuple[float, int]:
    """Receive until the link ends; return CPU seconds and the number of packets."""
    counter = Counter()
    used = time.process_time()
    link = LinkSocket(sock, counter, RECORDING, strict=True)
    link.open(STREAM, counter)
    while not link.closed:
        await asyncio.sleep(0.05)
    return time.process_time() - used, counter.packets


async def write_bare(sock: socket.socket, case: Case) -> tuple[float, int]:
    """Send the messages of a case, made before."""
    data = packets(case.size, 1)[0]
    record = RTP_HEADER.pack(len(data) + 8, RTP, 0, STREAM, 0) + data
    fits = max(1, MESSAGE_BYTES // len(record))
    messages = [record * min(fits, case.batch - at) for at in range(0, case.batch, fits)]
    used, begin = 0.0, time.perf_counter()
    for number in range(0, case.count, case.batch):
        await pace(begin, number, case.rate)
        for message in messages:
            before = time.process_time()
            try:
                sock.send(message)
            except BlockingIOError:
                select.select((), (sock,), ())
                sock.send(message)
            used += time.process_time() - before
    sock.close()
    return used, 0


async def read_bare(sock: socket.socket, count: int) -> tuple[float, int]:
    """Receive until the end; asyncio tells when, as it does the link."""
    loop, buffer = asyncio.get_running_loop(), bytearray(MESSAGE_BYTES)
    over, messages = asyncio.Event(), 0

    def read() -> None:
        nonlocal messages
        try:
            while sock.recv_into(buffer):
                messages += 1
        except BlockingIOError:
            return
        loop.remove_reader(sock)
        over.set()

    used = time.process_time()
    loop.add_reader(sock, read)
    await over.wait()
    return time.process_time() - used, messages


READERS = {"link": read_packets, "bare": read_bare}
WRITERS = {"link": write_packets, "bare": write_bare}


def receive(pipe: Connection, sock: socket.socket, how: str, count: int) -> None:
    """Child: read everything and tell what it took."""
    pipe.send(asyncio.run(READERS[how](sock, count)))


def run_one(case: Case, how: str) -> tuple[float, float]:
    """Carry the packets of a case once; return µs per packet of sender and receiver."""
    ours, theirs = multiprocessing.Pipe()
    here, there = link_pair()
    child = multiprocessing.Process(target=_child, args=(theirs, here, there, how, case.count))
    child.start()
    there.close()
    sent_s, lost = asyncio.run(WRITERS[how](here, case))
    received_s, arrived = ours.recv()
    child.join(5)
    if lost or (how == "link" and arrived != case.count):
        sys.stdout.write(f"  {how}: {arrived} of {case.count} arrived, {lost} without room\n")
    return 1e6 * sent_s / case.count, 1e6 * received_s / case.count


def _child(
    pipe: Connection, other: socket.socket, sock: socket.socket, how: str, count: int
) -> None:
    other.close()
    receive(pipe, sock, how, count)


def measure(case: Case, repeats: int) -> bool:
    """Print one row; return whether it is below the bar."""
    rows = {how: [run_one(case, how) for _ in range(repeats)] for how in WRITERS}
    send, receive_ = (statistics.median(row[end] for row in rows["link"]) for end in (0, 1))
    bare = [statistics.median(row[end] for row in rows["bare"]) for end in (0, 1)]
    sys.stdout.write(
        f"{case.size:5} B {case.codec or 'audio':5} {case.batch:3} a turn, {case.rate:.0f}/s  "
        f"send {send:5.2f} us (bare {bare[0]:5.2f}, ratio {send / bare[0]:5.1f})  "
        f"receive {receive_:5.2f} us (bare {bare[1]:5.2f}, ratio {receive_ / bare[1]:5.1f})\n"
    )
    return max(send, receive_) < BAR_US


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, nargs="+", default=[160, 1150])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8, 50])
    parser.add_argument("--rate", type=float, default=50_000)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    below = [
        measure(Case(size, codec, batch, options.rate, options.seconds), options.repeats)
        for size in options.size
        for codec in (("", "vp8") if size > 500 else ("",))
        for batch in options.batch
    ]
    return 0 if all(below) else 1


if __name__ == "__main__":
    sys.exit(main())
