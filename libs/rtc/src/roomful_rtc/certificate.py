"""The certificate of this process and the fingerprints of others (RFC 8122, RFC 8827 6.5)."""

from __future__ import annotations

from typing import Any

from aiortc import RTCCertificate
from aiortc.rtcdtlstransport import X509_DIGEST_ALGORITHMS, RTCDtlsFingerprint
from OpenSSL import SSL

from roomful.errors import RemoteProtocolError

_CIPHERS = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    b"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    b"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
_DTLS_1_2 = 0xFEFD


class LocalCertificate(RTCCertificate):
    """The process's self-signed ECDSA P-256 certificate; one TLS context serves every peer."""

    _context: SSL.Context | None = None

    @property
    def fingerprint(self) -> str:
        """Value of `a=fingerprint`."""
        first = next(f for f in self.getFingerprints() if f.algorithm == "sha-256")
        return f"{first.algorithm} {first.value}"

    def _create_ssl_context(self, srtp_profiles: Any) -> SSL.Context:
        if self._context is None:
            context: SSL.Context = super()._create_ssl_context(srtp_profiles)
            context.set_min_proto_version(_DTLS_1_2)
            context.set_max_proto_version(_DTLS_1_2)
            context.set_options(SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_QUERY_MTU)
            context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
            context.set_cipher_list(_CIPHERS)
            self._context = context
        return self._context


def parse_fingerprint(value: str) -> RTCDtlsFingerprint:
    """Take the value of `a=fingerprint` apart.

    Raises:
        RemoteProtocolError: malformed, or weaker than SHA-256.
    """
    algorithm, _, digest = value.strip().partition(" ")
    algorithm = algorithm.lower()
    if algorithm not in X509_DIGEST_ALGORITHMS:
        raise RemoteProtocolError(f"fingerprint algorithm {algorithm[:16]!r} is not accepted")
    size: int = X509_DIGEST_ALGORITHMS[algorithm].digest_size
    pairs = digest.strip().upper().split(":")
    if len(pairs) != size or not all(
        len(pair) == 2 and set(pair) <= set("0123456789ABCDEF") for pair in pairs
    ):
        raise RemoteProtocolError(f"fingerprint is not {size} hexadecimal bytes")
    return RTCDtlsFingerprint(algorithm=algorithm, value=":".join(pairs))
