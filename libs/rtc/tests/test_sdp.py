"""Reading and writing descriptions: captures of real clients and hand-made corners."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roomful.errors import RemoteProtocolError
from roomful_rtc.sdp import (
    EXTERNAL_LIMITS,
    Fingerprint,
    MediaSection,
    Rid,
    RtpFormat,
    SessionDescription,
    Ssrc,
    SsrcGroup,
    check_succession,
)

DATA = Path(__file__).parent / "data"
GOLDEN = sorted(path.name for path in DATA.glob("*.sdp"))


def load(name: str) -> SessionDescription:
    return SessionDescription.parse((DATA / name).read_bytes())


@pytest.mark.parametrize("name", GOLDEN)
def test_round_trip_when_captured_then_nothing_is_lost(name: str) -> None:
    description = load(name)
    assert SessionDescription.parse(str(description)) == description


@pytest.mark.parametrize("name", GOLDEN)
def test_parse_when_captured_then_every_mapped_format_is_kept(name: str) -> None:
    text = (DATA / name).read_text()
    description = load(name)
    assert len(description.sections) == text.count("\nm=")
    mapped = sum(text.count(f"\na=rtpmap:{n} ") for n in range(128))
    static = sum(
        1
        for section in description.sections
        for codec in section.codecs.values()
        if f"a=rtpmap:{codec.payload_type} " not in text
    )
    assert sum(len(section.codecs) for section in description.sections) == mapped + static


def test_parse_when_python_joins_then_sections_are_three_three_and_data() -> None:
    offer = load("python-join-offer.sdp")
    assert [s.kind for s in offer.sections] == ["audio"] * 3 + ["video"] * 3 + ["application"]
    assert [s.mid for s in offer.sections] == list("0123456")
    assert {s.direction for s in offer.sections[:6]} == {"recvonly"}
    assert offer.bundle == tuple("0123456")
    assert offer.extmap_allow_mixed
    data = offer.sections[6]
    assert (data.proto, data.formats) == ("UDP/DTLS/SCTP", ("webrtc-datachannel",))
    assert (data.sctp_port, data.max_message_size) == (5000, 262144)
    assert data.codecs == {}


def test_parse_when_chromium_publishes_simulcast_then_details_are_there() -> None:
    video = load("chromium-h264-simulcast-stereo-offer.sdp").sections[8]
    assert (video.kind, video.direction, video.mid) == ("video", "sendonly", "8")
    assert video.rids == (Rid("q", "send"), Rid("h", "send"), Rid("f", "send"))
    assert video.simulcast_send == ("q", "h", "f")
    assert video.track_id == "3673e73a-a29e-4f11-8794-23e344224919"
    h264 = video.codecs[108]
    assert (h264.codec, h264.clock_rate, h264.channels) == ("h264", 90000, 1)
    assert h264.parameters["profile-level-id"] == "42e01f"
    assert h264.feedback == ("goog-remb", "transport-cc", "ccm fir", "nack", "nack pli")
    assert video.extmap[10] == "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
    assert list(video.codecs)[:3] == [96, 97, 102]
    opus = load("chromium-h264-simulcast-stereo-offer.sdp").sections[7].codecs[111]
    assert (opus.channels, opus.parameters["stereo"]) == (2, "1")


def test_parse_when_ssrcs_are_announced_then_groups_and_names_are_kept() -> None:
    video = load("chromium-vp9-svc-offer.sdp").sections[8]
    (group,) = video.ssrc_groups
    assert group.semantics == "FID"
    assert tuple(video.ssrcs) == group.ssrcs
    assert video.ssrcs[group.ssrcs[0]].track_id == video.track_id


def test_parse_when_candidates_are_given_then_they_are_only_counted() -> None:
    audio = load("python-audio-offer.sdp").sections[0]
    assert audio.candidate_count > 0
    assert audio.candidates == ()
    assert "candidate" not in str(audio.other)


def test_parse_when_firefox_writes_session_level_then_it_stays_there() -> None:
    offer = load("handmade-firefox-simulcast-offer.sdp")
    assert [f.algorithm for f in offer.fingerprints] == ["sha-256"]
    video = offer.sections[1]
    assert (video.bundle_only, video.rejected, video.port) == (True, False, 0)
    assert video.extmap[8] == "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"


def test_parse_when_wildcard_feedback_then_every_format_has_it() -> None:
    video = load("handmade-sim-group-offer.sdp").sections[0]
    assert video.codecs[96].feedback == ("nack", "nack pli")
    assert video.ssrc_groups[0] == SsrcGroup("SIM", (11, 21, 31))


def test_parse_when_telephone_then_static_types_are_known_and_keys_are_hidden() -> None:
    text = (DATA / "handmade-sip-offer.sdp").read_bytes()
    offer = SessionDescription.parse(text, EXTERNAL_LIMITS)
    audio = offer.sections[0]
    assert [c.codec for c in audio.codecs.values()] == [
        "pcmu", "pcma", "g722", "g729", "telephone-event",
    ]  # fmt: skip
    assert (audio.port, audio.ptime, offer.connection) == (49170, 20, "192.0.2.10")
    assert dict(audio.other)["crypto"].endswith("VubGVz")
    assert "VubGVz" not in repr(offer)
    assert offer.sections[1].rejected


def test_repr_when_printed_then_no_password() -> None:
    offer = load("python-join-offer.sdp")
    assert offer.sections[0].ice_pwd
    assert offer.sections[0].ice_pwd not in repr(offer)


def test_parse_when_direction_stands_at_session_level_then_sections_inherit_it() -> None:
    text = "v=0\na=recvonly\nm=audio 9 UDP/TLS/RTP/SAVPF 111\nm=audio 9 RTP/AVP 0\na=sendonly\n"
    assert [s.direction for s in SessionDescription.parse(text).sections] == [
        "recvonly",
        "sendonly",
    ]


@pytest.mark.parametrize("ending", ["", "\n", "\r\n", "\r\n\r\n"])
def test_parse_when_line_ends_vary_then_the_same_is_read(ending: str) -> None:
    text = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\nm=audio 9 RTP/AVP 0\r\na=mid:a" + ending
    assert SessionDescription.parse(text).sections[0].mid == "a"


@pytest.mark.parametrize(
    "lines",
    [
        "",
        "o=- 1 2 IN IP4 127.0.0.1",
        "v=1",
        "V=0",
        "v=0\n\na=x",
        "v=0\nhello",
        "v=0\na=x\x00",
        "v=0\na=\tx",
        "v=0\na=x\ry",
        "v=0\na=x\x7f",
        "v=0\na=x\x85",
        "v=0\na=\ud800",
        "v=0\nm=audio",
        "v=0\nm=audio 9 RTP/AVP",
        "v=0\nm=audio x RTP/AVP 0",
        "v=0\nm=audio -1 RTP/AVP 0",
        "v=0\nm=audio 65536 RTP/AVP 0",
        "v=0\nm=audio \u0661 RTP/AVP 0",
        "v=0\nm=audio 9 RTP/AVP 128",
        "v=0\nm=audio 9 RTP/AVP 0 0",
        "v=0\nm=audio 9 RTP/AVP 0 00",
        "v=0\nm=audio 9 RTP/AVP x",
        "v=0\nm=aud(io) 9 RTP/AVP 0",
        "v=0\nm=audio 9 RTP/AVP 0\na=mid:",
        "v=0\nm=audio 9 RTP/AVP 0\na=mid:a b",
        "v=0\nm=audio 9 RTP/AVP 0\na=mid:a\na=mid:b",
        "v=0\nm=audio 9 RTP/AVP 0\na=mid:a\nm=audio 9 RTP/AVP 0\na=mid:a",
        "v=0\nm=audio 9 RTP/AVP 0\na=rtpmap",
        "v=0\nm=audio 9 RTP/AVP 0\na=rtpmap:0",
        "v=0\nm=audio 9 RTP/AVP 0\na=rtpmap:0 PCMU",
        "v=0\nm=audio 9 RTP/AVP 0\na=rtpmap:0 PCMU/7999",
        "v=0\nm=audio 9 RTP/AVP 0\na=rtpmap:0 PCMU/192001",
        "v=0\nm=audio 9 RTP/AVP 0\na=rtpmap:0 PCMU/8000/0",
        "v=0\nm=audio 9 RTP/AVP 0\na=rtpmap:0 PCMU/8000\na=rtpmap:0 PCMA/8000",
        "v=0\nm=audio 9 RTP/AVP 0\na=ptime:0",
        "v=0\nm=audio 9 RTP/AVP 0\na=ptime:201",
        "v=0\nm=audio 9 RTP/AVP 0\na=ptime:" + "9" * 400,
        "v=0\nm=audio 9 RTP/AVP 0\na=extmap:1",
        "v=0\nm=audio 9 RTP/AVP 0\na=extmap:0 urn:x",
        "v=0\nm=audio 9 RTP/AVP 0\na=extmap:4352 urn:x",
        "v=0\nm=audio 9 RTP/AVP 0\na=extmap:1/both urn:x",
        "v=0\nm=audio 9 RTP/AVP 0\na=extmap:1 urn:x\na=extmap:1 urn:y",
        "v=0\nm=audio 9 RTP/AVP 0\na=ssrc:4294967296 cname:x",
        "v=0\nm=audio 9 RTP/AVP 0\na=ssrc:x cname:x",
        "v=0\nm=audio 9 RTP/AVP 0\na=ssrc-group:",
        "v=0\nm=audio 9 RTP/AVP 0\na=ssrc-group:FID 1 x",
        "v=0\nm=audio 9 RTP/AVP 0\na=msid:",
        "v=0\nm=audio 9 RTP/AVP 0\na=rid:a",
        "v=0\nm=audio 9 RTP/AVP 0\na=rid:a both",
        "v=0\nm=audio 9 RTP/AVP 0\na=rid:a send\na=rid:a send",
        "v=0\nm=audio 9 RTP/AVP 0\na=rid:" + "a" * 17 + " send",
        "v=0\nm=audio 9 RTP/AVP 0\na=simulcast:send",
        "v=0\nm=audio 9 RTP/AVP 0\na=simulcast:both a;b",
        "v=0\nm=audio 9 RTP/AVP 0\na=simulcast:send a;a",
        "v=0\nm=audio 9 RTP/AVP 0\na=simulcast:send a; b",
        "v=0\nm=audio 9 RTP/AVP 0\na=simulcast:send a send b",
        "v=0\nm=audio 9 RTP/AVP 0\na=sendonly\na=recvonly",
        "v=0\nm=audio 9 RTP/AVP 0\na=setup:server",
        "v=0\nm=audio 9 RTP/AVP 0\na=sctp-port:65536",
        "v=0\nm=audio 9 RTP/AVP 0\nc=IN IP4",
        "v=0\nm=audio 9 RTP/AVP 0\nc=IN IP5 x",
        "v=0\no=- 1 2 IN IP4",
        "v=0\no=- x 2 IN IP4 127.0.0.1",
        "v=0\no=- 1 2 IN IP4 127.0.0.1\no=- 1 2 IN IP4 127.0.0.1",
        "v=0\na=ice-ufrag:abc",
        "v=0\na=ice-ufrag:ab:cd",
        "v=0\na=ice-ufrag:" + "a" * 257,
        "v=0\na=ice-pwd:" + "a" * 21,
        "v=0\na=fingerprint:sha-256 AA",
        "v=0\na=fingerprint:sha-256 " + ":".join(["AG"] * 32),
        "v=0\na=fingerprint:sha-256 " + ":".join(["AA"] * 33),
        "v=0\na=fingerprint:sha-256 " + ":".join(["A", "AAA"] * 16),
        "v=0\na=group:BUNDLE a a",
        "v=0\na=group:BUNDLE " + "a" * 17,
    ],
)
def test_parse_when_malformed_then_the_peer_is_blamed(lines: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        SessionDescription.parse(lines)
    assert len(caught.value.message) < 100


@pytest.mark.parametrize("data", [b"v=0\r\na=x:\xff\r\n", b"\xff\xfe", b""])
def test_parse_when_bytes_are_no_utf8_then_the_peer_is_blamed(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        SessionDescription.parse(data)


def test_parse_when_fingerprint_has_an_unknown_hash_then_it_is_left_out() -> None:
    text = "v=0\na=fingerprint:md5 AA\na=fingerprint:SHA-1 " + ":".join(["aa"] * 20)
    assert SessionDescription.parse(text).fingerprints == (
        Fingerprint("sha-1", ":".join(["AA"] * 20)),
    )


def test_succession_when_sections_grow_then_fine() -> None:
    check_succession(load("python-join-offer.sdp"), load("python-vp8-simulcast-offer.sdp"))
    check_succession(
        load("chromium-before-resume-offer.sdp"), load("chromium-unpublished-offer.sdp")
    )


def test_succession_when_sections_go_or_change_then_refused() -> None:
    long, short = load("python-vp8-simulcast-offer.sdp"), load("python-join-offer.sdp")
    with pytest.raises(RemoteProtocolError, match="fewer"):
        check_succession(long, short)
    turned = SessionDescription(tuple(reversed(short.sections)))
    with pytest.raises(RemoteProtocolError, match="order"):
        check_succession(short, turned)


def test_succession_when_a_rejected_section_is_recycled_then_fine() -> None:
    before = SessionDescription((MediaSection("audio", 0, "RTP/AVP", ("0",), mid="a"),))
    after = SessionDescription((MediaSection("video", 9, "RTP/AVP", ("96",), mid="b"),))
    check_succession(before, after)


# Any record that a parser may have made comes back unchanged from its text.

TOKEN = st.text("abcXYZ019-_.+!", min_size=1, max_size=12)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=20)
RID = st.text("abcqhf01", min_size=1, max_size=16)
U32 = st.integers(0, 2**32 - 1)
CREDENTIAL = st.text("abAB01+/", min_size=22, max_size=30)
DIRECTIONS = st.sampled_from(["sendrecv", "sendonly", "recvonly", "inactive"])
SETUPS = st.sampled_from(["", "actpass", "active", "passive"])
FINGERPRINTS = st.lists(
    st.binary(min_size=32, max_size=32).map(
        lambda raw: Fingerprint("sha-256", raw.hex(":").upper())
    ),
    max_size=2,
).map(tuple)
ADDRESS = st.sampled_from(["", "127.0.0.1", "::1", "host.example"])


@st.composite
def formats(draw: st.DrawFn) -> dict[int, RtpFormat]:
    numbers = draw(st.lists(st.integers(0, 127), min_size=1, max_size=6, unique=True))
    return {
        pt: RtpFormat(
            pt,
            draw(TOKEN),
            draw(st.integers(8000, 192_000)),
            draw(st.integers(1, 64)),
            draw(st.one_of(st.just(""), TEXT)),
            tuple(draw(st.lists(st.sampled_from(["nack", "nack pli", "x y z"]), unique=True))),
        )
        for pt in numbers
    }


@st.composite
def streams(draw: st.DrawFn) -> dict[int, Ssrc]:
    names = st.one_of(st.just(("", "")), st.tuples(TEXT, st.one_of(st.just(""), TEXT)))
    found: dict[int, Ssrc] = {}
    for ssrc in draw(st.lists(U32, max_size=4, unique=True)):
        found[ssrc] = Ssrc(ssrc, draw(st.one_of(st.just(""), TEXT)), *draw(names))
    return found


@st.composite
def sections(draw: st.DrawFn, mid: str) -> MediaSection:
    codecs = draw(formats())
    stream_id = draw(st.one_of(st.just(""), TEXT))
    rids = draw(st.lists(RID, max_size=4, unique=True))
    return MediaSection(
        kind=draw(st.sampled_from(["audio", "video", "text"])),
        port=draw(st.integers(0, 65535)),
        proto=draw(st.sampled_from(["UDP/TLS/RTP/SAVPF", "RTP/AVP"])),
        formats=tuple(map(str, codecs)),
        mid=mid,
        direction=draw(DIRECTIONS),
        codecs=codecs,
        extmap=draw(st.dictionaries(st.integers(1, 255), TEXT, max_size=4)),
        stream_id=stream_id,
        track_id=draw(st.one_of(st.just(""), TEXT)) if stream_id else "",
        ssrcs=draw(streams()),
        ssrc_groups=tuple(
            draw(
                st.lists(
                    st.builds(SsrcGroup, TOKEN, st.lists(U32, max_size=3).map(tuple)), max_size=2
                )
            )
        ),
        rids=tuple(Rid(rid, "send", draw(st.sampled_from(["", "max-width=1;x"]))) for rid in rids),
        simulcast_send=tuple(rids[:2]),
        simulcast_recv=tuple(rids[2:]),
        bundle_only=draw(st.booleans()),
        rtcp_mux=draw(st.booleans()),
        rtcp_rsize=draw(st.booleans()),
        extmap_allow_mixed=draw(st.booleans()),
        sctp_port=draw(st.integers(0, 65535)),
        max_message_size=draw(st.integers(0, 2**64 - 1)),
        ptime=draw(st.integers(0, 200)),
        connection=draw(ADDRESS),
        ice_ufrag=draw(st.one_of(st.just(""), CREDENTIAL)),
        ice_pwd=draw(st.one_of(st.just(""), CREDENTIAL)),
        fingerprints=draw(FINGERPRINTS),
        setup=draw(SETUPS),
        other=tuple(draw(st.lists(st.tuples(st.just("x-own"), st.one_of(st.just(""), TEXT))))),
    )


@st.composite
def descriptions(draw: st.DrawFn) -> SessionDescription:
    mids = draw(st.lists(st.one_of(TOKEN), max_size=3, unique=True))
    return SessionDescription(
        tuple(draw(sections(mid)) for mid in mids),
        session_id=draw(st.integers(0, 2**64 - 1)),
        session_version=draw(st.integers(0, 2**64 - 1)),
        origin_address=draw(ADDRESS.filter(bool)),
        connection=draw(ADDRESS),
        bundle=tuple(mids),
        ice_lite=draw(st.booleans()),
        ice_options=tuple(draw(st.lists(TOKEN, min_size=1, max_size=2))),
        extmap_allow_mixed=draw(st.booleans()),
        fingerprints=draw(FINGERPRINTS),
        setup=draw(SETUPS),
    )


@settings(max_examples=60, deadline=None)
@given(descriptions())
def test_round_trip_when_any_record_then_text_gives_it_back(record: SessionDescription) -> None:
    assert SessionDescription.parse(str(record)) == record
