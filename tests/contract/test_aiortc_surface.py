"""What `roomful_rtc` leans on in aiortc, aioice and pylibsrtp beyond their public interface.

A release that renames or changes one of these fails here, by name, before a peer notices.
"""

from __future__ import annotations

import asyncio
import inspect
import random

import pylibsrtp
import pytest
from aiortc import RTCCertificate, RTCDataChannel, RTCDataChannelParameters, rtcdtlstransport
from aiortc import rtcsctptransport as sctp
from aiortc.rtcdtlstransport import RTCDtlsParameters, RTCDtlsTransport, State

from roomful_rtc.sctp import GuardedSctpTransport

DTLS_METHODS = {
    "start": ["remoteParameters"],
    "stop": [],
    "_do_handshake": [],
    "_validate_peer_identity": ["remoteParameters"],
    "_setup_srtp": [],
    "_recv_next": [],
    "_write_ssl": [],
    "_send_data": ["data"],
    "_set_role": ["role"],
    "_register_data_receiver": ["receiver"],
    "_unregister_data_receiver": ["receiver"],
}
SCTP_METHODS = {
    "start": ["remoteCaps", "remotePort"],
    "stop": [],
    "_init": [],
    "_handle_data": ["data"],
    "_mark_received": ["tsn"],
    "_data_channel_receive": ["stream_id", "pp_id", "data"],
    "_data_channel_flush": [],
    "_send_chunk": ["chunk"],
    "_transmit": [],
    "_transmit_reconfig": [],
    "_send_reconfig_param": ["param"],
    "_set_state": ["state"],
    "_t1_expired": [],
    "_t2_expired": [],
    "_t3_expired": [],
    "_reconfig_timer_expired": [],
}
COROUTINES = {
    "start", "stop", "_init", "_handle_data", "_data_channel_receive", "_data_channel_flush",
    "_send_chunk", "_transmit", "_transmit_reconfig", "_send_reconfig_param", "_do_handshake",
    "_recv_next", "_write_ssl", "_send_data",
}  # fmt: skip


class Wire:
    """A transport that keeps what is sent."""

    role, state = "controlled", "completed"

    def __init__(self):
        self.sent, self.coming = [], asyncio.Queue(100)

    async def _recv(self):
        return await self.coming.get()

    async def _send(self, data):
        self.sent.append(data)


class Dtls:
    """What an association uses of `RTCDtlsTransport`."""

    def __init__(self, role):
        self._role, self.state, self.sent = role, "connected", []

    def _register_data_receiver(self, receiver):
        self.receiver = receiver

    def _unregister_data_receiver(self, receiver):
        self.receiver = None

    async def _send_data(self, data):
        self.sent.append(data)


def signature(method):
    return [name for name in inspect.signature(method).parameters if name != "self"]


@pytest.mark.parametrize("name", DTLS_METHODS)
def test_dtls_method_has_its_shape(name):
    method = getattr(RTCDtlsTransport, name)

    assert signature(method) == DTLS_METHODS[name]
    assert inspect.iscoroutinefunction(method) == (name in COROUTINES)


@pytest.mark.parametrize("name", SCTP_METHODS)
def test_sctp_method_has_its_shape(name):
    method = getattr(sctp.RTCSctpTransport, name)

    assert signature(method) == SCTP_METHODS[name]
    assert inspect.iscoroutinefunction(method) == (name in COROUTINES)


async def test_dtls_begins_with_the_attributes_used():
    dtls = RTCDtlsTransport(Wire(), [RTCCertificate.generateCertificate()])

    assert (dtls.encrypted, dtls._state, dtls._role) == (False, State.NEW, "auto")
    for name in ("_ssl", "_task", "_data_receiver", "_rx_srtp", "_tx_srtp"):
        assert getattr(dtls, name) is None
    assert [state.name for state in State] == ["NEW", "CONNECTING", "CONNECTED", "CLOSED", "FAILED"]


async def test_dtls_runs_on_any_object_with_recv_and_send():
    ends = [Wire(), Wire()]
    certificates = [RTCCertificate.generateCertificate() for _ in ends]
    sides = [
        RTCDtlsTransport(wire, [certificate])
        for wire, certificate in zip(ends, certificates, strict=True)
    ]
    for wire, other in ((ends[0], ends[1]), (ends[1], ends[0])):
        wire._send = other.coming.put
    for side, role in zip(sides, ("server", "client"), strict=True):
        side._set_role(role)
    states = []
    sides[0].on("statechange", lambda: states.append(sides[0].state))

    await asyncio.gather(
        *(
            side.start(RTCDtlsParameters(fingerprints=other.getFingerprints()))
            for side, other in zip(sides, reversed(certificates), strict=True)
        )
    )
    readers = [side._task for side in sides]
    profile = sides[0]._ssl.get_selected_srtp_profile()
    block = sides[0]._ssl.export_keying_material(b"EXTRACTOR-dtls_srtp", 88)
    for side in sides:
        await side.stop()
    await asyncio.wait(readers)

    assert states == ["connecting", "connected", "closed"]
    assert profile == b"SRTP_AEAD_AES_256_GCM"
    assert len(block) == 88


def test_certificate_makes_its_context_by_a_method_of_its_own():
    certificate = RTCCertificate.generateCertificate()

    context = certificate._create_ssl_context(srtp_profiles=rtcdtlstransport.SRTP_PROFILES)

    context.set_cipher_list(b"ECDHE-RSA-AES128-GCM-SHA256")
    assert certificate.getFingerprints()[0].algorithm == "sha-256"
    assert set(rtcdtlstransport.X509_DIGEST_ALGORITHMS) == {"sha-256", "sha-384", "sha-512"}


def test_srtp_profiles_are_those_of_the_engine_in_this_order():
    assert [profile.openssl_profile for profile in rtcdtlstransport.SRTP_PROFILES] == [
        b"SRTP_AEAD_AES_256_GCM",
        b"SRTP_AEAD_AES_128_GCM",
        b"SRTP_AES128_CM_SHA1_80",
    ]


def test_srtcp_sessions_refuse_what_is_forged_or_comes_again():
    key = bytes(range(44))
    profile = pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_256_GCM
    outgoing, incoming = (
        pylibsrtp.Session(pylibsrtp.Policy(key=key, ssrc_type=kind, srtp_profile=profile))
        for kind in (pylibsrtp.Policy.SSRC_ANY_OUTBOUND, pylibsrtp.Policy.SSRC_ANY_INBOUND)
    )
    report = bytes.fromhex("80c9000100000001")
    protected = outgoing.protect_rtcp(report)

    with pytest.raises(pylibsrtp.Error):
        incoming.unprotect_rtcp(protected[:-1] + bytes([protected[-1] ^ 1]))
    assert incoming.unprotect_rtcp(protected) == report
    with pytest.raises(pylibsrtp.Error):
        incoming.unprotect_rtcp(protected)


async def test_sctp_begins_with_the_attributes_used():
    association = sctp.RTCSctpTransport(Dtls("server"), 5000)

    assert association._association_state is association.State.CLOSED
    assert association._last_received_tsn is None
    assert association._advertised_rwnd == 1024 * 1024
    assert (association._flight_size, association._cwnd) == (0, 3 * sctp.USERDATA_MAX_LENGTH)
    for name in ("_sent_queue", "_outbound_queue", "_data_channel_queue", "_sack_duplicates"):
        assert len(getattr(association, name)) == 0
    for name in ("_inbound_streams", "_data_channels"):
        assert getattr(association, name) == {}
    assert association._sack_misordered == set()
    assert isinstance(association._local_tsn, int)
    assert isinstance(association._local_verification_tag, int)
    assert sctp.InboundStream().reassembly == []
    assert {state.name for state in association.State} >= {"CLOSED", "COOKIE_WAIT", "ESTABLISHED"}


def test_sctp_constants_keep_their_values():
    assert (sctp.DATA_CHANNEL_ACK, sctp.DATA_CHANNEL_OPEN) == (2, 3)
    assert (sctp.WEBRTC_DCEP, sctp.WEBRTC_STRING, sctp.WEBRTC_BINARY) == (50, 51, 53)
    assert (sctp.WEBRTC_STRING_EMPTY, sctp.WEBRTC_BINARY_EMPTY) == (56, 57)
    assert (sctp.SCTP_DATA_LAST_FRAG, sctp.SCTP_DATA_FIRST_FRAG) == (1, 2)
    assert sctp.SCTP_DATA_UNORDERED == 4


async def established():
    left, right = Dtls("server"), Dtls("client")
    ours, theirs = sctp.RTCSctpTransport(left, 5000), sctp.RTCSctpTransport(right, 5000)
    for association in (ours, theirs):
        await association.start(sctp.RTCSctpCapabilities(maxMessageSize=65535), 5000)
    await carry(ours, theirs)
    return ours, theirs


async def carry(ours, theirs):
    while True:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        if not (ours.transport.sent or theirs.transport.sent):
            return
        for source, target in ((ours, theirs), (theirs, ours)):
            packets, source.transport.sent = source.transport.sent, []
            for packet in packets:
                await target._handle_data(packet)


async def test_sending_never_waits():
    """`drive` runs these without a task; a step that waited would be an error there."""
    ours, theirs = await established()
    channel = RTCDataChannel(ours, RTCDataChannelParameters(label="x"))
    await carry(ours, theirs)

    channel._addBufferedAmount(3000)
    ours._data_channel_queue.append((channel, sctp.WEBRTC_BINARY, bytes(3000)))
    flush = ours._data_channel_flush()
    with pytest.raises(StopIteration):
        flush.send(None)
    await carry(ours, theirs)
    stop = ours.stop()
    with pytest.raises(StopIteration):
        stop.send(None)

    assert channel.bufferedAmount == 0
    await theirs.stop()


async def test_receive_window_is_accounted_for_by_the_bytes_that_wait():
    ours, theirs = await established()
    full = ours._advertised_rwnd
    for number, flags in enumerate((2, 0, 1)):
        chunk = sctp.DataChunk(flags=flags)
        chunk.tsn = (ours._last_received_tsn + 1) % 2**32
        chunk.user_data = bytes(100)
        await ours._receive_data_chunk(chunk)
        assert ours._advertised_rwnd == full - (0 if number == 2 else 100 * (number + 1))

    await ours.stop()
    await theirs.stop()


async def test_our_order_of_received_numbers_is_theirs():
    """The replaced `_mark_received` and the original agree on random arrivals.

    But for the moment when numbers wrap, where the original is a few chunks late.
    """
    rng = random.Random(8)
    for _ in range(50):
        base = sctp.RTCSctpTransport(Dtls("server"), 5000)
        mine = sctp.RTCSctpTransport(Dtls("server"), 5000)
        first = rng.choice((5, 2**31 - 5, 2**32 - 100))
        base._last_received_tsn = mine._last_received_tsn = first
        for _ in range(60):
            tsn = (first + rng.randrange(-3, 30)) % 2**32
            theirs = base._mark_received(tsn)
            ours = GuardedSctpTransport._mark_received(mine, tsn)
            assert ours == theirs
            assert mine._last_received_tsn == base._last_received_tsn
            assert mine._sack_misordered == base._sack_misordered
