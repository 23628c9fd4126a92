"""DTLS of a raw peer, without sockets or clocks: records in, records out (RFC 5764)."""

from __future__ import annotations

from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from roomful_rtc.wire import DATAGRAM_BYTES, datagrams
from roomful_testing.peer.srtp import PROFILES, Keys

_EXPORTER = b"EXTRACTOR-dtls_srtp"
_RECORD = 1 << 14


class Certificate:
    """Key and self-signed certificate; one may do for all raw peers of a process."""

    _VALID = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
    """no matter: the fingerprint in the description vouches for a peer (RFC 8122 section 5)"""

    def __init__(self) -> None:
        """Make a new one."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "roomful-testing")])
        builder = x509.CertificateBuilder(
            name, name, key.public_key(), x509.random_serial_number(), *self._VALID
        )
        certificate = builder.sign(key, hashes.SHA256())
        self.fingerprint = f"sha-256 {certificate.fingerprint(hashes.SHA256()).hex(':').upper()}"
        """`sha-256 AA:BB:…`"""
        self.context = SSL.Context(SSL.DTLS_METHOD)
        """with this identity and every SRTP profile"""
        self.context.use_certificate(certificate)
        self.context.use_privatekey(key)
        self.context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
        self.context.set_tlsext_use_srtp(b":".join(PROFILES))


class Handshake:
    """One session. Feed it datagrams, send what `outgoing` returns after every call."""

    def __init__(self, certificate: Certificate, *, client: bool, fingerprint: str) -> None:
        """`fingerprint`: that the other side's certificate must have, as in its description."""
        self._session = SSL.Connection(certificate.context, None)
        self._session.set_ciphertext_mtu(DATAGRAM_BYTES)
        self._client = client
        self._expected = fingerprint.partition(" ")[2].upper()
        if client:
            self._session.set_connect_state()
        else:
            self._session.set_accept_state()
        self.keys: Keys | None = None

    def start(self) -> None:
        """Say hello, as a client."""
        if self._client:
            self._advance()

    def feed(self, datagram: bytes) -> list[bytes]:
        """Take a datagram in; return the application data in it. Raises ConnectionError."""
        self._session.bio_write(datagram)
        if self.keys is None:
            self._advance()
        return self._received() if self.keys is not None else []

    def write(self, data: bytes) -> None:
        """Send application data (SCTP)."""
        self._session.send(data)

    def outgoing(self) -> list[bytes]:
        """Datagrams to send now."""
        try:
            return datagrams(bytes(self._session.bio_read(1 << 16)))
        except SSL.WantReadError:
            return []

    def silence(self) -> None:
        """Time passed: repeat a flight that was not answered."""
        if self.keys is None and self._session.DTLSv1_get_timeout() == 0:
            self._session.DTLSv1_handle_timeout()

    def close(self) -> None:
        """Say goodbye."""
        if self.keys is not None:
            self._session.shutdown()

    def _advance(self) -> None:
        try:
            self._session.do_handshake()
        except SSL.WantReadError:
            return
        except SSL.Error as error:
            raise ConnectionError(f"handshake failed: {error}") from error
        certificate = self._session.get_peer_certificate(as_cryptography=True)
        found = certificate.fingerprint(hashes.SHA256()).hex(":").upper() if certificate else ""
        if found != self._expected:
            raise ConnectionError("the peer's certificate is not the announced one")
        self.keys = self._export()

    def _export(self) -> Keys:
        """Client key, server key, client salt, server salt (RFC 5764 section 4.2)."""
        profile = bytes(self._session.get_selected_srtp_profile())
        _, key, salt = PROFILES[profile]
        block: bytes = self._session.export_keying_material(_EXPORTER, 2 * (key + salt))
        salts = block[2 * key :]
        client = block[:key] + salts[:salt]
        server = block[key : 2 * key] + salts[salt:]
        return Keys(profile, client, server) if self._client else Keys(profile, server, client)

    def _received(self) -> list[bytes]:
        data: list[bytes] = []
        while True:
            try:
                data.append(bytes(self._session.recv(_RECORD)))
            except SSL.WantReadError:
                return data
            except SSL.ZeroReturnError as closed:
                raise ConnectionError("closed by the peer") from closed
            except SSL.Error as error:
                raise ConnectionError(f"broken session: {error}") from error
