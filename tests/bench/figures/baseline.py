"""The same work done bare, in the same run: what the machine takes for it without a server.

The absolute time of an operation differs by a third from run to run on a shared machine; its ratio
to the bare operation does not.
"""

from __future__ import annotations

import multiprocessing
import secrets
import selectors
import socket
import struct
import time
from multiprocessing.connection import Connection

from roomful_testing.peer.dtls import Certificate, Handshake
from roomful_testing.peer.srtp import PROFILES, Buffer, outgoing

PROFILE = b"SRTP_AEAD_AES_256_GCM"
"""what ours and libwebrtc agree on first"""
_HEADER = struct.Struct("!BBHII")
_TAG = 16
_RECEIVE_BUFFER = 4 << 20
_SECONDS = 2.0


def seal_and_send_us(size: int, receivers: int, rounds_per_s: float) -> float:
    """µs of CPU to protect and send one datagram of `size` bytes to each of `receivers` in turn.

    The rounds keep the pace of the packets that the server gets: a lone datagram finds cold caches
    and takes several times as long as one of many. Receivers are sockets of another process.
    """
    ours, theirs = multiprocessing.Pipe()
    sink = multiprocessing.Process(target=_swallow, args=(theirs, receivers), daemon=True)
    sink.start()
    addresses: list[tuple[str, int]] = ours.recv()
    _, key, salt = PROFILES[PROFILE]
    sessions = [outgoing(PROFILE, secrets.token_bytes(key + salt)) for _ in addresses]
    rows = [(s._srtp[0], a) for s, a in zip(sessions, addresses, strict=True)]
    buffer, payload = Buffer(), secrets.token_bytes(max(1, size - _HEADER.size - _TAG))
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    plain = _HEADER.size + len(payload)
    rounds, used = max(1, int(rounds_per_s * _SECONDS)), 0.0
    begin = time.perf_counter()
    for number in range(rounds):
        time.sleep(max(0.0, begin + number / rounds_per_s - time.perf_counter()))
        before = time.thread_time()
        for context, address in rows:
            _HEADER.pack_into(buffer.view, 0, 0x80, 96, number & 0xFFFF, 960 * number, 1)
            buffer.view[_HEADER.size : plain] = payload
            sock.sendto(buffer.view[: buffer.seal(context, plain)], address)
        used += time.thread_time() - before
    sock.close()
    ours.send(None)
    sink.join(5)
    return 1e6 * used / (rounds * receivers)


def _swallow(pipe: Connection, count: int) -> None:
    """Child: empty `count` sockets until told to end."""
    selector = selectors.DefaultSelector()
    addresses: list[tuple[str, int]] = []
    for _ in range(count):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        sock.bind(("127.0.0.1", 0))
        selector.register(sock, selectors.EVENT_READ)
        addresses.append(sock.getsockname())
    selector.register(pipe, selectors.EVENT_READ)
    pipe.send(addresses)
    view = bytearray(2048)
    while True:
        for key, _ in selector.select():
            if key.fileobj is pipe:
                return
            try:
                while True:
                    key.fileobj.recv_into(view)  # type: ignore[union-attr]
            except BlockingIOError:
                continue


def handshake_ms(times: int = 40) -> float:
    """ms of CPU of the accepting side of one DTLS handshake with certificates on both sides."""
    here, there = Certificate(), Certificate()
    used = 0.0
    for _ in range(times):
        begin = time.thread_time()
        server = Handshake(here, client=False, fingerprint=there.fingerprint)
        used += time.thread_time() - begin
        client = Handshake(there, client=True, fingerprint=here.fingerprint)
        client.start()
        while server.keys is None or client.keys is None:
            flight = client.outgoing()
            begin = time.thread_time()
            for datagram in flight:
                server.feed(datagram)
            answer = server.outgoing()
            used += time.thread_time() - begin
            for datagram in answer:
                client.feed(datagram)
    return 1e3 * used / times
