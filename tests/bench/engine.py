"""CPU per packet out of PyEngine, beside a bare loop of protect and sendto, in the same run.

    python tests/bench/engine.py [--n 1 10 50] [--size 120 1150] [--seconds 2] [--profile aes256gcm]

Publisher and subscribers are processes of their own; CPU is user + system of this process only.
Every row prints µs per packet out of the engine, of the bare loop, their ratio, and what arrived.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import selectors
import socket
import struct
import sys
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from pylibsrtp import Policy, Session, ffi, lib

from roomful_rtc.engine import AES_128_CM, AES_128_GCM, AES_256_GCM, KEY_AND_SALT, Codec
from roomful_rtc.py_engine import PyEngine

PROFILES = {
    AES_256_GCM: Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
    AES_128_GCM: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    AES_128_CM: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
}
SSRC, PT, TAG_MAX = 0x11223344, 96, 16
PACKETS_OUT_PER_S, PACKETS_IN_PER_S = 12_000, 3_000
BUFFER = 8 << 20


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table."""

    subscribers: int
    size: int
    """bytes of payload and header of a packet in"""
    profile: str
    seconds: float

    @property
    def rate(self) -> float:
        return min(PACKETS_IN_PER_S, PACKETS_OUT_PER_S / self.subscribers)

    @property
    def count(self) -> int:
        return int(self.rate * self.seconds)


def key(profile: str, number: int) -> bytes:
    return bytes((7 * place + number) & 255 for place in range(KEY_AND_SALT[profile]))


def outgoing(profile: str, number: int) -> Session:
    policy = Policy(
        key=key(profile, number),
        ssrc_type=Policy.SSRC_ANY_OUTBOUND,
        srtp_profile=PROFILES[profile],
    )
    return Session(policy)


def bound() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
    sock.bind(("127.0.0.1", 0))
    return sock


def publish(pipe: Connection, case: Case) -> None:
    """Child: send `count` protected VP8 packets at the case's rate, on a go."""
    sock, session = bound(), outgoing(case.profile, 0)
    pipe.send(sock.getsockname())
    to = pipe.recv()
    descriptor = b"\x90\x80\x80\x01\x10" + b"\x00\x00\x9d\x01\x2a\x00\x05\xd0\x02"
    payload = descriptor + bytes(case.size - 12 - len(descriptor))
    head = struct.Struct("!BBHII")
    packets = [
        session.protect(head.pack(0x80, PT, number & 0xFFFF, 3000 * (number // 8), SSRC) + payload)
        for number in range(case.count)
    ]
    pipe.send("ready")
    pipe.recv()
    begin = time.perf_counter()
    for number, packet in enumerate(packets):
        wait = begin + number / case.rate - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        sock.sendto(packet, to)
    pipe.send("done")


def subscribe(pipe: Connection, count: int) -> None:
    """Child: count what comes to `count` sockets; the number so far is told on request."""
    selector, sockets = selectors.DefaultSelector(), [bound() for _ in range(count)]
    for sock in sockets:
        sock.setblocking(False)
        selector.register(sock, selectors.EVENT_READ)
    selector.register(pipe, selectors.EVENT_READ)
    pipe.send([sock.getsockname() for sock in sockets])
    received, buffer = 0, bytearray(2048)
    while True:
        for event, _ in selector.select():
            if event.fileobj is pipe:
                if not pipe.recv():
                    return
                pipe.send(received)
                continue
            try:
                while True:
                    event.fileobj.recv_into(buffer)  # type: ignore[union-attr]
                    received += 1
            except BlockingIOError:
                continue


def start(target: Any, *arguments: Any) -> tuple[Connection, multiprocessing.Process]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=target, args=(theirs, *arguments), daemon=True)
    process.start()
    return ours, process


def arrived(sinks: Connection) -> int:
    time.sleep(0.2)
    sinks.send(True)
    return sinks.recv()


async def engine_cpu(case: Case, publisher: Connection, addresses: list[Any]) -> float:
    """Run the engine on an asyncio loop for one case; return its CPU seconds."""
    loop = asyncio.get_running_loop()
    source = publisher.recv()
    sock = bound()
    engine = PyEngine([sock])
    peer = engine.add_peer(source)
    engine.set_keys(peer, case.profile, key(case.profile, 0), key(case.profile, 1))
    engine.set_codecs(peer, {PT: Codec("vp8", 90000)})
    up = engine.add_up(peer, SSRC, "vp8", 90000)
    for number, address in enumerate(addresses):
        subscriber = engine.add_peer(address)
        keys = key(case.profile, 2), key(case.profile, 3 + number)
        engine.set_keys(subscriber, case.profile, *keys)
        engine.set_extensions(subscriber, {}, {"abs_send_time": 2})
        down = engine.add_down(
            up, subscriber, 1000 + number, {"vp8": 100}, rtx_ssrc=5000 + number, rtx_pts={100: 101}
        )
        engine.set_down(down, True)
    publisher.send(sock.getsockname())
    publisher.recv()
    loop.add_reader(engine.fileno(), engine.take)
    before = time.process_time()
    publisher.send("go")
    await loop.run_in_executor(None, publisher.recv)
    await asyncio.sleep(0.2)
    used = time.process_time() - before
    loop.remove_reader(engine.fileno())
    engine.close()
    return used


def bare_cpu(case: Case, addresses: list[Any]) -> float:
    """Protect and send the same number of packets of the same size, nothing else."""
    sock = bound()
    contexts = [outgoing(case.profile, 3 + number) for number in range(len(addresses))]
    data = ffi.new("char[]", 2048)
    view = memoryview(ffi.buffer(data)).cast("B")
    length = ffi.new("int *")
    head, payload = struct.Struct("!BBHII"), bytes(case.size + 8 - 12)
    used = 0.0
    targets = list(zip(contexts, addresses, strict=True))
    for number in range(case.count):
        before = time.process_time()
        for context, address in targets:
            head.pack_into(view, 0, 0x80, 100, number & 0xFFFF, 3000 * number, 1000)
            view[12 : case.size + 8] = payload
            length[0] = case.size + 8
            lib.srtp_protect(context._srtp[0], data, length)
            sock.sendto(view[: length[0]], address)
        used += time.process_time() - before
        time.sleep(1 / case.rate)
    sock.close()
    return used


def measure(case: Case) -> float:
    """Print one row; return the ratio."""
    sinks, sink_process = start(subscribe, case.subscribers)
    publisher, publisher_process = start(publish, case)
    addresses = sinks.recv()
    used = asyncio.run(engine_cpu(case, publisher, addresses))
    by_engine = arrived(sinks)
    bare = bare_cpu(case, addresses)
    by_bare = arrived(sinks) - by_engine
    sinks.send(False)
    for process in (sink_process, publisher_process):
        process.join(5)
    expected = case.count * case.subscribers
    engine_us, bare_us = 1e6 * used / expected, 1e6 * bare / expected
    sys.stdout.write(
        f"{case.profile:18} {case.size:5} B  N={case.subscribers:<3} engine {engine_us:5.1f} us  "
        f"bare {bare_us:5.1f} us  ratio {engine_us / bare_us:4.2f}  "
        f"arrived {by_engine}/{expected}, bare {by_bare}\n"
    )
    return engine_us / bare_us


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, nargs="+", default=[1, 10, 50])
    parser.add_argument("--size", type=int, nargs="+", default=[120, 1150])
    parser.add_argument("--profile", default=AES_256_GCM, choices=sorted(PROFILES))
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    for size in options.size:
        for count in options.n:
            measure(Case(count, size, options.profile, options.seconds))


if __name__ == "__main__":
    main()
