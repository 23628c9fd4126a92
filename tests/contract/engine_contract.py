"""What every engine must do: subclass `EngineContract` and give it a `make_engine` fixture.

Packets travel over loopback sockets in real SRTP, judged by `srtp_reference` (known answers of
RFC 3711 and RFC 7714 in its own test) and by libsrtp. Features that an engine does not name in
`features` are not asked of it.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from itertools import pairwise, permutations

import pytest
from pylibsrtp import Error, Policy, Session

from roomful.errors import ResourceExhausted
from roomful_rtc import extensions, rtp
from roomful_rtc.engine import (
    AES_128_CM,
    AES_128_GCM,
    AES_256_GCM,
    Arrivals,
    AudioLevel,
    Codec,
    EngineLimits,
    Gap,
    KeyFrame,
    KeyFrameWanted,
    Recovered,
    SilentUp,
    Switched,
    SwitchTimedOut,
    UnknownSsrc,
)
from roomful_rtc.rtp import RtpPacket

from .engine_rig import (
    FIRST_SEQ,
    FIRST_TS,
    OPUS_PT,
    OUT_OPUS,
    OUT_PTS,
    OUT_RTX,
    OUT_VP8,
    RTX_PT,
    VP8_PT,
    EngineMaker,
    Party,
    Rig,
    Stream,
    elements,
    vp8,
)

PROFILES = (AES_256_GCM, AES_128_GCM, AES_128_CM)
LIBSRTP = {
    AES_256_GCM: Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
    AES_128_GCM: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    AES_128_CM: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
}
TURN_PACKETS = 256
SSRC, RTX_SSRC, OUT_SSRC, OUT_RTX_SSRC = 0xA1, 0xA2, 0xB1, 0xB2


def libsrtp(profile: str, key: bytes, *, inbound: bool) -> Session:
    kind = Policy.SSRC_ANY_INBOUND if inbound else Policy.SSRC_ANY_OUTBOUND
    return Session(Policy(key=key, ssrc_type=kind, srtp_profile=LIBSRTP[profile]))


class EngineContract:
    """The suite. `make_engine` comes from the subclass."""

    @pytest.fixture
    def make_engine(self) -> EngineMaker:
        raise NotImplementedError

    @pytest.fixture
    def rig(self, make_engine: EngineMaker) -> Iterator[Rig]:
        rig = Rig(make_engine)
        yield rig
        rig.close()

    @pytest.fixture
    def video(self, rig: Rig) -> Stream:
        """A VP8 stream of a publisher that negotiated nothing."""
        return Stream(rig, rig.party(), SSRC)

    def down(
        self,
        rig: Rig,
        up: int,
        party: Party,
        *,
        ssrc: int = OUT_SSRC,
        rtx: bool = True,
        mid: str = "",
    ) -> int:
        """An enabled down with the usual payload types."""
        more = {"rtx_ssrc": ssrc + 1, "rtx_pts": {OUT_VP8: OUT_RTX}} if rtx else {}
        down = rig.engine.add_down(up, party.peer, ssrc, OUT_PTS, mid=mid, **more)
        rig.engine.set_down(down, True)
        return down

    # --- SRTP ---

    @pytest.mark.parametrize("profile", PROFILES)
    def test_packets_are_those_of_the_rfc(self, rig: Rig, profile: str) -> None:
        stream = Stream(rig, rig.party(profile), SSRC, "opus")
        listener = rig.party(profile)
        self.down(rig, stream.up, listener)
        stream.send(*(stream.packet(bytes((number,)) * 40) for number in range(5)))
        got = listener.received()
        assert [packet.payload for packet in got] == [bytes((n,)) * 40 for n in range(5)]
        assert {packet.ssrc for packet in got} == {OUT_SSRC}

    @pytest.mark.parametrize("profile", PROFILES)
    def test_libsrtp_understands_both_ways(self, rig: Rig, profile: str) -> None:
        publisher, listener = rig.party(profile), rig.party(profile)
        stream = Stream(rig, publisher, SSRC, "opus")
        self.down(rig, stream.up, listener)
        sender = libsrtp(profile, publisher.raw_keys[1], inbound=False)
        reader = libsrtp(profile, listener.raw_keys[2], inbound=True)
        for number in range(300):
            publisher.send_raw(
                sender.protect(rtp.build(stream.packet(bytes((number & 255,)) * 60)))
            )
            rig.turn()
        rig.settle()
        plain = [rtp.parse(reader.unprotect(datagram)) for datagram in listener.datagrams()]
        assert [packet.payload[0] for packet in plain] == [n & 255 for n in range(300)]

    @pytest.mark.parametrize("profile", PROFILES)
    def test_numbers_roll_over(self, rig: Rig, profile: str) -> None:
        stream = Stream(rig, rig.party(profile), SSRC, "opus")
        listener = rig.party(profile)
        down = self.down(rig, stream.up, listener)
        stream.seq = 65_400
        for number in range(300):
            packet = stream.packet(number.to_bytes(2, "big"))
            stream.party.send(packet, (stream.seq - 1) >> 16)
            rig.turn()
        rig.settle()
        got = listener.received()
        assert [int.from_bytes(packet.payload, "big") for packet in got] == list(range(300))
        assert [packet.seq16 for packet in got] == list(range(FIRST_SEQ, FIRST_SEQ + 300))
        assert rig.engine.stats().ups[stream.up].highest_seq == 65_699
        assert rig.engine.stats().downs[down].last_seq == FIRST_SEQ + 299

    @pytest.mark.parametrize("profile", PROFILES)
    def test_outgoing_numbers_roll_over(self, make_engine: EngineMaker, profile: str) -> None:
        rig = Rig(make_engine, below=lambda _: 65_500)
        stream, listener = Stream(rig, rig.party(profile), SSRC, "opus"), rig.party(profile)
        self.down(rig, stream.up, listener)
        for _ in range(100):
            stream.send(stream.packet())
        assert [packet.seq16 for packet in listener.received()] == [
            number & 0xFFFF for number in range(65_500, 65_600)
        ]
        assert listener.rocs[OUT_SSRC] == (1, 63)
        rig.close()

    def test_a_forged_packet_is_counted_and_dropped(self, rig: Rig) -> None:
        stream, listener = Stream(rig, rig.party(), SSRC, "opus"), rig.party()
        self.down(rig, stream.up, listener)
        stream.send(stream.packet(b"genuine"))
        datagram = bytearray(stream.party.keys_out.protect(rtp.build(stream.packet(b"forged")), 0))
        datagram[-1] ^= 1
        stream.party.send_raw(bytes(datagram))
        rig.settle()
        assert [packet.payload for packet in listener.received()] == [b"genuine"]
        assert rig.engine.stats().peers[stream.party.peer][2] == 1

    def test_a_replayed_packet_is_forwarded_once(self, rig: Rig) -> None:
        stream, listener = Stream(rig, rig.party(), SSRC, "opus"), rig.party()
        self.down(rig, stream.up, listener)
        datagram = stream.party.send(stream.packet(b"once"))
        stream.send(stream.packet(b"next"))
        stream.party.send_raw(datagram)
        rig.settle()
        assert [packet.payload for packet in listener.received()] == [b"once", b"next"]
        assert rig.engine.stats().drops["replayed"] == 1

    def test_keys_are_given_once(self, rig: Rig) -> None:
        party = rig.party()
        with pytest.raises(ValueError, match="keys"):
            rig.engine.set_keys(party.peer, *party.raw_keys)

    @pytest.mark.parametrize("profile", [*PROFILES, "null"])
    def test_keys_of_a_wrong_length_or_profile_are_refused(self, rig: Rig, profile: str) -> None:
        party = rig.stranger()
        peer = rig.engine.add_peer(party.addr)
        with pytest.raises(ValueError):
            rig.engine.set_keys(peer, profile, bytes(29), bytes(29))

    def test_no_rtp_passes_without_keys(self, rig: Rig) -> None:
        party = rig.stranger()
        party.peer = rig.engine.add_peer(party.addr)
        party.send(RtpPacket(False, 111, 1, 1, SSRC, b"early"))
        rig.settle()
        assert not rig.events
        assert rig.engine.stats().drops["no_keys"] == 1

    # --- what is handed up ---

    def test_only_stun_comes_from_strangers(self, rig: Rig) -> None:
        stranger = rig.stranger()
        stun = b"\x00\x01\x00\x04\x21\x12\xa4\x42" + bytes(12) + b"\x80\x22\x00\x00"
        for data in (stun, b"\x16\xfe\xfd" + bytes(30), b"\x80\xc8\x00\x06" + bytes(24), b"\xff"):
            stranger.send_raw(data)
        rig.settle()
        assert [(item.peer, item.addr, item.data) for item in rig.handed_up] == [
            (0, stranger.addr, stun)
        ]

    @pytest.mark.parametrize(
        "data",
        [
            b"\x00\x01\x00\x00\x21\x12\xa4\x43" + bytes(12),
            b"\x00\x01\x00\x08\x21\x12\xa4\x42" + bytes(12),
            b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(11),
            b"\x00",
            b"",
        ],
    )
    def test_what_is_not_stun_is_dropped(self, rig: Rig, data: bytes) -> None:
        rig.stranger().send_raw(data)
        rig.settle()
        assert not rig.handed_up
        assert sum(rig.engine.stats().drops.values()) == 1

    def test_dtls_and_rtcp_of_a_peer_are_handed_up(self, rig: Rig) -> None:
        party = rig.party()
        for data in (b"\x16\xfe\xfd" + bytes(30), b"\x80\xc8\x00\x06" + bytes(40)):
            party.send_raw(data)
        rig.settle()
        assert [(item.peer, item.data[0], item.arrival_us) for item in rig.handed_up] == [
            (party.peer, 0x16, rig.now_us),
            (party.peer, 0x80, rig.now_us),
        ]

    def test_a_datagram_above_the_cap_is_dropped(self, rig: Rig) -> None:
        party = rig.party()
        party.send_raw(b"\x16" + bytes(1499))
        party.send_raw(b"\x16" + bytes(1500))
        party.send_raw(b"\x16" + bytes(8000))
        rig.settle()
        assert [len(item.data) for item in rig.handed_up] == [1500]
        assert rig.engine.stats().drops["size"] == 2

    def test_the_descriptor_is_readable_when_something_waits(self, rig: Rig) -> None:
        stream = Stream(rig, rig.party(), SSRC)
        rig.settle()
        assert not rig.waits()
        stream.party.send(stream.frame())
        assert rig.waits()
        rig.settle()
        assert not rig.waits()
        self.down(rig, stream.up, rig.party())
        assert rig.waits()
        assert rig.settle() == [KeyFrameWanted(stream.up)]
        assert not rig.waits()

    def test_handed_up_datagrams_are_bounded(self, make_engine: EngineMaker) -> None:
        rig = Rig(make_engine, EngineLimits(handed_up=8))
        party = rig.party()
        for _ in range(20):
            rig.engine.receive(party.addr, b"\x16" + bytes(20), rig.now_us)
        rig.settle()
        assert len(rig.handed_up) == 8
        assert rig.engine.stats().drops["handed_up_full"] == 12
        rig.close()

    def test_send_goes_to_an_address_or_a_peer(self, rig: Rig) -> None:
        party = rig.party()
        assert rig.engine.send(party.addr, b"to the address")
        assert rig.engine.send(party.peer, b"to the peer")
        assert party.datagrams() == [b"to the address", b"to the peer"]
        assert not rig.engine.send(("127.0.0.1", 0), b"nowhere")

    # --- peers and addresses ---

    def test_rtp_counts_from_allowed_addresses_only(self, rig: Rig) -> None:
        stream, listener = Stream(rig, rig.party(), SSRC, "opus"), rig.party()
        self.down(rig, stream.up, listener)
        other = rig.stranger()

        def from_other(payload: bytes) -> None:
            packet = rtp.build(stream.packet(payload))
            other.send_raw(stream.party.keys_out.protect(packet, 0))
            rig.settle()

        from_other(b"unknown")
        rig.engine.allow(stream.party.peer, other.addr)
        from_other(b"allowed")
        rig.engine.disallow(stream.party.peer, other.addr)
        from_other(b"disallowed")
        assert [packet.payload for packet in listener.received()] == [b"allowed"]

    def test_a_moved_peer_is_sent_to_its_new_address(self, rig: Rig) -> None:
        stream, listener, other = (
            Stream(rig, rig.party(), SSRC, "opus"),
            rig.party(),
            rig.stranger(),
        )
        self.down(rig, stream.up, listener)
        stream.send(stream.packet(b"old"))
        rig.engine.move_peer(listener.peer, other.addr)
        stream.send(stream.packet(b"new"))
        assert [packet.payload for packet in listener.received()] == [b"old"]
        other.keys_in, other.rocs = listener.keys_in, listener.rocs
        assert [packet.payload for packet in other.received()] == [b"new"]

    def test_an_address_of_another_peer_is_refused(self, rig: Rig) -> None:
        one, other = rig.party(), rig.party()
        with pytest.raises(ValueError, match="address"):
            rig.engine.allow(one.peer, other.addr)
        with pytest.raises(ValueError, match="address"):
            rig.engine.add_peer(other.addr)
        rig.engine.remove_peer(other.peer)
        rig.engine.allow(one.peer, other.addr)

    def test_tcp_carries_both_ways(self, rig: Rig) -> None:
        stream = Stream(rig, rig.party(), SSRC, "opus")
        listener = rig.stranger()
        listener.peer = rig.engine.add_peer(("tcp:192.0.2.7", 4000))
        rig.engine.set_keys(listener.peer, *listener.raw_keys)
        self.down(rig, stream.up, listener)
        written: list[bytes] = []
        stream.send(stream.packet(b"nowhere"))
        rig.engine.set_tcp(listener.peer, written.append)
        stream.send(stream.packet(b"by tcp"))
        assert [rtp.parse(listener.open(data)).payload for data in written] == [b"by tcp"]
        rig.engine.receive(("tcp:192.0.2.7", 4000), b"\x16" + bytes(20), 5)
        rig.settle()
        assert [(item.peer, item.arrival_us) for item in rig.handed_up] == [(listener.peer, 5)]

    def test_ipv6_peers_are_served(self, make_engine: EngineMaker) -> None:
        if not socket.has_ipv6:
            pytest.fail("this machine has no IPv6")
        four, six, far = (
            socket.socket(family, socket.SOCK_DGRAM)
            for family in (socket.AF_INET, socket.AF_INET6, socket.AF_INET6)
        )
        six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        for sock, host in ((four, "127.0.0.1"), (six, "::1"), (far, "::1")):
            sock.bind((host, 0))
        far.setblocking(False)
        engine = make_engine([four, six], EngineLimits(), now_us=lambda: 1, below=lambda _: 1)
        peer = engine.add_peer(far.getsockname()[:2])
        assert engine.send(peer, b"over six")
        assert far.recv(100) == b"over six"
        far.sendto(b"\x16" + bytes(20), six.getsockname())
        datagrams, _ = engine.take()
        assert [(item.peer, item.addr) for item in datagrams] == [(peer, far.getsockname()[:2])]
        engine.close()
        far.close()

    def test_mapped_addresses_are_ipv4(self, make_engine: EngineMaker) -> None:
        dual = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        dual.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        dual.bind(("::", 0))
        far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        far.bind(("127.0.0.1", 0))
        far.setblocking(False)
        engine = make_engine([dual], EngineLimits(), now_us=lambda: 1, below=lambda _: 1)
        peer = engine.add_peer(far.getsockname())
        far.sendto(b"\x16" + bytes(20), ("127.0.0.1", dual.getsockname()[1]))
        datagrams, _ = engine.take()
        assert [(item.peer, item.addr) for item in datagrams] == [(peer, far.getsockname())]
        assert engine.send(peer, b"back")
        assert far.recv(100) == b"back"
        engine.close()
        far.close()

    # --- unknown SSRCs ---

    def test_an_unknown_ssrc_is_told_once_with_its_ids(self, rig: Rig) -> None:
        party = rig.party(recv={"mid": 1, "rid": 2, "repaired_rid": 3})
        block = extensions.write([(1, b"0"), (2, b"f")])
        packet = RtpPacket(False, VP8_PT, 7, 1, SSRC, vp8(key=True), (), 0xBEDE, block[4:])
        for number in range(3):
            party.send(packet._replace(seq16=7 + number))
        rig.settle()
        assert rig.of(UnknownSsrc) == [UnknownSsrc(party.peer, SSRC, VP8_PT, "0", "f", "")]

    def test_held_packets_are_replayed(self, rig: Rig) -> None:
        party, listener = rig.party(), rig.party()
        for number in range(3):
            party.send(RtpPacket(False, OPUS_PT, 7 + number, 1, SSRC, bytes((number,))))
        rig.settle()
        up = rig.engine.add_up(party.peer, SSRC, "opus", 48000)
        stats = rig.engine.stats().ups[up]
        assert (stats.packets, stats.highest_seq) == (3, 9)
        assert not listener.datagrams()

    def test_held_packets_expire_and_the_ssrc_is_told_again(self, rig: Rig) -> None:
        party = rig.party()
        packet = RtpPacket(False, OPUS_PT, 7, 1, SSRC, b"x")
        party.send(packet)
        rig.settle()
        rig.turn(600)
        up = rig.engine.add_up(party.peer, SSRC, "opus", 48000)
        assert rig.engine.stats().ups[up].packets == 0
        rig.engine.remove_up(up)
        party.send(packet._replace(seq16=8))
        rig.settle()
        assert len(rig.of(UnknownSsrc)) == 2

    def test_a_packet_that_names_more_is_told(self, rig: Rig) -> None:
        party = rig.party(recv={"mid": 1})
        packet = RtpPacket(False, VP8_PT, 7, 1, SSRC, b"x")
        party.send(packet)
        party.send(packet._replace(seq16=8, profile=0xBEDE, extension=b"\x10a\x00\x00"))
        rig.settle()
        assert [event.mid for event in rig.of(UnknownSsrc)] == ["", "a"]

    def test_new_extension_ids_are_read_from_held_packets(self, rig: Rig) -> None:
        party = rig.party()
        packet = RtpPacket(False, VP8_PT, 7, 1, SSRC, b"x", (), 0xBEDE, b"\x10a\x00\x00")
        party.send(packet)
        rig.settle()
        rig.engine.set_extensions(party.peer, {"mid": 1}, {})
        rig.settle()
        assert [event.mid for event in rig.of(UnknownSsrc)] == ["", "a"]

    def test_unknown_ssrcs_are_bounded(self, rig: Rig) -> None:
        party = rig.party()
        for ssrc in range(1, 90):
            party.send(RtpPacket(False, OPUS_PT, 7, 1, ssrc, b"x"))
        rig.settle()
        assert len(rig.of(UnknownSsrc)) == 64
        drops = rig.engine.stats().drops
        assert drops["too_many_ssrcs"] == 25
        assert drops["held_full"] == 32

    def test_looks_at_unknown_ssrcs_are_bounded(self, rig: Rig) -> None:
        party = rig.party()
        for number in range(150):
            party.send(RtpPacket(False, OPUS_PT, number, 1, SSRC, b"x"))
        rig.settle()
        assert rig.engine.stats().drops["unknown_ssrc"] == 50

    # --- fan-out and rewriting ---

    def test_everybody_gets_own_ssrc_payload_type_and_bases(self, rig: Rig) -> None:
        stream = Stream(rig, rig.party(), SSRC, "opus")
        listeners = [rig.party() for _ in range(5)]
        for number, listener in enumerate(listeners):
            self.down(rig, stream.up, listener, ssrc=0x100 + 2 * number)
        stream.send(stream.packet(b"one"), stream.packet(b"two", marker=False))
        for number, listener in enumerate(listeners):
            assert listener.received() == [
                RtpPacket(True, OUT_OPUS, FIRST_SEQ, FIRST_TS, 0x100 + 2 * number, b"one"),
                RtpPacket(
                    False, OUT_OPUS, FIRST_SEQ + 1, FIRST_TS + 1600, 0x100 + 2 * number, b"two"
                ),
            ]

    def test_the_publishers_extensions_csrcs_and_padding_are_stripped(self, rig: Rig) -> None:
        stream, listener = Stream(rig, rig.party(), SSRC, "opus"), rig.party()
        self.down(rig, stream.up, listener)
        packet = stream.packet(b"voice", csrcs=(1, 2), profile=0xBEDE, extension=b"\x10a\x00\x00")
        plain = bytearray(rtp.build(packet) + b"\x00\x00\x03")
        plain[0] |= 0x20
        stream.party.send(bytes(plain))
        rig.settle()
        assert listener.received() == [
            RtpPacket(True, OUT_OPUS, FIRST_SEQ, FIRST_TS, OUT_SSRC, b"voice")
        ]

    def test_extensions_are_written_under_the_subscribers_ids(self, rig: Rig) -> None:
        ids = {"audio_level": 1, "abs_capture_time": 2, "mid": 3}
        stream = Stream(rig, rig.party(recv=ids), SSRC, "opus")
        out = {"abs_send_time": 4, "audio_level": 5, "abs_capture_time": 6}
        listener = rig.party(send=out)
        self.down(rig, stream.up, listener)
        block = extensions.write([(1, b"\x85"), (2, b"capture."), (3, b"m")])
        stream.send(stream.packet(b"v", profile=0xBEDE, extension=block[4:]))
        (packet,) = listener.received()
        assert packet.profile == 0xBEDE
        assert elements(packet) == {
            4: extensions.abs_send_time(rig.now_us),
            5: b"\x85",
            6: b"capture.",
        }

    @pytest.mark.parametrize(
        ("number", "size", "profile"), [(8, 16, 0xBEDE), (8, 17, 0x1000), (20, 3, 0x1000)]
    )
    def test_the_form_of_the_extension_fits(
        self, rig: Rig, number: int, size: int, profile: int
    ) -> None:
        stream = Stream(rig, rig.party(recv={"dependency_descriptor": 30}), SSRC)
        listener = rig.party(send={"dependency_descriptor": number})
        self.down(rig, stream.up, listener)
        descriptor = bytes(range(1, size + 1))
        block = extensions.write([(30, descriptor)])
        stream.send(stream.frame(key=True)._replace(profile=0x1000, extension=block[4:]))
        (packet,) = listener.received()
        assert packet.profile == profile
        assert elements(packet) == {number: descriptor}

    def test_the_first_packets_name_the_mid(self, rig: Rig) -> None:
        stream, listener = Stream(rig, rig.party(), SSRC, "opus"), rig.party(send={"mid": 9})
        self.down(rig, stream.up, listener, mid="a1")
        stream.send(*(stream.packet() for _ in range(100)))
        named = [elements(packet).get(9) for packet in listener.received()]
        assert named[0] == b"a1"
        assert named[-1] is None
        assert len(named) == 100

    def test_a_malformed_extension_costs_only_the_extension(self, rig: Rig) -> None:
        stream, listener = Stream(rig, rig.party(recv={"mid": 1}), SSRC, "opus"), rig.party()
        self.down(rig, stream.up, listener)
        broken = stream.packet(b"a", profile=0xBEDE, extension=b"\x1fa\x00\x00")
        stream.send(broken, stream.packet(b"b"))
        assert [packet.payload for packet in listener.received()] == [b"a", b"b"]

    def test_a_codec_the_subscriber_lacks_is_left_out(self, rig: Rig) -> None:
        stream, listener = Stream(rig, rig.party(), SSRC, "opus"), rig.party()
        self.down(rig, stream.up, listener)
        rig.engine.set_codecs(stream.party.peer, {})
        other = {OPUS_PT: stream.packet().pt}
        assert other
        stream.send(stream.packet(b"a"))
        rig.engine.set_codecs(stream.party.peer, {OPUS_PT: rig_codec("red")})
        stream.send(stream.packet(b"redundant"))
        rig.engine.set_codecs(stream.party.peer, {OPUS_PT: rig_codec("opus")})
        stream.send(stream.packet(b"b"))
        got = listener.received()
        assert [packet.payload for packet in got] == [b"a", b"b"]
        assert [packet.seq16 for packet in got] == [FIRST_SEQ, FIRST_SEQ + 1]
        assert rig.engine.stats().drops["codec_not_wanted"] == 1

    def test_padding_only_packets_leave_no_gap(self, rig: Rig) -> None:
        stream, listener = Stream(rig, rig.party(), SSRC, "opus"), rig.party()
        self.down(rig, stream.up, listener)
        stream.send(stream.packet(b"a"))
        padding = bytearray(rtp.build(stream.packet(b"")) + bytes(9) + b"\x0a")
        padding[0] |= 0x20
        stream.party.send(bytes(padding))
        stream.send(stream.packet(b"b"))
        assert [packet.seq16 for packet in listener.received()] == [FIRST_SEQ, FIRST_SEQ + 1]

    def test_what_would_not_fit_is_dropped(self, rig: Rig) -> None:
        stream, listener = (
            Stream(rig, rig.party(), SSRC, "opus"),
            rig.party(send={"abs_send_time": 1}),
        )
        self.down(rig, stream.up, listener)
        stream.send(stream.packet(bytes(1472)), stream.packet(bytes(1464)))
        assert [len(packet.payload) for packet in listener.received()] == [1464]
        assert rig.engine.stats().drops["too_long"] == 1

    def test_a_wide_fan_out_is_spread_over_turns(self, rig: Rig) -> None:
        stream, listener = Stream(rig, rig.party(), SSRC, "opus"), rig.party()
        for number in range(200):
            self.down(rig, stream.up, listener, ssrc=0x1000 + 2 * number)
        rig.settle()
        for payload in (b"first", b"second"):
            stream.party.send(stream.packet(payload))
        rig.turn()
        assert len(listener.datagrams()) == TURN_PACKETS
        assert rig.engine.next_turn() == 0.0
        rig.turn()
        assert len(listener.datagrams()) == 400 - TURN_PACKETS
        assert rig.engine.next_turn() != 0.0

    def test_one_turn_reads_a_bounded_number_of_datagrams(self, rig: Rig) -> None:
        party = rig.party()
        for _ in range(100):
            party.send_raw(b"\x16" + bytes(20))
        rig.turn()
        assert len(rig.handed_up) == 64
        rig.turn()
        assert len(rig.handed_up) == 100

    def test_one_unreachable_subscriber_disturbs_nobody(self, rig: Rig) -> None:
        stream, listener = Stream(rig, rig.party(), SSRC, "opus"), rig.party()
        lost = rig.party()
        self.down(rig, stream.up, lost)
        self.down(rig, stream.up, listener)
        rig.engine.set_tcp(lost.peer, _broken)
        stream.send(stream.packet(b"a"), stream.packet(b"b"))
        assert len(listener.received()) == 2
        assert rig.engine.stats().drops["send_error"] == 2

    # --- start, pause, gaps ---

    def test_video_starts_with_a_key_frame(self, rig: Rig, video: Stream) -> None:
        listener = rig.party()
        self.down(rig, video.up, listener)
        assert rig.settle() == [KeyFrameWanted(video.up)]
        video.send(video.frame(), video.frame(key=True), video.frame())
        got = listener.received()
        assert [packet.seq16 for packet in got] == [FIRST_SEQ, FIRST_SEQ + 1]
        assert [packet.ts for packet in got] == [FIRST_TS, FIRST_TS + 3000]
        assert [packet.pt for packet in got] == [OUT_VP8, OUT_VP8]
        assert rig.of(KeyFrame) == [KeyFrame(video.up, 101, 13_000, 640, 360)]

    def test_a_key_frame_is_asked_for_again_while_packets_come(
        self, rig: Rig, video: Stream
    ) -> None:
        self.down(rig, video.up, rig.party())
        for _ in range(30):
            video.send(video.frame())
            rig.turn(100)
        assert 3 <= len(rig.of(KeyFrameWanted)) <= 5
        for _ in range(100):
            rig.turn(100)
        asked = len(rig.of(KeyFrameWanted))
        assert asked <= 7
        video.send(video.frame())
        rig.turn(600)
        assert len(rig.of(KeyFrameWanted)) == asked + 1

    def test_pause_and_resume_leave_no_gap(self, rig: Rig, video: Stream) -> None:
        listener = rig.party()
        down = self.down(rig, video.up, listener)
        video.send(video.frame(key=True), video.frame())
        rig.engine.set_down(down, False)
        video.send(video.frame(), video.frame(key=True))
        rig.engine.set_down(down, True)
        assert rig.settle() == [KeyFrameWanted(video.up)]
        video.send(video.frame(), video.frame(key=True), video.frame())
        got = listener.received()
        assert [packet.seq16 for packet in got] == [FIRST_SEQ + n for n in range(4)]
        assert [packet.ts - FIRST_TS for packet in got] == [0, 3000, 15_000, 18_000]
        assert [pid_of(packet) for packet in got] == [1, 2, 3, 4]

    def test_a_lost_packet_leaves_its_number_free(self, rig: Rig, video: Stream) -> None:
        listener = rig.party()
        self.down(rig, video.up, listener)
        frames = [video.frame(key=not number) for number in range(5)]
        video.send(*frames[:2], *frames[4:])
        assert [packet.seq16 - FIRST_SEQ for packet in listener.received()] == [0, 1, 4]
        assert rig.of(Gap) == [Gap(video.up, 102, 2)]
        video.send(frames[3], frames[2])
        assert [packet.seq16 - FIRST_SEQ for packet in listener.received()] == [3, 2]
        assert rig.of(Recovered) == [Recovered(video.up, 103), Recovered(video.up, 102)]
        assert rig.engine.stats().ups[video.up].lost == 0

    def test_a_leap_is_one_gap(self, rig: Rig, video: Stream) -> None:
        listener = rig.party()
        self.down(rig, video.up, listener)
        video.send(video.frame(key=True))
        video.seq += 2000
        video.send(video.frame(), video.frame())
        assert [packet.seq16 - FIRST_SEQ for packet in listener.received()] == [0, 2, 3]
        assert not rig.of(Gap)

    def test_a_late_first_packet_of_a_key_frame_starts_the_video(
        self, rig: Rig, video: Stream
    ) -> None:
        listener = rig.party()
        self.down(rig, video.up, listener)
        before = video.frame()
        first = video.packet(vp8(2, key=True), marker=False)
        rest = video.packet(vp8(2, begins=False), ts=first.ts)
        after = video.frame()
        video.send(before, rest, after, first)
        got = listener.received()
        assert [packet.seq16 - FIRST_SEQ for packet in got] == [0, 1, 2]
        assert [packet.payload for packet in got] == [first.payload, rest.payload, after.payload]

    # --- RTX from the publisher ---

    def test_rtx_of_a_publisher_fills_the_gap(self, rig: Rig) -> None:
        stream, listener = Stream(rig, rig.party(), SSRC, rtx_ssrc=RTX_SSRC), rig.party()
        self.down(rig, stream.up, listener)
        frames = [stream.frame(key=not number) for number in range(3)]
        stream.send(frames[0], frames[2])
        lost = frames[1]
        repair = RtpPacket(
            True, RTX_PT, 5000, lost.ts, RTX_SSRC, lost.seq16.to_bytes(2, "big") + lost.payload
        )
        stream.party.send(repair)
        stream.party.send(repair._replace(seq16=5001))
        stream.party.send(RtpPacket(False, RTX_PT, 5002, lost.ts, RTX_SSRC, b""))
        rig.settle()
        got = listener.received()
        assert [packet.seq16 - FIRST_SEQ for packet in got] == [0, 2, 1]
        assert got[2].payload == lost.payload
        assert got[2].pt == OUT_VP8
        assert rig.of(Recovered) == [Recovered(stream.up, 101)]

    def test_an_rtx_stream_can_be_named_later(self, rig: Rig) -> None:
        publisher = rig.party(recv={"mid": 1, "repaired_rid": 2})
        stream, listener = Stream(rig, publisher, SSRC), rig.party()
        self.down(rig, stream.up, listener)
        frames = [stream.frame(key=not number) for number in range(3)]
        stream.send(frames[0], frames[2])
        lost, block = frames[1], extensions.write([(1, b"0"), (2, b"h")])
        payload = lost.seq16.to_bytes(2, "big") + lost.payload
        publisher.send(
            RtpPacket(True, RTX_PT, 9, lost.ts, RTX_SSRC, payload, (), 0xBEDE, block[4:])
        )
        rig.settle()
        assert rig.of(UnknownSsrc) == [UnknownSsrc(publisher.peer, RTX_SSRC, RTX_PT, "0", "", "h")]
        rig.engine.set_rtx(stream.up, RTX_SSRC)
        rig.settle()
        assert [packet.seq16 - FIRST_SEQ for packet in listener.received()] == [0, 2, 1]

    # --- resend ---

    def test_a_resend_is_rtx(self, rig: Rig, video: Stream) -> None:
        listener = rig.party(send={"abs_send_time": 2})
        down = self.down(rig, video.up, listener)
        video.send(video.frame(key=True), video.frame(), video.frame())
        sent = listener.received()
        rig.turn(30)
        assert rig.engine.resend(down, [sent[1].seq16, sent[2].seq16, 3]) == 2
        got = listener.received()
        assert got[0] == RtpPacket(
            True,
            OUT_RTX,
            FIRST_SEQ,
            sent[1].ts,
            OUT_SSRC + 1,
            sent[1].seq16.to_bytes(2, "big") + sent[1].payload,
            (),
            0xBEDE,
            extensions.write([(2, extensions.abs_send_time(rig.now_us))])[4:],
        )
        assert got[1].seq16 == FIRST_SEQ + 1
        assert rig.engine.stats().downs[down].resent == 2

    def test_a_resend_without_rtx_repeats_the_bytes(self, rig: Rig, video: Stream) -> None:
        listener = rig.party(send={"abs_send_time": 2})
        down = self.down(rig, video.up, listener, rtx=False)
        video.send(video.frame(key=True), video.frame())
        sent = listener.datagrams()
        rig.turn(30)
        assert rig.engine.resend(down, [FIRST_SEQ + 1]) == 1
        assert listener.datagrams() == sent[1:]

    def test_nothing_is_resent_where_no_nack_was_negotiated(self, rig: Rig, video: Stream) -> None:
        listener = rig.party()
        down = rig.engine.add_down(video.up, listener.peer, OUT_SSRC, OUT_PTS, nack=False)
        rig.engine.set_down(down, True)
        video.send(video.frame(key=True))
        assert rig.engine.resend(down, [FIRST_SEQ]) == 0

    def test_the_same_number_is_resent_three_times_with_pauses(
        self, rig: Rig, video: Stream
    ) -> None:
        down = self.down(rig, video.up, rig.party())
        video.send(video.frame(key=True))
        counts: list[int] = []
        for _ in range(5):
            counts += [rig.engine.resend(down, [FIRST_SEQ]), rig.engine.resend(down, [FIRST_SEQ])]
            rig.turn(25)
        assert counts == [1, 0, 1, 0, 1, 0, 0, 0, 0, 0]

    def test_resends_keep_to_their_budget(self, rig: Rig, video: Stream) -> None:
        listener = rig.party()
        down = self.down(rig, video.up, listener)
        video.send(video.frame(key=True, fill=1000))
        for _ in range(399):
            video.send(video.frame(fill=1000))
        sent = sum(len(packet.payload) for packet in listener.received())
        rig.turn(500)
        assert rig.engine.resend(down, range(FIRST_SEQ, FIRST_SEQ + 400)) >= 64
        resent = sum(len(packet.payload) for packet in listener.received())
        assert resent <= sent // 4 + 1500

    def test_a_quiet_down_may_resend_64_packets(self, rig: Rig, video: Stream) -> None:
        listener = rig.party()
        down = self.down(rig, video.up, listener)
        video.send(video.frame(key=True))
        for _ in range(99):
            video.send(video.frame())
        rig.turn(5000)
        video.send(video.frame())
        rig.engine.resend(down, [0])
        rig.turn(5000)
        assert rig.engine.resend(down, range(FIRST_SEQ, FIRST_SEQ + 100)) == 64

    def test_history_is_bounded(self, rig: Rig, video: Stream) -> None:
        down = self.down(rig, video.up, rig.party())
        video.send(video.frame(key=True))
        for _ in range(600):
            video.send(video.frame())
        assert rig.engine.resend(down, [FIRST_SEQ + 80]) == 0
        assert rig.engine.resend(down, [FIRST_SEQ + 100]) == 1

    # --- switching ---

    def test_a_switch_waits_for_the_key_frame_and_continues(self, rig: Rig) -> None:
        low, high, listener, down = self.simulcast(rig)
        low.send(low.frame(key=True), low.frame())
        rig.engine.switch(down, high.up)
        assert KeyFrameWanted(high.up) in rig.settle()
        high.send(high.frame())
        low.send(low.frame())
        rig.now_us += 33_000
        high.send(high.frame(key=True), high.frame())
        low.send(low.frame())
        got = listener.received()
        assert [packet.seq16 - FIRST_SEQ for packet in got] == [0, 1, 2, 3, 4]
        assert [pid_of(packet) for packet in got] == [1, 2, 3, 4, 5]
        assert [tl0_of(packet) for packet in got] == [1, 2, 3, 4, 5]
        times = [packet.ts for packet in got]
        assert times == sorted(times)
        assert times[3] - times[2] == 3000
        assert rig.of(Switched) == [Switched(down, high.up)]
        assert rig.engine.stats().downs[down].up == high.up

    def test_a_switch_uses_the_offset_of_the_reports(self, rig: Rig) -> None:
        low, high, listener, down = self.simulcast(rig)
        high.ts = low.ts + 1_000_000
        low.send(low.frame(key=True))
        rig.engine.switch(down, high.up, ts_offset=1_000_000)
        rig.now_us += 40_000
        high.ts += 3500
        high.send(high.frame(key=True))
        got = listener.received()
        assert got[1].ts - got[0].ts == 3500
        offset = rig.engine.stats().downs[down].ts_offset
        assert got[1].ts == (high.ts - high.step + offset) & 0xFFFFFFFF

    def test_a_switch_never_goes_backwards_or_far_ahead(self, rig: Rig) -> None:
        low, high, listener, down = self.simulcast(rig)
        low.send(low.frame(key=True))
        for target, other, offset in ((high, low, 90_000 * 60), (low, high, -90_000 * 60)):
            rig.engine.switch(down, target.up, ts_offset=offset)
            rig.now_us += 33_000
            target.send(target.frame(key=True))
            other.send(other.frame())
        times = [packet.ts for packet in listener.received()]
        assert len(times) == 3
        assert all(
            0 < later - earlier <= 93_000 for earlier, later in pairwise(times)
        )

    def test_late_packets_of_the_old_layer_are_dropped_after_a_switch(self, rig: Rig) -> None:
        low, high, listener, down = self.simulcast(rig)
        frames = [low.frame(key=not number) for number in range(3)]
        older = high.frame()
        low.send(frames[0], frames[2])
        rig.engine.switch(down, high.up)
        key = high.frame(key=True)
        high.send(high.packet(vp8(9), seq16=key.seq16 - 2), key)
        low.send(frames[1])
        high.send(older)
        got = listener.received()
        assert [packet.seq16 - FIRST_SEQ for packet in got] == [0, 2, 3]

    def test_a_nack_is_answered_from_before_and_after_a_switch(self, rig: Rig) -> None:
        low, high, listener, down = self.simulcast(rig)
        low.send(low.frame(key=True), low.frame())
        rig.engine.switch(down, high.up)
        high.send(high.frame(key=True), high.frame())
        sent = listener.received()
        rig.turn(30)
        assert rig.engine.resend(down, [packet.seq16 for packet in sent]) == 4
        again = listener.received()
        assert [packet.payload for packet in again] == [
            packet.seq16.to_bytes(2, "big") + packet.payload for packet in sent
        ]
        assert [packet.ts for packet in again] == [packet.ts for packet in sent]

    def test_a_switch_times_out(self, rig: Rig) -> None:
        low, high, listener, down = self.simulcast(rig)
        low.send(low.frame(key=True))
        rig.engine.switch(down, high.up, timeout_ms=300)
        rig.turn(200)
        assert not rig.of(SwitchTimedOut)
        rig.turn(200)
        assert rig.of(SwitchTimedOut) == [SwitchTimedOut(down)]
        high.send(high.frame(key=True))
        low.send(low.frame())
        assert len(listener.received()) == 2

    def test_a_paused_down_follows_at_once(self, rig: Rig) -> None:
        low, high, listener, down = self.simulcast(rig)
        low.send(low.frame(key=True))
        rig.engine.set_down(down, False)
        rig.engine.switch(down, high.up)
        rig.engine.set_down(down, True)
        assert rig.settle()[-1] == KeyFrameWanted(high.up)
        low.send(low.frame(key=True))
        high.send(high.frame(key=True))
        assert [packet.seq16 - FIRST_SEQ for packet in listener.received()] == [0, 1]

    def test_a_down_without_an_up_is_silent_until_switched(self, rig: Rig, video: Stream) -> None:
        listener = rig.party()
        down = self.down(rig, 0, listener)
        rig.engine.switch(down, video.up)
        video.send(video.frame(), video.frame(key=True))
        assert [packet.seq16 for packet in listener.received()] == [FIRST_SEQ]

    def test_audio_switches_at_the_next_packet(self, rig: Rig) -> None:
        party, listener = rig.party(), rig.party()
        one, other = Stream(rig, party, 0xA1, "opus"), Stream(rig, party, 0xA2, "opus")
        down = self.down(rig, one.up, listener)
        one.send(one.packet(b"a"))
        rig.engine.switch(down, other.up)
        one.send(one.packet(b"b"))
        other.send(other.packet(b"c"))
        one.send(one.packet(b"d"))
        got = listener.received()
        assert [packet.payload for packet in got] == [b"a", b"b", b"c"]
        assert [packet.seq16 - FIRST_SEQ for packet in got] == [0, 1, 2]

    def test_temporal_layers_are_dropped_without_a_gap(self, rig: Rig, video: Stream) -> None:
        listener = rig.party()
        down = self.down(rig, video.up, listener)
        video.send(video.frame(key=True))
        rig.engine.set_down(down, True, max_temporal=0)
        for tid in (2, 1, 2, 0, 2, 1, 2, 0):
            video.send(video.frame(tid=tid))
        got = listener.received()
        assert [packet.seq16 - FIRST_SEQ for packet in got] == [0, 1, 2]
        assert [pid_of(packet) for packet in got] == [1, 2, 3]
        assert rig.engine.stats().downs[down].dropped == 6

    def test_temporal_layers_come_back_where_they_can_be_decoded(
        self, rig: Rig, video: Stream
    ) -> None:
        listener = rig.party()
        down = self.down(rig, video.up, listener)
        rig.engine.set_down(down, True, max_temporal=0)
        video.send(video.frame(key=True), video.frame(tid=1), video.frame())
        rig.engine.set_down(down, True)
        video.send(video.frame(tid=2, sync=1)._replace(), video.frame(tid=1))
        listener.received()
        video.send(video.frame(), video.frame(tid=1, sync=1), video.frame(tid=2, sync=1))
        assert len(listener.received()) == 3

    def simulcast(self, rig: Rig) -> tuple[Stream, Stream, Party, int]:
        """Two layers of one publication, a listener of the lower one."""
        party, listener = rig.party(), rig.party()
        low = Stream(rig, party, 0xA1, group=1, spatial=0)
        high = Stream(rig, party, 0xA3, group=1, spatial=1)
        high.seq, high.ts, high.pid = 40_000, 3_000_000_000, 900
        return low, high, listener, self.down(rig, low.up, listener)

    # --- sinks ---

    def test_a_sink_gets_plain_rtp(self, rig: Rig) -> None:
        stream = Stream(rig, rig.party(), SSRC, "opus")
        got: list[tuple[RtpPacket, int]] = []
        sink = rig.engine.add_sink(
            stream.up, lambda view, at: got.append((rtp.parse(bytes(view)), at))
        )
        stream.send(stream.packet(b"before"))
        rig.engine.set_down(sink, True)
        stream.send(stream.packet(b"a"), stream.packet(b"b"))
        assert [(packet.payload, packet.seq16, at) for packet, at in got] == [
            (b"a", FIRST_SEQ, rig.now_us),
            (b"b", FIRST_SEQ + 1, rig.now_us),
        ]
        rig.engine.remove_down(sink)
        stream.send(stream.packet(b"after"))
        assert len(got) == 2

    def test_a_sink_that_raises_disturbs_nobody(self, rig: Rig) -> None:
        stream, listener = Stream(rig, rig.party(), SSRC, "opus"), rig.party()

        def fail(view: memoryview, at: int) -> None:
            raise RuntimeError("full")

        rig.engine.set_down(rig.engine.add_sink(stream.up, fail), True)
        self.down(rig, stream.up, listener)
        stream.send(stream.packet(b"a"))
        assert len(listener.received()) == 1
        assert rig.engine.stats().drops["sink_raised"] == 1

    # --- events ---

    def test_arrivals_are_told_for_feedback(self, rig: Rig) -> None:
        stream = Stream(rig, rig.party(recv={"twcc": 5}), SSRC, "opus")
        begin = rig.now_us
        rig.turn(100)
        for number in range(3):
            block = extensions.write([(5, (65_534 + number & 0xFFFF).to_bytes(2, "big"))])
            stream.send(stream.packet(profile=0xBEDE, extension=block[4:]))
            rig.turn(10)
        rig.turn(60)
        told = [pair for event in rig.of(Arrivals) for pair in event.packets]
        assert told == [
            (65_534, begin + 100_000),
            (65_535, begin + 110_000),
            (0, begin + 120_000),
        ]

    def test_levels_are_told_for_each_window(self, rig: Rig) -> None:
        stream = Stream(rig, rig.party(recv={"audio_level": 1}), SSRC, "opus")
        rig.turn(200)
        for level in (0x80 | 20, 60, 127, 30):
            stream.send(stream.packet(profile=0xBEDE, extension=bytes((0x10, level, 0, 0))))
            rig.turn(20)
        rig.turn(100)
        rig.turn(200)
        assert rig.of(AudioLevel) == [AudioLevel(stream.up, -20, 0.5)]

    def test_silence_is_told_once(self, rig: Rig) -> None:
        stream = Stream(rig, rig.party(), SSRC, "opus")
        stream.send(stream.packet())
        for _ in range(20):
            rig.turn(250)
        assert rig.of(SilentUp) == [SilentUp(stream.up)]
        stream.send(stream.packet())
        for _ in range(12):
            rig.turn(250)
        assert len(rig.of(SilentUp)) == 2

    def test_time_is_told_by_next_turn(self, rig: Rig) -> None:
        assert rig.engine.next_turn() is None
        Stream(rig, rig.party(), SSRC, "opus")
        rig.settle()
        wait = rig.engine.next_turn()
        assert wait is not None
        assert 0 < wait <= 2.0

    def test_stats_tell_rate_and_jitter(self, rig: Rig) -> None:
        stream = Stream(rig, rig.party(), SSRC, "opus")
        size = 0
        for number in range(101):
            stream.ts = 960 * number
            size = len(stream.party.send(stream.packet(bytes(100))))
            rig.turn(20 if number % 2 else 22)
        stats = rig.engine.stats().ups[stream.up]
        assert stats.bitrate == pytest.approx(size * 8 * 50, rel=0.1)
        assert 30 < stats.jitter < 100
        assert stats.packets == 101

    # --- removal, handles, limits ---

    def test_stale_handles_are_lookup_errors(self, rig: Rig, video: Stream) -> None:
        engine, party = rig.engine, rig.party()
        down = self.down(rig, video.up, party)
        engine.remove_down(down)
        engine.remove_up(video.up)
        engine.remove_peer(party.peer)
        calls = [
            lambda: engine.remove_down(down),
            lambda: engine.set_down(down, True),
            lambda: engine.switch(down, video.up),
            lambda: engine.resend(down, [1]),
            lambda: engine.remove_up(video.up),
            lambda: engine.set_rtx(video.up, 9),
            lambda: engine.add_sink(video.up, lambda *_: None),
            lambda: engine.add_down(video.up, video.party.peer, 77, OUT_PTS),
            lambda: engine.add_down(0, party.peer, 77, OUT_PTS),
            lambda: engine.add_up(party.peer, 5, "opus", 48000),
            lambda: engine.remove_peer(party.peer),
            lambda: engine.allow(party.peer, ("127.0.0.1", 9)),
            lambda: engine.move_peer(party.peer, ("127.0.0.1", 9)),
            lambda: engine.set_keys(party.peer, *party.raw_keys),
            lambda: engine.set_codecs(party.peer, {}),
            lambda: engine.set_extensions(party.peer, {}, {}),
            lambda: engine.set_tcp(party.peer, None),
            lambda: engine.send(party.peer, b"x"),
            lambda: engine.set_down(video.party.peer, True),
            lambda: engine.remove_up(video.party.peer),
        ]
        for call in calls:
            with pytest.raises(LookupError):
                call()

    def test_a_freed_handle_is_not_given_again(self, rig: Rig) -> None:
        party, seen = rig.party(), set()
        for _ in range(50):
            up = rig.engine.add_up(party.peer, SSRC, "opus", 48000)
            assert up not in seen
            seen.add(up)
            rig.engine.remove_up(up)

    @pytest.mark.parametrize("order", list(permutations(("up", "down", "publisher", "listener"))))
    def test_rows_are_removed_in_any_order_under_traffic(
        self, rig: Rig, order: tuple[str, ...]
    ) -> None:
        stream = Stream(rig, rig.party(), SSRC, rtx_ssrc=RTX_SSRC)
        listener, witness = rig.party(), rig.party()
        down = self.down(rig, stream.up, listener)
        other = Stream(rig, rig.party(), SSRC)
        self.down(rig, other.up, witness)
        other.send(other.frame(key=True))
        stream.send(stream.frame(key=True))
        rig.engine.switch(down, other.up)
        removals = {
            "up": lambda: rig.engine.remove_up(stream.up),
            "down": lambda: rig.engine.remove_down(down),
            "publisher": lambda: rig.engine.remove_peer(stream.party.peer),
            "listener": lambda: rig.engine.remove_peer(listener.peer),
        }
        for name in order:
            try:
                removals[name]()
            except LookupError:
                assert name in ("up", "down")
            stream.send(stream.frame(), stream.frame(key=True))
            other.send(other.frame(key=order.index(name) == 1))
            rig.turn(60)
        assert len(witness.received()) == 5
        stats = rig.engine.stats()
        assert (len(stats.ups), len(stats.downs), len(stats.peers)) == (1, 1, 2)

    def test_rows_can_be_removed_within_a_fan_out(self, rig: Rig) -> None:
        stream, listener = Stream(rig, rig.party(), SSRC, "opus"), rig.party()
        downs = [self.down(rig, stream.up, listener, ssrc=0x1000 + 2 * n) for n in range(300)]
        rig.settle()
        stream.party.send(stream.packet())
        rig.turn()
        for down in downs[250:]:
            rig.engine.remove_down(down)
        rig.engine.remove_up(stream.up)
        rig.settle()
        assert len(listener.datagrams()) == TURN_PACKETS

    def test_a_down_survives_its_up(self, rig: Rig, video: Stream) -> None:
        listener = rig.party()
        down = self.down(rig, video.up, listener)
        video.send(video.frame(key=True))
        rig.engine.remove_up(video.up)
        assert rig.engine.stats().downs[down].up == 0
        other = Stream(rig, rig.party(), SSRC)
        rig.engine.switch(down, other.up)
        other.send(other.frame(key=True))
        assert [packet.seq16 - FIRST_SEQ for packet in listener.received()] == [0, 1]

    def test_an_ssrc_is_never_used_twice_towards_a_peer(self, rig: Rig, video: Stream) -> None:
        listener = rig.party()
        down = self.down(rig, video.up, listener)
        for ssrc, rtx in ((OUT_SSRC, 9), (9, OUT_SSRC), (OUT_SSRC + 1, 0), (8, 8), (0, 9)):
            with pytest.raises(ValueError, match="SSRC"):
                rig.engine.add_down(video.up, listener.peer, ssrc, OUT_PTS, rtx_ssrc=rtx)
        rig.engine.remove_down(down)
        with pytest.raises(ValueError, match="SSRC"):
            rig.engine.add_down(video.up, listener.peer, OUT_SSRC, OUT_PTS)

    def test_bad_arguments_are_value_errors(self, rig: Rig, video: Stream) -> None:
        engine, party = rig.engine, rig.party()
        calls = [
            lambda: engine.add_up(video.party.peer, SSRC, "vp8", 90000),
            lambda: engine.add_up(party.peer, 1 << 32, "vp8", 90000),
            lambda: engine.add_up(party.peer, 5, "vp8", 0),
            lambda: engine.add_down(video.up, party.peer, 5, {"vp8": 128}),
            lambda: engine.set_extensions(party.peer, {"mid": 0}, {}),
            lambda: engine.set_extensions(party.peer, {}, {"nonsense": 1}),
            lambda: engine.set_codecs(party.peer, {200: rig_codec("opus")}),
            lambda: engine.set_rtx(video.up, SSRC),
        ]
        for call in calls:
            with pytest.raises(ValueError):
                call()

    def test_limits_are_told(self, make_engine: EngineMaker) -> None:
        rig = Rig(make_engine, EngineLimits(peers=2, ups=2, downs=2, ssrcs_per_peer=3))
        one, other = rig.party(), rig.party()
        spare = rig.stranger()
        with pytest.raises(ResourceExhausted):
            rig.engine.add_peer(spare.addr)
        up = rig.engine.add_up(one.peer, 1, "vp8", 90000, rtx_ssrc=2)
        rig.engine.add_up(one.peer, 3, "vp8", 90000)
        with pytest.raises(ResourceExhausted):
            rig.engine.set_rtx(up + 1, 4)
        with pytest.raises(ResourceExhausted):
            rig.engine.add_up(other.peer, 5, "opus", 48000)
        for ssrc in (10, 12):
            rig.engine.add_down(up, other.peer, ssrc, OUT_PTS)
        with pytest.raises(ResourceExhausted):
            rig.engine.add_down(up, other.peer, 14, OUT_PTS)
        with pytest.raises(ResourceExhausted):
            rig.engine.add_sink(up, lambda *_: None)
        rig.close()

    def test_close_can_be_repeated(self, rig: Rig) -> None:
        rig.engine.close()
        rig.engine.close()

    # --- hostile input ---

    def test_no_packet_of_a_member_upsets_the_engine(self, rig: Rig) -> None:
        """2,000 mutations of plain packets, properly protected."""
        ids = {"mid": 1, "rid": 2, "twcc": 3, "audio_level": 4, "dependency_descriptor": 5}
        publisher, listener = rig.party(recv=ids), rig.party(send={"dependency_descriptor": 7})
        witness = Stream(rig, rig.party(), SSRC, "opus")
        self.down(rig, witness.up, listener, ssrc=0x900)
        streams = [
            Stream(rig, publisher, SSRC + 2 * n, codec, rtx_ssrc=SSRC + 2 * n + 1)
            for n, codec in enumerate(("vp8", "h264", "opus"))
        ]
        for number, stream in enumerate(streams):
            self.down(rig, stream.up, listener, ssrc=0x1000 + 2 * number)
        sender = libsrtp(AES_256_GCM, publisher.raw_keys[1], inbound=False)
        block = extensions.write([(1, b"0"), (3, b"ab"), (4, b"\x85"), (5, bytes(9))])
        chance = random.Random(7)
        for number in range(2000):
            stream = chance.choice(streams)
            payload = vp8(number, key=number % 5 == 0) if stream.codec == "vp8" else b"\x65" * 20
            packet = stream.packet(payload, profile=0xBEDE, extension=block[4:])
            if chance.random() < 0.2:
                osn = (stream.seq - chance.randrange(20)).to_bytes(4, "big")[2:]
                packet = packet._replace(ssrc=packet.ssrc + 1, pt=RTX_PT, payload=osn + payload)
            data = changed(rtp.build(packet), chance)
            try:
                publisher.send_raw(sender.protect(data))
            except Error:
                publisher.send_raw(data)
            if number % 16 == 0:
                rig.turn(chance.randrange(30))
        witness.send(witness.packet(b"still here"))
        assert b"still here" in [packet.payload for packet in listener.received()]

    def test_no_datagram_of_a_stranger_upsets_the_engine(self, rig: Rig) -> None:
        party, stranger, chance = rig.party(), rig.stranger(), random.Random(9)
        for number in range(2000):
            data = chance.randbytes(chance.randrange(60))
            (party if number % 2 else stranger).send_raw(changed(data, chance))
            if number % 32 == 0:
                rig.turn()
        rig.settle()
        assert all(item.peer for item in rig.handed_up if item.data[0] > 3)

    # --- one nonce, one content ---

    @pytest.mark.parametrize("seed", range(6))
    def test_no_index_protects_two_contents(self, rig: Rig, seed: int) -> None:
        chance = random.Random(seed)
        party, listener = rig.party(), rig.party(send={"abs_send_time": 1})
        layers = [Stream(rig, party, 0xA1 + 2 * n, rtx_ssrc=0xA2 + 2 * n) for n in range(3)]
        downs = [
            self.down(rig, layers[0].up, listener, ssrc=0x100 + 2 * n, rtx=n < 2) for n in range(4)
        ]
        seen: dict[tuple[int, int, int], bytes] = {}
        kept: list[tuple[Stream, RtpPacket]] = []
        for _ in range(800):
            self.random_step(rig, chance, layers, downs, kept)
            for datagram in listener.datagrams():
                listener.open(datagram)
                ssrc = int.from_bytes(datagram[8:12], "big")
                index = (ssrc, listener.rocs[ssrc][0], int.from_bytes(datagram[2:4], "big"))
                assert seen.setdefault(index, datagram) == datagram
        assert len(seen) > 400

    def random_step(
        self,
        rig: Rig,
        chance: random.Random,
        layers: list[Stream],
        downs: list[int],
        kept: list[tuple[Stream, RtpPacket]],
    ) -> None:
        """Send, lose, delay, switch, cap, pause or resend something."""
        rig.turn(chance.choice((0, 1, 10, 33)))
        down, stream = chance.choice(downs), chance.choice(layers)
        match chance.randrange(12):
            case 0:
                rig.engine.switch(down, stream.up, ts_offset=chance.choice((None, 0, 5000)))
            case 1:
                rig.engine.set_down(
                    down, chance.random() < 0.8, max_temporal=chance.choice((0, 1, 255))
                )
            case 2:
                first = FIRST_SEQ + chance.randrange(100)
                rig.engine.resend(down, range(first, first + 40))
            case 3 if kept:
                late, packet = kept.pop(chance.randrange(len(kept)))
                late.send(packet)
            case _:
                packet = stream.frame(
                    key=chance.random() < 0.4, tid=chance.randrange(3), sync=chance.randrange(2)
                )
                if chance.random() < 0.15:
                    kept.append((stream, packet))
                else:
                    stream.send(packet)


def pid_of(packet: RtpPacket) -> int:
    return int.from_bytes(packet.payload[2:4], "big") & 0x7FFF


def tl0_of(packet: RtpPacket) -> int:
    return packet.payload[4]


def rig_codec(name: str) -> Codec:
    return Codec(name, 48000)


def changed(data: bytes, chance: random.Random) -> bytes:
    """Flip, cut or lengthen at most three places."""
    out = bytearray(data)
    for _ in range(chance.randrange(4)):
        at = chance.randrange(len(out) + 1)
        if chance.random() < 0.1:
            del out[at:]
        elif chance.random() < 0.2:
            out[at:at] = chance.randbytes(4)
        elif at < len(out):
            out[at] = chance.choice((0, 0x10, 0x7F, 0xFF, out[at] ^ 1 << chance.randrange(8)))
    return bytes(out)


def _broken(data: bytes) -> None:
    raise ConnectionResetError
