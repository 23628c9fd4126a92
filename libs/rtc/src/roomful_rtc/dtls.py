"""DTLS of one peer: aiortc's `RTCDtlsTransport` with our rules around it (RFC 5764, RFC 8827).

Ours: which datagrams come in and how many may wait, how many handshakes run at once and how long,
which suites are offered, how flights are cut into datagrams, and the keys for the engine. Of SRTP
only RTCP passes here; RTP is the engine's, so `_tx_srtp.protect` is never called.

Every private name of aiortc used here is asserted in `tests/contract/test_aiortc_surface.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import pylibsrtp
from aiortc.rtcdtlstransport import (
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
    State,
)
from OpenSSL import SSL

from roomful.clock import Clock
from roomful.errors import TransportError
from roomful_rtc.certificate import LocalCertificate
from roomful_rtc.engine import AES_128_CM, AES_128_GCM, AES_256_GCM, KEY_AND_SALT
from roomful_rtc.handshake_gate import HandshakeGate
from roomful_rtc.wire import DATAGRAM_BYTES, WAITING, Wire, datagrams

SILENT_S = 1.0
HANDSHAKE_S = 10.0
HANDSHAKE_BYTES = 64 * 1024
DATAGRAMS_PER_TURN = 16
"""of one peer, before others get theirs"""

_EXPORTER = b"EXTRACTOR-dtls_srtp"
_PROFILES = {
    b"SRTP_AEAD_AES_256_GCM": (AES_256_GCM, 12),
    b"SRTP_AEAD_AES_128_GCM": (AES_128_GCM, 12),
    b"SRTP_AES128_CM_SHA1_80": (AES_128_CM, 14),
}
"""OpenSSL's name → (the engine's name, bytes of salt)."""


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """What `Engine.set_keys` takes."""

    profile: str
    rx: bytes = field(repr=False)
    tx: bytes = field(repr=False)


class PeerDtls(RTCDtlsTransport):
    """One handshake and the records after it."""

    def __init__(
        self, wire: Wire, certificate: LocalCertificate, gate: HandshakeGate, clock: Clock
    ) -> None:
        super().__init__(wire, [certificate])  # type: ignore[arg-type]  # duck-typed by design
        self._wire, self._gate, self._clock = wire, gate, clock
        self._has_place = False
        self._heard_at = self._deadline = float("inf")
        self._bytes_in = self._handled = 0
        self._why = "handshake refused"

    @property
    def _session(self) -> SSL.Connection:
        assert self._ssl is not None
        return self._ssl

    async def handshake(self, role: str, fingerprint: RTCDtlsFingerprint) -> SrtpKeys:
        """Run the handshake.

        Args:
            role: "server" (we are passive) or "client".
            fingerprint: that the peer's certificate must have.

        Raises:
            TransportError: it did not come about; the message says why.
        """
        self._set_role(role)
        try:
            await self.start(RTCDtlsParameters(fingerprints=[fingerprint]))
        finally:
            self._leave()
        await self._write_ssl()
        if self._state is not State.CONNECTED:
            await self._refuse()
            raise TransportError(f"dtls: {self._why}")
        self._wire.limit = WAITING
        return self._export()

    async def _refuse(self) -> None:
        """End a session whose peer is not the announced one, so that it does not wait."""
        try:
            self._session.shutdown()
        except SSL.Error:
            return
        await self._write_ssl()

    def _export(self) -> SrtpKeys:
        """Cut the exported block: client key, server key, client salt, server salt (RFC 5764)."""
        profile, salt = _PROFILES[self._session.get_selected_srtp_profile()]
        key = KEY_AND_SALT[profile] - salt
        block: bytes = self._session.export_keying_material(_EXPORTER, 2 * (key + salt))
        salts = block[2 * key :]
        client, server = block[:key] + salts[:salt], block[key : 2 * key] + salts[salt:]
        if self._role == "server":
            return SrtpKeys(profile, rx=client, tx=server)
        return SrtpKeys(profile, rx=server, tx=client)

    # -- the handshake's input ---------------------------------------------------------------

    async def _do_handshake(self) -> None:
        self._session.set_ciphertext_mtu(DATAGRAM_BYTES)
        if self._role == "client":
            self._begin()
        await super()._do_handshake()

    def _validate_peer_identity(self, remoteParameters: RTCDtlsParameters) -> None:
        super()._validate_peer_identity(remoteParameters)
        if self._state is State.FAILED:
            self._why = "the certificate's fingerprint is not the announced one"

    def _setup_srtp(self) -> None:
        super()._setup_srtp()
        if self._state is State.FAILED:
            self._why = "no common SRTP profile"

    def _begin(self) -> None:
        if self._deadline == float("inf"):
            self._deadline = self._clock.monotonic() + HANDSHAKE_S

    async def _recv_next(self) -> None:
        if self.encrypted:
            await self._recv_records()
            return
        try:
            await self._recv_flight()
        except ConnectionError as error:
            self._why = str(error)
            raise

    async def _recv_flight(self) -> None:
        retransmit = self._session.DTLSv1_get_timeout()
        try:
            async with asyncio.timeout(self._patience(retransmit)):
                await self._wire.wait()
        except TimeoutError:
            self._on_silence()
            await self._write_ssl()
            return
        await self._enter()
        data = self._wire.take()
        self._heard_at = self._clock.monotonic()
        self._bytes_in += len(data)
        if self._bytes_in > HANDSHAKE_BYTES:
            raise ConnectionError("handshake is too large")
        self._session.bio_write(data)

    def _patience(self, retransmit: float | None) -> float | None:
        """Seconds to wait for a datagram: until the next thing there is to do."""
        now = self._clock.monotonic()
        ends = self._deadline - now
        if self._has_place:
            ends = min(ends, self._heard_at + SILENT_S - now)
        if retransmit is not None:
            ends = min(ends, retransmit)
        return None if ends == float("inf") else max(ends, 0.001)

    def _on_silence(self) -> None:
        now = self._clock.monotonic()
        if now >= self._deadline:
            raise ConnectionError(f"handshake took more than {HANDSHAKE_S:g} s")
        if now - self._heard_at >= SILENT_S:
            self._leave()
        if self._session.DTLSv1_get_timeout() == 0:
            self._session.DTLSv1_handle_timeout()

    async def _enter(self) -> None:
        if not self._has_place:
            await self._gate.enter()
            self._has_place = True
            self._begin()

    def _leave(self) -> None:
        if self._has_place:
            self._has_place = False
            self._gate.leave()

    # -- records -----------------------------------------------------------------------------

    async def _recv_records(self) -> None:
        """Hand on every record that has come, then wait for a datagram."""
        while (data := self._read()) is not None:
            if self._data_receiver is not None:
                await self._data_receiver._handle_data(data)  # pyright: ignore[reportPrivateUsage]
        await self._write_ssl()
        self._handled += 1
        if self._handled % DATAGRAMS_PER_TURN == 0:
            await asyncio.sleep(0)
        await self._wire.wait()
        self._session.bio_write(self._wire.take())

    def _read(self) -> bytes | None:
        try:
            return bytes(self._session.recv(1500))
        except SSL.WantReadError:
            return None
        except SSL.ZeroReturnError as closed:
            raise ConnectionError("closed by the peer") from closed
        except SSL.Error as error:
            raise ConnectionError("broken session") from error

    async def _write_ssl(self) -> None:
        """Send what OpenSSL has to say, whole records in datagrams of a bounded size."""
        try:
            pending = bytes(self._session.bio_read(1 << 16))
        except SSL.Error:
            return
        for datagram in datagrams(pending):
            self._wire.send(datagram)

    # -- RTCP --------------------------------------------------------------------------------

    def protect_rtcp(self, packet: bytes) -> bytes | None:
        """Encrypt a compound packet; None before the handshake and for what libsrtp refuses."""
        if self._state is not State.CONNECTED:
            return None
        try:
            return bytes(self._tx_srtp.protect_rtcp(packet))
        except pylibsrtp.Error:
            return None

    def unprotect_rtcp(self, data: bytes) -> bytes | None:
        """Check and decrypt a compound packet; None if it is not the peer's or comes again."""
        if self._state is not State.CONNECTED:
            return None
        try:
            return bytes(self._rx_srtp.unprotect_rtcp(data))
        except (pylibsrtp.Error, ValueError, TypeError):
            return None

    def close(self) -> list[asyncio.Task[None]]:
        """Send the closing alert if there is a session, end the reader; return its task."""
        reader: Any = self._task
        drive(self.stop())
        self._wire.close()
        self.remove_all_listeners()
        return [reader] if reader is not None and reader is not asyncio.current_task() else []


def drive(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that never waits to its end, without a task.

    Sending never waits here: OpenSSL writes to memory and the engine takes or drops a datagram.
    """
    try:
        work.send(None)
    except StopIteration:
        return
    work.close()
    raise AssertionError("sending waited")
