"""Handshakes without sockets, and packets under their keys."""

import pytest

from roomful_testing.peer.dtls import Certificate, Handshake
from roomful_testing.peer.srtp import Buffer, Ciphers

PACKET = b"\x80\x6f\x00\x01" + bytes(8) + b"payload"
HERE, THERE = Certificate(), Certificate()


def shake(client: Handshake, server: Handshake) -> None:
    client.start()
    for _ in range(10):
        for datagram in client.outgoing():
            server.feed(datagram)
        for datagram in server.outgoing():
            client.feed(datagram)


def test_both_ends_have_each_others_keys() -> None:
    client = Handshake(HERE, client=True, fingerprint=THERE.fingerprint)
    server = Handshake(THERE, client=False, fingerprint=HERE.fingerprint)
    shake(client, server)

    assert client.keys is not None
    assert server.keys is not None
    ours, theirs, buffer = Ciphers(client.keys), Ciphers(server.keys), Buffer()
    buffer.view[: len(PACKET)] = PACKET
    sealed = buffer.seal(ours.tx, len(PACKET))
    assert sealed > len(PACKET)
    assert buffer.open(theirs.rx, sealed) == len(PACKET)
    assert bytes(buffer.view[: len(PACKET)]) == PACKET


def test_forged_packets_are_refused() -> None:
    client = Handshake(HERE, client=True, fingerprint=THERE.fingerprint)
    server = Handshake(THERE, client=False, fingerprint=HERE.fingerprint)
    shake(client, server)

    assert server.keys is not None
    buffer = Buffer()
    buffer.view[:60] = PACKET + bytes(60 - len(PACKET))
    assert buffer.open(Ciphers(server.keys).rx, 60) == 0
    assert Ciphers(server.keys).open_rtcp(b"\x80\xc9" + bytes(40)) is None


def test_data_passes_after_the_handshake_and_a_closing_alert_ends_it() -> None:
    client = Handshake(HERE, client=True, fingerprint=THERE.fingerprint)
    server = Handshake(THERE, client=False, fingerprint=HERE.fingerprint)
    shake(client, server)
    client.write(b"hello")

    assert [data for datagram in client.outgoing() for data in server.feed(datagram)] == [b"hello"]
    client.close()
    with pytest.raises(ConnectionError, match="closed"):
        for datagram in client.outgoing():
            server.feed(datagram)


def test_certificate_that_was_not_announced_is_refused() -> None:
    client = Handshake(HERE, client=True, fingerprint=HERE.fingerprint)
    server = Handshake(THERE, client=False, fingerprint=HERE.fingerprint)

    with pytest.raises(ConnectionError, match="not the announced one"):
        shake(client, server)
