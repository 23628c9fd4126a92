"""A mux on loopback with a simple engine, and a client made of aiortc's parts."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable

import pytest
from aioice import stun as aioice_stun
from aiortc import (
    RTCCertificate,
    RTCDataChannel,
    RTCDataChannelParameters,
    RTCSctpCapabilities,
    RTCSctpTransport,
)
from aiortc.rtcdtlstransport import RTCDtlsFingerprint, RTCDtlsParameters, RTCDtlsTransport

from roomful.clock import SystemClock
from roomful_rtc.candidate import host_candidates
from roomful_rtc.engine import Datagram
from roomful_rtc.mux import Mux
from roomful_rtc.py_engine import PyEngine
from roomful_rtc.sockets import bind_udp
from roomful_rtc.transport import Transport


async def until(condition, patience=5.0):
    """Wait for something that tells nobody when it happens."""
    async with asyncio.timeout(patience):
        while not condition():
            await asyncio.sleep(0.005)


class FakeEngine:
    """Owns one UDP socket and keeps the rules of `Engine` that a transport leans on."""

    def __init__(self):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.sock.setblocking(False)
        self.port = self.sock.getsockname()[1]
        self.by_addr, self.target, self.tcp, self.keys = {}, {}, {}, {}
        self.received, self.calls = [], []
        self.strangers = 0
        self._handed = []
        self._next = 100

    def fileno(self):
        return self.sock.fileno()

    def take(self, max_items=512):
        out, self._handed = self._handed, []
        for _ in range(max_items):
            try:
                data, addr = self.sock.recvfrom(2048)
            except BlockingIOError:
                break
            self._sort(data, addr, out)
        return out, []

    def _sort(self, data, addr, out):
        peer = self.by_addr.get(addr, 0)
        if not data:
            return
        if data[0] < 4 or (peer and (19 < data[0] < 64 or (len(data) > 1 and 191 < data[1] < 224))):
            out.append(Datagram(peer, addr, data, 0))
        elif peer:
            self.received.append((peer, data))
        else:
            self.strangers += 1

    def next_turn(self):
        return 0.0 if self._handed else None

    def send(self, to, data):
        if isinstance(to, int):
            if to in self.tcp:
                self.tcp[to](data)
                return True
            to = self.target[to]
        if to[0].startswith("tcp:"):
            return False
        self.sock.sendto(data, to)
        return True

    def receive(self, addr, data, arrival_us):
        self._sort(data, addr, self._handed)

    def add_peer(self, addr):
        self._next += 1
        self.by_addr[addr] = self._next
        self.target[self._next] = addr
        return self._next

    def allow(self, peer, addr):
        assert peer in self.target
        self.by_addr[addr] = peer

    def disallow(self, peer, addr):
        assert self.by_addr.pop(addr) == peer

    def move_peer(self, peer, addr):
        assert self.by_addr[addr] == peer
        self.calls.append(("move", peer, addr))
        self.target[peer] = addr

    def set_tcp(self, peer, write):
        self.tcp.pop(peer, None)
        if write:
            self.tcp[peer] = write

    def set_keys(self, peer, profile, rx_key, tx_key):
        assert peer in self.target
        assert peer not in self.keys
        self.keys[peer] = (profile, rx_key, tx_key)

    def remove_peer(self, peer):
        del self.target[peer]
        self.tcp.pop(peer, None)
        self.by_addr = {a: p for a, p in self.by_addr.items() if p != peer}

    def close(self):
        self.sock.close()


class Recorder:
    """An observer that keeps what it is told."""

    def __init__(self):
        self.events = []
        self.rtcp = []
        self._changed = asyncio.Event()

    def _add(self, *event):
        self.events.append(event)
        self._changed.set()

    def on_connected(self):
        self._add("connected")

    def on_disconnected(self):
        self._add("disconnected")

    def on_reconnected(self):
        self._add("reconnected")

    def on_failed(self, reason):
        self._add("failed", reason)

    def on_channel_open(self, label):
        self._add("open", label)

    def on_message(self, label, data):
        self._add("message", label, data)

    def on_rtcp(self, packet):
        self._add("rtcp", packet)

    def of(self, kind):
        return [event for event in self.events if event[0] == kind]

    async def wait(self, kind, count=1):
        async with asyncio.timeout(5):
            while len(self.of(kind)) < count:
                self._changed.clear()
                await self._changed.wait()
        return self.of(kind)[-1]


class RawSocket(asyncio.DatagramProtocol):
    """A client's socket on loopback."""

    def __init__(self, target):
        self.target, self.answers, self.received = target, {}, asyncio.Queue(1000)
        self.transport = None

    def connection_made(self, transport):
        self.transport = transport
        self.addr = transport.get_extra_info("sockname")[:2]

    def datagram_received(self, data, addr):
        if data[0] < 4:
            answer = self.answers.get(data[8:20])
            if answer is not None and not answer.done():
                answer.set_result(data)
        elif not self.received.full():
            self.received.put_nowait(data)

    def send(self, data):
        self.transport.sendto(data, self.target)

    async def check(self, ufrag, pwd, *, use_candidate=True, controlled=False, patience=2.0):
        """Send a check made by aioice; return the parsed answer, None without one."""
        request = aioice_stun.Message(aioice_stun.Method.BINDING, aioice_stun.Class.REQUEST)
        request.attributes["USERNAME"] = f"{ufrag}:clnt"
        request.attributes["PRIORITY"] = 1862270975
        name = "ICE-CONTROLLED" if controlled else "ICE-CONTROLLING"
        request.attributes[name] = 12345
        if use_candidate:
            request.attributes["USE-CANDIDATE"] = None
        request.add_message_integrity(pwd.encode())
        request.add_fingerprint()
        answer = asyncio.get_running_loop().create_future()
        self.answers[request.transaction_id] = answer
        self.send(bytes(request))
        try:
            data = await asyncio.wait_for(answer, patience)
        except TimeoutError:
            return None
        message = aioice_stun.parse_message(data)
        assert message.check_message_integrity(pwd.encode())
        return message


class Client:
    """ICE, DTLS and SCTP of a client, from aiortc's parts on a socket of its own."""

    role, state = "controlling", "completed"

    def __init__(self, raw, dtls_role="client"):
        self.raw = raw
        self.certificate = RTCCertificate.generateCertificate()
        self.dtls = RTCDtlsTransport(self, [self.certificate])
        self.dtls._set_role(dtls_role)
        self.sctp = None
        self.channels, self.messages = {}, asyncio.Queue(1000)

    @property
    def fingerprint(self):
        first = self.certificate.getFingerprints()[0]
        return f"{first.algorithm} {first.value}"

    async def _recv(self):
        return await self.raw.received.get()

    async def _send(self, data):
        self.raw.send(data)

    async def handshake(self, fingerprint):
        algorithm, value = fingerprint.split(" ")
        expected = RTCDtlsFingerprint(algorithm=algorithm, value=value)
        await self.dtls.start(RTCDtlsParameters(fingerprints=[expected]))
        assert self.dtls.state == "connected"

    async def start_sctp(self):
        self.sctp = RTCSctpTransport(self.dtls, 5000)
        self.sctp.on("datachannel", self.add_channel)
        await self.sctp.start(RTCSctpCapabilities(maxMessageSize=65535), 5000)

    def open_channel(self, label, **options):
        parameters = RTCDataChannelParameters(label=label, **options)
        self.add_channel(RTCDataChannel(self.sctp, parameters))

    async def opened(self, label):
        """Return the channel once the server has acknowledged or opened it."""
        await until(lambda: label in self.channels and self.channels[label].readyState == "open")
        return self.channels[label]

    def add_channel(self, channel):
        self.channels[channel.label] = channel
        channel.on("message", lambda data: self.messages.put_nowait((channel.label, data)))

    async def stop(self):
        if self.sctp is not None:
            await self.sctp.stop()
        reader = self.dtls._task
        await self.dtls.stop()
        if reader is not None:
            await asyncio.wait([reader])
        self.raw.transport.close()


class Bench:
    """A mux and the clients of one test."""

    def __init__(self, engine, mux, clock):
        self.engine, self.mux, self.clock = engine, mux, clock
        self.transports, self.clients = [], []

    def transport(self, **options):
        transport = Transport(self.mux, Recorder(), **options)
        self.transports.append(transport)
        return transport, transport._observer

    async def raw(self):
        loop = asyncio.get_running_loop()
        target = ("127.0.0.1", self.engine.port)
        _, raw = await loop.create_datagram_endpoint(
            lambda: RawSocket(target), local_addr=("127.0.0.1", 0)
        )
        self.clients.append(raw)
        return raw

    async def client(self, **options):
        client = Client(await self.raw(), **options)
        self.clients.append(client)
        return client

    async def connect(self, *, setup="actpass", channels=(), sctp=True, **options):
        """Return a connected transport, its observer and its client."""
        transport, observer = self.transport(channels=channels, **options)
        client = await self.client(dtls_role="server" if setup == "passive" else "client")
        transport.set_remote(setup, "clnt", "x" * 22, client.fingerprint)
        assert await client.raw.check(transport.ufrag, transport.pwd)
        await asyncio.wait_for(client.handshake(transport.fingerprint), 5)
        await observer.wait("connected")
        if sctp:
            await client.start_sctp()
        return transport, observer, client

    async def close(self):
        for transport in self.transports:
            await transport.close()
        for client in self.clients:
            if isinstance(client, Client):
                await client.stop()
            else:
                client.transport.close()
        self.mux.close()
        self.engine.close()
        await asyncio.sleep(0)


class StepClock(SystemClock):
    """The machine's clock plus what a test adds to it."""

    def __init__(self):
        self.added = 0.0

    def monotonic(self):
        return super().monotonic() + self.added


class RealEngine(PyEngine):
    """The engine that ships, with what the tests ask a fake."""

    def __init__(self):
        sockets = bind_udp([("127.0.0.1", 0)])
        super().__init__(sockets)
        self.port = sockets[0].getsockname()[1]
        self.keys, self.calls = {}, []

    def set_keys(self, peer, profile, rx_key, tx_key):
        super().set_keys(peer, profile, rx_key, tx_key)
        self.keys[peer] = (profile, rx_key, tx_key)

    def move_peer(self, peer, addr):
        super().move_peer(peer, addr)
        self.calls.append(("move", peer, addr))


@pytest.fixture
def rtc_until():
    """`await rtc_until(condition)`."""
    return until


@pytest.fixture(params=[FakeEngine, RealEngine])
def make_engine(request) -> Callable[[], FakeEngine | RealEngine]:
    return request.param


@pytest.fixture
async def rtc_bench(make_engine) -> AsyncIterator[Bench]:
    engine, clock = make_engine(), StepClock()
    candidates = host_candidates([("127.0.0.1", engine.port)])
    mux = Mux(engine, candidates=candidates, clock=clock)
    mux.start()
    mux._ticker.cancel()  # tests let time pass themselves
    bench = Bench(engine, mux, clock)
    yield bench
    await bench.close()
