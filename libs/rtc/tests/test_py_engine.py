"""What is particular to PyEngine; what every engine must do is in `tests/contract`."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from roomful_rtc import extensions, rtp
from roomful_rtc.engine import AES_128_CM, AES_256_GCM, Engine, EngineLimits
from roomful_rtc.munge import Packet
from roomful_rtc.payload import UNKNOWN
from roomful_rtc.py_engine import PyEngine
from roomful_rtc.py_engine.extension_set import ExtensionSet
from roomful_rtc.py_engine.rows import ResendWindow
from roomful_rtc.py_engine.srtp import Buffer, Context, protect, unprotect
from roomful_rtc.py_engine.ways import Ways

KEY = bytes(range(44))


def udp(host: str = "127.0.0.1", family: int = socket.AF_INET) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.bind((host, 0))
    return sock


@pytest.fixture
def engine() -> Iterator[PyEngine]:
    engine = PyEngine([udp()], EngineLimits())
    yield engine
    engine.close()


@pytest.fixture
def member(engine: PyEngine) -> Iterator[tuple[socket.socket, int]]:
    """A peer with keys and its socket."""
    sock = udp()
    peer = engine.add_peer(sock.getsockname())
    engine.set_keys(peer, AES_256_GCM, KEY, bytes(44))
    yield sock, peer
    sock.close()


def sealed(context: Context, seq16: int, payload: bytes, ssrc: int = 5) -> bytes:
    plain = rtp.build(rtp.RtpPacket(False, 111, seq16, 960 * seq16, ssrc, payload))
    buffer = Buffer(2048)
    buffer.view[: len(plain)] = plain
    buffer.length[0] = len(plain)
    assert protect(context.handle, buffer.data, buffer.length) == 0
    return bytes(buffer.view[: buffer.length[0]])


def test_it_is_an_engine(engine: PyEngine) -> None:
    known: Engine = engine
    assert known.features == {"simulcast", "vp8", "rtx", "twcc"}


def test_close_frees_every_descriptor() -> None:
    before = set(os.listdir("/proc/self/fd"))
    engine = PyEngine([udp(), udp("::1", socket.AF_INET6)])
    engine.add_peer(("127.0.0.1", 9))
    engine.close()
    assert set(os.listdir("/proc/self/fd")) == before


def test_a_sink_may_call_the_engine(engine: PyEngine, member: tuple[socket.socket, int]) -> None:
    """It adds an up with held packets and removes itself, within a fan-out."""
    sock, peer = member
    up = engine.add_up(peer, 5, "opus", 48000)
    got: list[bytes] = []

    class Meddler:
        def write(self, packet: memoryview, arrival_ns: int) -> None:
            got.append(bytes(packet[12:]))
            if len(got) == 1:
                other = engine.add_up(peer, 6, "opus", 48000)
                engine.set_down(engine.add_sink(other, self, pts), True)
            else:
                engine.remove_down(sink)

        def gap(self, count: int, reason: int) -> None: ...

    class Later(Meddler):
        def write(self, packet: memoryview, arrival_ns: int) -> None:
            got.append(b"later " + bytes(packet[12:]))

    pts = {"opus": 111}
    sink = engine.add_sink(up, Meddler(), pts)
    later = engine.add_sink(up, Later(), pts)
    for down in (sink, later):
        engine.set_down(down, True)
    context = Context(AES_256_GCM, KEY, outgoing=True)
    to = engine_address(engine)
    sock.sendto(sealed(context, 1, b"held", ssrc=6), to)
    for seq16 in (1, 2, 3):
        sock.sendto(sealed(context, seq16, b"%d" % seq16), to)
    engine.take()
    assert got == [b"1", b"later 1", b"held", b"later 2", b"later 3"]


def engine_address(engine: PyEngine) -> tuple[str, int]:
    (sock,) = engine._ways.sockets  # pyright: ignore[reportPrivateUsage]
    return sock.getsockname()


def test_a_context_wipes_the_key_it_was_given() -> None:
    context = Context(AES_256_GCM, KEY, outgoing=True)
    assert KEY.hex() not in repr(context)
    assert KEY == bytes(range(44))


def test_an_index_is_protected_once() -> None:
    context = Context(AES_128_CM, KEY[:30], outgoing=True)
    buffer = Buffer(2048)
    answers = []
    for payload in (b"one", b"two"):
        plain = rtp.build(rtp.RtpPacket(False, 111, 7, 7, 7, payload))
        buffer.view[: len(plain)] = plain
        buffer.length[0] = len(plain)
        answers.append(protect(context.handle, buffer.data, buffer.length))
    assert answers[0] == 0
    assert answers[1] != 0


def test_a_forgotten_ssrc_begins_anew() -> None:
    sender = Context(AES_128_CM, KEY[:30], outgoing=True)
    reader = Context(AES_128_CM, KEY[:30], outgoing=False)
    datagram = sealed(sender, 7, b"x")
    buffer = Buffer(2048)

    def read() -> int:
        buffer.view[: len(datagram)] = datagram
        buffer.length[0] = len(datagram)
        return unprotect(reader.handle, buffer.data, buffer.length)

    answers = [read(), read()]
    reader.forget(5)
    assert [answer == 0 for answer in (*answers, read())] == [True, False, True]


# --- ways ---


def test_an_answer_leaves_from_where_the_address_was_heard() -> None:
    one, other = udp(), udp()
    ways = Ways([one, other])
    addr = ("127.0.0.1", 4000)
    assert ways.to(addr) == (one, addr)
    ways.heard(addr, other)
    assert ways.to(addr) == (other, addr)
    one.close()
    other.close()


@pytest.mark.parametrize(
    "addr",
    [
        ("127.0.0.1", 0),
        ("127.0.0.1", 65536),
        ("0.0.0.0", 5),
        ("224.0.0.1", 5),
        ("255.255.255.255", 5),
        ("ff02::1", 5),
        ("::1", 5),
        ("tcp:127.0.0.1", 5),
        ("name", 5),
    ],
)
def test_there_is_no_way_to(addr: tuple[str, int]) -> None:
    sock = udp()
    ways = Ways([sock])
    with pytest.raises(ValueError):
        ways.to(addr)
    sock.close()


@pytest.mark.parametrize(
    ("raw", "addr"),
    [
        (("::ffff:192.0.2.1", 5, 0, 0), ("192.0.2.1", 5)),
        (("2001:db8::1", 5, 0, 0), ("2001:db8::1", 5)),
        (("fe80::1", 5, 0, 3), ("fe80::1%3", 5)),
    ],
)
def test_addresses_are_normalised(raw: tuple[str, int, int, int], addr: tuple[str, int]) -> None:
    sock = udp()
    assert Ways([sock]).normalise(raw) == addr
    sock.close()


def test_an_engine_needs_udp_sockets() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Ways([])
    stream = socket.socket()
    with pytest.raises(ValueError, match="UDP"):
        Ways([stream])
    stream.close()


# --- extension sets ---


def packet(**elements: bytes) -> Packet:
    """A packet with elements under the publisher's ids, which are `RECV`."""
    by_id = {RECV[kind]: value for kind, value in elements.items()}
    return Packet(None, 1, 1, 0, 96, "opus", b"x", UNKNOWN, by_id, 0, False)


RECV = {"audio_level": 9, "mid": 8, "abs_capture_time": 7, "twcc": 6}


def read(block: bytes) -> dict[int, bytes]:
    return extensions.read(int.from_bytes(block[:2], "big"), block[4:])


@pytest.mark.parametrize("number", [2, 15])
def test_the_send_time_alone_is_what_the_long_way_gives(number: int) -> None:
    block = ExtensionSet({"abs_send_time": number}).block(packet(mid=b"a"), RECV, 12_345_678)
    assert read(block) == {number: extensions.abs_send_time(12_345_678)}


def test_only_known_kinds_are_copied() -> None:
    chosen = ExtensionSet({"audio_level": 1, "mid": 2, "abs_capture_time": 3})
    block = chosen.block(packet(audio_level=b"\x85", mid=b"a", twcc=b"12"), RECV, 0)
    assert read(block) == {1: b"\x85"}
    assert read(chosen.block(packet(), RECV, 0, b"m1")) == {2: b"m1"}
    assert chosen.block(packet(), RECV, 0) == b""


# --- the budget ---


def test_a_window_allows_64_packets_or_a_quarter_of_the_bytes() -> None:
    window = ResendWindow()
    assert all(window.allow(100, 0, 500_000) for _ in range(64))
    assert not window.allow(100, 0, 500_000)
    assert window.allow(100, 40_000, 500_000)


def test_a_window_counts_the_second_before() -> None:
    window = ResendWindow()
    assert window.allow(0, 80_000, 1_000_000)
    assert sum(window.allow(200, 80_000, 1_500_000) for _ in range(500)) == 100
