"""DTLS: who may handshake when, for how long, with which certificates; how flights are cut."""

from __future__ import annotations

import asyncio
import datetime
import os
from collections import Counter

import pytest
from aiortc import RTCCertificate
from aiortc.rtcdtlstransport import SRTP_PROFILES, certificate_digest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa

from roomful.errors import RemoteProtocolError
from roomful_rtc import dtls
from roomful_rtc.certificate import LocalCertificate, parse_fingerprint
from roomful_rtc.handshake_gate import HandshakeGate
from roomful_rtc.wire import Wire, datagrams


def record(kind, size):
    return bytes([kind, 254, 253]) + bytes(8) + size.to_bytes(2, "big") + bytes(size)


class RsaCertificate(RTCCertificate):
    """Of a peer that knows RSA only."""

    @classmethod
    def make(cls):
        key = rsa.generate_private_key(65537, 2048)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "rsa")])
        now = datetime.datetime.now(tz=datetime.UTC)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name)
        builder = builder.public_key(key.public_key()).serial_number(7)
        builder = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
        return cls(key=key, cert=builder.sign(key, hashes.SHA256()))

    def _create_ssl_context(self, srtp_profiles):
        context = super()._create_ssl_context(srtp_profiles)
        context.set_cipher_list(b"ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256")
        return context


async def connected(bench, client, setup):
    transport, observer = bench.transport()
    transport.set_remote(setup, "clnt", "x" * 22, client.fingerprint)
    assert await client.raw.check(transport.ufrag, transport.pwd)
    await asyncio.wait_for(client.handshake(transport.fingerprint), 5)
    await observer.wait("connected")
    return transport


@pytest.mark.parametrize("setup", ["active", "passive"])
async def test_peer_with_an_rsa_certificate_connects_in_either_role(rtc_bench, setup):
    client = await rtc_bench.client(dtls_role="client" if setup == "active" else "server")
    client.certificate = RsaCertificate.make()
    client.dtls._RTCDtlsTransport__local_certificate = client.certificate

    transport = await connected(rtc_bench, client, setup)

    assert transport.state == "connected"


async def test_only_authenticated_suites_of_dtls_1_2_are_negotiated(rtc_bench):
    client = await rtc_bench.client()

    await connected(rtc_bench, client, "actpass")

    assert client.dtls._ssl.get_protocol_version_name() == "DTLSv1.2"
    assert "GCM" in client.dtls._ssl.get_cipher_name()


def test_fingerprint_is_that_of_the_certificate():
    certificate = LocalCertificate.generateCertificate()

    assert certificate.fingerprint == f"sha-256 {certificate_digest(certificate._cert, 'sha-256')}"
    assert certificate.fingerprint != LocalCertificate.generateCertificate().fingerprint


def test_one_context_serves_every_peer():
    certificate = LocalCertificate.generateCertificate()

    first = certificate._create_ssl_context(SRTP_PROFILES)

    assert certificate._create_ssl_context(SRTP_PROFILES) is first


@pytest.mark.parametrize(("algorithm", "size"), [("sha-256", 32), ("SHA-384", 48), ("sha-512", 64)])
def test_fingerprint_of_sha_256_or_stronger_is_taken(algorithm, size):
    parsed = parse_fingerprint(f"{algorithm} " + ":".join(["ab"] * size))

    assert (parsed.algorithm, parsed.value) == (algorithm.lower(), ":".join(["AB"] * size))


@pytest.mark.parametrize(
    "value",
    [
        "",
        "sha-256",
        "sha-1 " + ":".join(["AB"] * 20),
        "md5 " + ":".join(["AB"] * 16),
        "sha-256 " + ":".join(["AB"] * 31),
        "sha-256 " + ":".join(["AB"] * 33),
        "sha-256 " + ":".join(["A"] * 32),
        "sha-256 " + ":".join(["G0"] * 32),
        "sha-256 " + "AB" * 32,
    ],
)
def test_malformed_or_weak_fingerprint_is_refused(value):
    with pytest.raises(RemoteProtocolError):
        parse_fingerprint(value)


def test_flight_is_cut_at_records_into_bounded_datagrams():
    records = [record(22, size) for size in (100, 900, 300, 50, 1180, 20)]

    cut = datagrams(b"".join(records))

    assert b"".join(cut) == b"".join(records)
    assert [len(datagram) for datagram in cut] == [113 + 913, 313 + 63, 1193, 33]


def test_record_larger_than_the_limit_goes_alone():
    assert [len(d) for d in datagrams(record(23, 1300) + record(23, 5))] == [1313, 18]


def test_cut_record_is_not_lost():
    assert datagrams(record(22, 10)[:9]) == [record(22, 10)[:9]]


async def test_wire_drops_the_oldest_datagrams_beyond_its_limit():
    drops = Counter()
    wire = Wire(lambda data: None, drops)
    for number in range(20):
        wire.feed(bytes([number]))

    got = [await wire._recv() for _ in range(8)]

    assert got == [bytes([number]) for number in range(12, 20)]
    assert drops == {"dtls_queue": 12}


async def test_closed_wire_ends_its_reader_and_sends_nothing():
    sent = []
    wire = Wire(sent.append, Counter())
    reader = asyncio.create_task(wire._recv())
    await asyncio.sleep(0)

    wire.close()
    wire.feed(b"late")
    await wire._send(b"late")

    with pytest.raises(ConnectionError):
        await reader
    assert sent == []


async def test_ninth_handshake_waits_for_a_place():
    gate = HandshakeGate(8)
    for _ in range(8):
        await gate.enter()
    waiting = [asyncio.create_task(gate.enter()) for _ in range(2)]
    await asyncio.sleep(0)
    assert [task.done() for task in waiting] == [False, False]

    gate.leave()
    await asyncio.sleep(0)
    assert [task.done() for task in waiting] == [True, False]

    waiting[1].cancel()
    await asyncio.wait(waiting)
    for _ in range(8):
        gate.leave()
    assert gate.free == 8


async def test_place_that_was_granted_to_a_cancelled_waiter_goes_to_the_next():
    gate = HandshakeGate(1)
    await gate.enter()
    first, second = (asyncio.create_task(gate.enter()) for _ in range(2))
    await asyncio.sleep(0)

    gate.leave()
    first.cancel()
    await asyncio.wait([first, second], return_when=asyncio.FIRST_COMPLETED)
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert first.cancelled()
    assert second.done()
    gate.leave()
    assert gate.free == 1


async def silent_after_hello(bench):
    """Begin a handshake with us and fall silent."""
    transport, observer = bench.transport()
    client = await bench.client()
    transport.set_remote("actpass", "clnt", "x" * 22, client.fingerprint)
    await client.raw.check(transport.ufrag, transport.pwd)
    hello = []
    real, client.raw.send = client.raw.send, hello.append
    handshake = asyncio.create_task(client.handshake(transport.fingerprint))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    handshake.cancel()
    await asyncio.wait([handshake])
    client.raw.send = real
    real(hello[0])
    await asyncio.wait_for(client.raw.received.get(), 5)
    return transport, observer, real


async def test_silent_handshake_gives_its_place_to_one_that_waits(rtc_bench, monkeypatch):
    # the second of silence would only make the test slow
    monkeypatch.setattr(dtls, "SILENT_S", 0.1)
    rtc_bench.mux.handshakes = HandshakeGate(1)
    await silent_after_hello(rtc_bench)
    assert rtc_bench.mux.handshakes.free == 0

    client = await rtc_bench.client()
    transport = await connected(rtc_bench, client, "actpass")

    assert transport.state == "connected"


async def test_place_is_free_again_after_every_kind_of_end(rtc_bench):
    gate = rtc_bench.mux.handshakes
    silent, _, _ = await silent_after_hello(rtc_bench)
    assert gate.free == 7
    await silent.close()
    await connected(rtc_bench, await rtc_bench.client(), "actpass")

    assert gate.free == 8


async def test_handshake_that_takes_too_long_fails(rtc_bench, monkeypatch):
    # ten seconds would only make the test slow
    monkeypatch.setattr(dtls, "HANDSHAKE_S", 0.2)

    _, observer, _ = await silent_after_hello(rtc_bench)
    _, reason = await observer.wait("failed")

    assert reason == "dtls: handshake took more than 0.2 s"


async def test_handshake_that_brings_too_much_fails(rtc_bench):
    transport, observer, send = await silent_after_hello(rtc_bench)

    for _ in range(60):
        send(bytes([22, 254, 253]) + os.urandom(1200))
        await asyncio.sleep(0.001)
    _, reason = await observer.wait("failed")

    assert reason == "dtls: handshake is too large"
    assert transport.state == "failed"


async def test_handshake_survives_lost_flights(rtc_bench):
    """Every second datagram of the server is lost: retransmission carries it through."""
    transport, observer = rtc_bench.transport()
    client = await rtc_bench.client()
    transport.set_remote("actpass", "clnt", "x" * 22, client.fingerprint)
    await client.raw.check(transport.ufrag, transport.pwd)
    engine, count = rtc_bench.engine, iter(range(1000))
    send = engine.send
    engine.send = lambda to, data: next(count) % 2 == 0 or send(to, data)

    await asyncio.wait_for(client.handshake(transport.fingerprint), 8)
    await observer.wait("connected")

    assert transport.state == "connected"
