"""Answers to captured and hand-made offers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from roomful.errors import LocalProtocolError, RemoteProtocolError
from roomful_rtc.engine import Codec
from roomful_rtc.offer_answer import (
    CAPABILITIES,
    EXTENSION_URIS,
    AnnouncedSsrc,
    Answer,
    Decision,
    Inactive,
    LocalTransport,
    Origin,
    Placeholder,
    Publish,
    Reject,
    Subscribe,
    answer,
    candidate_init,
    host_candidates,
    remote_transport,
)
from roomful_rtc.sdp import EXTERNAL_LIMITS, MediaSection, RtpFormat, SessionDescription

DATA = Path(__file__).parent / "data"
OFFERS = sorted(path.name for path in DATA.glob("*-offer.sdp") if "sip" not in path.name)
FINGERPRINT = "sha-256 " + ":".join(["AB"] * 32)
OURS = LocalTransport(
    "local",
    "p" * 24,
    FINGERPRINT,
    "passive",
    host_candidates([("192.0.2.1", 7882)], [("192.0.2.1", 7881)]),
)
TRACK = Subscribe("PA_a|TR_b", "TR_b", 1000, "PA_a", rtx_ssrc=1001)


def load(name: str) -> SessionDescription:
    return SessionDescription.parse((DATA / name).read_bytes())


def publish_all(section: MediaSection) -> Decision | None:
    return Publish() if section.sends else None


def answered(name: str, decide: Callable[[MediaSection], Decision | None] = publish_all) -> Answer:
    return answer(load(name), OURS, decide)


@pytest.mark.parametrize("name", OFFERS)
def test_answer_when_captured_offer_then_sections_correspond(name: str) -> None:
    offer = load(name)
    result = answer(offer, OURS, publish_all)
    ours = SessionDescription.parse(result.sdp)
    assert [(s.kind, s.mid, s.proto) for s in ours.sections] == [
        (s.kind, s.mid, s.proto) for s in offer.sections
    ]
    assert ours.ice_lite
    assert ours.bundle == offer.bundle
    assert ours.extmap_allow_mixed == offer.extmap_allow_mixed
    for theirs, mine in zip(offer.sections, ours.sections, strict=True):
        assert not mine.rejected
        assert mine.setup in ("active", "passive")
        assert (mine.ice_ufrag, str(mine.fingerprints[0])) == ("local", FINGERPRINT)
        assert set(mine.codecs) <= set(theirs.codecs)
        assert set(mine.extmap.items()) <= set(theirs.extmap.items())
        if theirs.kind != "application":
            assert mine.direction == {
                "sendonly": "recvonly", "sendrecv": "recvonly",
                "recvonly": "sendonly", "inactive": "inactive",
            }[theirs.direction]  # fmt: skip
            assert mine.rtcp_mux
            assert mine.rtcp_rsize == theirs.rtcp_rsize
            assert mine.codecs


@pytest.mark.parametrize("name", OFFERS)
def test_answer_when_sections_are_of_a_kind_then_they_agree(name: str) -> None:
    """Clients drop extensions or see collisions otherwise (`livekit-wire.md` 5.9)."""
    offer = load(name)
    result = answer(offer, OURS, publish_all)
    for kind in ("audio", "video"):
        same = [s for s in result.description.sections if s.kind == kind]
        known: dict[int, RtpFormat] = {}
        for section in same:
            offered = offer.section(section.mid)
            assert offered is not None
            wanted = {EXTENSION_URIS[name] for name in CAPABILITIES.extensions[kind]}
            assert set(section.extmap.values()) == wanted & set(offered.extmap.values())
            for pt, codec in section.codecs.items():
                said = known.setdefault(pt, codec)
                assert (said.name, said.clock_rate) == (codec.name, codec.clock_rate)


def test_answer_when_python_joins_then_placeholders_say_what_publications_say() -> None:
    join = answered("python-join-offer.sdp").description
    published = answered("python-vp8-simulcast-offer.sdp").description
    placeholder, publication = join.section("0"), published.section("7")
    assert placeholder is not None
    assert publication is not None
    assert placeholder.codecs == publication.codecs
    assert placeholder.extmap == publication.extmap
    assert placeholder.codecs[111].fmtp == "minptime=10;useinbandfec=1;usedtx=1"


@pytest.mark.parametrize(
    ("name", "mid", "rids"),
    [
        ("python-vp8-simulcast-offer.sdp", "8", ("h", "q")),
        ("python-h264-simulcast-offer.sdp", "8", ("h", "q")),
        ("python-dual-vp8-simulcast-offer.sdp", "2", ("h", "q")),
        ("chromium-vp8-simulcast-offer.sdp", "8", ("q", "h", "f")),
        ("chromium-h264-simulcast-stereo-offer.sdp", "8", ("q", "h", "f")),
        ("chromium-dual-vp8-simulcast-offer.sdp", "2", ("q", "h", "f")),
        ("go-h264-simulcast-offer.sdp", "0", ("q", "h", "f")),
        ("handmade-firefox-simulcast-offer.sdp", "1", ("q", "h", "f")),
    ],
)
def test_publish_when_simulcast_then_rids_are_accepted(
    name: str, mid: str, rids: tuple[str, ...]
) -> None:
    result = answered(name)
    mine = result.description.section(mid)
    meaning = result.negotiation.section(mid)
    assert mine is not None
    assert meaning is not None
    assert [(rid.id, rid.direction) for rid in mine.rids] == [(rid, "recv") for rid in rids]
    assert mine.simulcast_recv == rids
    assert mine.simulcast_send == ()
    assert mine.direction == meaning.direction == "recvonly"
    assert meaning.rids == rids
    assert meaning.announced == ()
    assert {"mid", "rid"} <= set(meaning.extensions)
    assert f"a=simulcast:recv {';'.join(rids)}\r\n" in result.sdp


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("python-vp9-offer.sdp", "vp9"),
        ("python-av1-offer.sdp", "av1"),
        ("chromium-vp9-svc-offer.sdp", "vp9"),
        ("chromium-av1-svc-offer.sdp", "av1"),
    ],
)
def test_publish_when_one_stream_then_its_ssrc_is_announced(name: str, codec: str) -> None:
    result = answered(name, lambda s: Publish(f"video/{codec.upper()}") if s.sends else None)
    meaning = result.negotiation.section("8")
    offered = load(name).section("8")
    assert meaning is not None
    assert offered is not None
    (stream,) = meaning.announced
    assert stream.ssrc == next(iter(offered.ssrcs))
    assert meaning.repairs == ({stream.ssrc: stream.rtx_ssrc} if stream.rtx_ssrc else {})
    assert bool(stream.rtx_ssrc) == name.startswith("chromium")
    assert next(iter(meaning.payload_types)) == codec
    assert meaning.codecs[meaning.payload_types[codec]] == Codec(codec, 90000)
    assert meaning.remb
    assert meaning.track_id == offered.track_id != ""
    assert meaning.rids == ()


def test_publish_when_go_names_streams_and_rids_then_repairs_are_known() -> None:
    meaning = answered("go-h264-simulcast-offer.sdp").negotiation.section("0")
    assert meaning is not None
    assert meaning.repairs == {
        3891497403: 1742867530,
        443563338: 619912252,
        3241367491: 3438165829,
    }
    assert meaning.track_id == "demo-video"


def test_publish_when_sim_group_then_layers_come_low_to_high_with_their_rtx() -> None:
    meaning = answered("handmade-sim-group-offer.sdp").negotiation.sections[0]
    assert meaning.announced == (
        AnnouncedSsrc(11, 12),
        AnnouncedSsrc(21, 22),
        AnnouncedSsrc(31, 32),
    )
    assert (meaning.stream_id, meaning.track_id) == ("stream", "track")


@pytest.mark.parametrize("prefer", ["h264", "H264", "video/H264"])
def test_publish_when_a_codec_is_preferred_then_it_stands_first_with_its_rtx(prefer: str) -> None:
    offer = load("chromium-vp8-simulcast-offer.sdp")
    result = answer(offer, OURS, lambda s: Publish(prefer) if s.sends else None)
    video = result.description.section("8")
    assert video is not None
    assert list(video.codecs)[:2] == [108, 109]
    assert video.codecs[108].parameters["packetization-mode"] == "1"
    assert video.codecs[108].parameters["profile-level-id"] == "42e01f"
    assert video.codecs[109].parameters["apt"] == "108"
    assert video.formats[0] == "108"


def test_publish_when_the_preferred_codec_is_unknown_then_the_offers_order_holds() -> None:
    result = answered(
        "chromium-vp8-simulcast-offer.sdp", lambda s: Publish("h266") if s.sends else None
    )
    video = result.negotiation.section("8")
    assert video is not None
    assert next(iter(video.payload_types)) == "vp8"


def test_publish_when_chromium_offers_everything_then_only_spoken_formats_are_answered() -> None:
    offer = load("chromium-join-offer.sdp")
    video = answered("chromium-join-offer.sdp").description.section("3")
    offered = offer.section("3")
    assert video is not None
    assert offered is not None
    assert {c.codec for c in video.codecs.values()} == {"vp8", "vp9", "h264", "av1", "rtx"}
    assert [c.parameters["profile-id"] for c in video.codecs.values() if c.codec == "vp9"] == ["0"]
    for pt, codec in video.codecs.items():
        assert codec.fmtp == offered.codecs[pt].fmtp
        if codec.codec == "rtx":
            assert int(codec.parameters["apt"]) in video.codecs
            assert codec.feedback == ()
        else:
            assert set(codec.feedback) == {
                "goog-remb", "transport-cc", "ccm fir", "nack", "nack pli",
            }  # fmt: skip
    audio = answered("chromium-join-offer.sdp").description.section("0")
    assert audio is not None
    assert {c.codec for c in audio.codecs.values()} == {"opus"}
    assert audio.codecs[111].feedback == ()


@pytest.mark.parametrize(
    ("publish", "fmtp"),
    [
        (Publish(), "minptime=10;useinbandfec=1;usedtx=1"),
        (Publish(dtx=False), "minptime=10;useinbandfec=1"),
        (
            Publish(stereo=True),
            "minptime=10;useinbandfec=1;usedtx=1;stereo=1;maxaveragebitrate=510000",
        ),
    ],
)
def test_publish_when_opus_options_then_they_are_asked_for(publish: Publish, fmtp: str) -> None:
    result = answered("python-audio-offer.sdp", lambda s: publish if s.sends else None)
    audio = result.description.section("7")
    assert audio is not None
    assert audio.codecs[111].fmtp == fmtp


def test_subscribe_when_receiving_sections_are_free_then_track_and_streams_are_named() -> None:
    def decide(section: MediaSection) -> Decision | None:
        return TRACK if section.mid in ("0", "3") else None

    result = answered("chromium-join-offer.sdp", decide)
    audio, video = result.description.section("0"), result.description.section("3")
    assert audio is not None
    assert video is not None
    assert (video.direction, video.stream_id, video.track_id) == ("sendonly", "PA_a|TR_b", "TR_b")
    text = result.sdp
    assert "a=msid:PA_a|TR_b TR_b\r\n" in text
    assert "a=ssrc:1000 cname:PA_a\r\n" in text
    assert "a=ssrc:1000 msid:PA_a|TR_b TR_b\r\n" in text
    assert text.count("a=ssrc-group:FID 1000 1001\r\n") == 1
    assert tuple(video.ssrcs) == (1000, 1001)
    assert tuple(audio.ssrcs) == (1000,)
    free = result.description.section("4")
    assert free is not None
    assert (free.direction, free.stream_id, dict(free.ssrcs)) == ("sendonly", "", {})
    meaning = result.negotiation.section("3")
    assert meaning is not None
    assert meaning.decision == TRACK
    assert meaning.payload_types["vp8"] == 96
    assert meaning.rtx_payload_types[96] == 97
    assert result.negotiation.send_extensions == {
        "mid": 4, "abs_send_time": 2, "dependency_descriptor": 12,
    }  # fmt: skip
    assert result.negotiation.recv_extensions["audio_level"] == 1


def test_subscribe_when_stereo_then_announced() -> None:
    result = answered(
        "chromium-join-offer.sdp",
        lambda s: replace(TRACK, stereo=True) if s.mid == "0" else None,
    )
    assert result.sdp.count("sprop-stereo=1") == 1


def test_subscribe_when_rtx_is_not_negotiated_then_only_one_stream() -> None:
    capabilities = replace(CAPABILITIES, rtx=False)
    offer = load("chromium-join-offer.sdp")
    result = answer(
        offer, OURS, lambda s: TRACK if s.mid == "3" else None, capabilities=capabilities
    )
    assert "ssrc-group" not in result.sdp
    assert "rtx" not in result.sdp


def test_payload_type_when_profiles_differ_then_the_closest_is_chosen() -> None:
    meaning = answered("chromium-join-offer.sdp").negotiation.section("3")
    assert meaning is not None

    def of(fmtp: str) -> dict[str, str]:
        pt = meaning.payload_type_for(RtpFormat(9, "H264", 90000, fmtp=fmtp))
        assert pt is not None
        return meaning.formats[pt].parameters

    baseline = of("packetization-mode=1;profile-level-id=42c02a")
    assert (baseline["packetization-mode"], baseline["profile-level-id"]) == ("1", "42e01f")
    assert of("packetization-mode=0;profile-level-id=42e01f")["packetization-mode"] == "0"
    assert of("packetization-mode=1;profile-level-id=4d0032")["profile-level-id"] == "4d001f"
    assert of("packetization-mode=1;profile-level-id=7a0032")["packetization-mode"] == "1"
    assert of("profile-level-id=zz")["packetization-mode"] == "0"
    assert meaning.payload_type_for(RtpFormat(9, "VP8", 90000)) == 96
    assert meaning.payload_type_for(RtpFormat(9, "H265", 90000)) is None


def test_answer_when_the_caller_is_silent_then_receiving_sections_wait_and_sending_ones_rest() -> (
    None
):
    result = answered("python-vp8-simulcast-offer.sdp", lambda _: None)
    decisions = [section.decision for section in result.negotiation.sections]
    assert decisions == [Placeholder()] * 6 + [Inactive()] * 2


@pytest.mark.parametrize(
    ("name", "decision"),
    [
        ("chromium-unpublished-offer.sdp", Inactive()),
        # this client turns the section round: it may carry a track to it now, but VP8 alone
        ("python-unpublished-offer.sdp", Placeholder()),
    ],
)
def test_answer_when_a_track_is_unpublished_then_its_section_publishes_no_more(
    name: str, decision: Decision
) -> None:
    meaning = answered(name).negotiation.section("8")
    assert meaning is not None
    assert (meaning.decision, meaning.rejected) == (decision, False)
    assert meaning.formats
    assert (set(meaning.payload_types) == {"vp8"}) == name.startswith("python")


def test_answer_when_rejected_then_port_zero_and_outside_the_bundle() -> None:
    result = answered(
        "chromium-vp8-simulcast-offer.sdp",
        lambda s: Reject("not allowed") if s.kind == "video" else publish_all(s),
    )
    video = result.description.section("8")
    meaning = result.negotiation.section("8")
    assert video is not None
    assert meaning is not None
    assert video.rejected
    assert video.formats == load("chromium-vp8-simulcast-offer.sdp").sections[8].formats
    assert result.description.bundle == ("0", "1", "2", "6", "7")
    assert (meaning.rejected, meaning.reason, meaning.codecs) == (True, "not allowed", {})
    assert 96 not in result.negotiation.recv_codecs


@pytest.mark.parametrize(
    ("decision", "mid"),
    [(Publish(), "0"), (TRACK, "7"), (Placeholder(), "7"), (TRACK, "8")],
)
def test_answer_when_a_decision_does_not_fit_then_it_is_our_fault(
    decision: Decision, mid: str
) -> None:
    name = "chromium-unpublished-offer.sdp"
    with pytest.raises(LocalProtocolError):
        answered(name, lambda s: decision if s.mid == mid else None)


def test_data_channel_when_offered_then_accepted_once() -> None:
    offer = load("chromium-join-offer.sdp")
    data = answer(offer, OURS, publish_all).negotiation.data
    assert data is not None
    assert (data.mid, data.index, data.sctp_port, data.max_message_size) == ("6", 6, 5000, 262144)
    text = answer(offer, OURS, publish_all).sdp
    assert "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n" in text
    assert "a=sctp-port:5000\r\na=max-message-size:65535\r\n" in text
    second = replace(offer.sections[6], mid="twice")
    doubled = replace(offer, sections=(*offer.sections, second), bundle=(*offer.bundle, "twice"))
    sections = answer(doubled, OURS, publish_all).description.sections
    assert not sections[6].rejected
    assert sections[7].rejected


def test_data_channel_when_its_protocol_is_old_then_rejected() -> None:
    offer = load("chromium-join-offer.sdp")
    old = replace(offer.sections[6], proto="DTLS/SCTP", formats=("5000",))
    result = answer(replace(offer, sections=(*offer.sections[:6], old)), OURS, publish_all)
    assert result.negotiation.data is None
    assert result.description.sections[6].rejected


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"proto": "RTP/AVP"}, "transport"),
        ({"rtcp_mux": False}, "transport"),
        ({"kind": "text"}, "media type"),
        ({"codecs": {}}, "codec"),
        ({"mid": "elsewhere"}, "BUNDLE"),
        ({"port": 0}, "peer"),
    ],
)
def test_answer_when_a_section_is_impossible_then_it_alone_is_rejected(
    change: dict[str, object], reason: str
) -> None:
    offer = load("python-audio-offer.sdp")
    broken = replace(offer.sections[7], **change)
    asked: list[str] = []

    def decide(section: MediaSection) -> Decision | None:
        asked.append(section.mid)
        return None

    result = answer(replace(offer, sections=(*offer.sections[:7], broken)), OURS, decide)
    meaning = result.negotiation.sections[-1]
    assert meaning.rejected
    assert reason in meaning.reason
    assert asked == list("012345")
    assert not any(section.rejected for section in result.description.sections[:7])


def test_answer_when_nothing_is_bundled_then_only_one_section_lives() -> None:
    offer = replace(load("python-audio-offer.sdp"), bundle=())
    live = [s.mid for s in answer(offer, OURS, publish_all).description.sections if not s.rejected]
    assert live == ["0"]


def test_answer_when_no_mid_and_no_bundle_then_answered_without() -> None:
    result = answered("handmade-minimal-offer.sdp")
    assert "a=mid" not in result.sdp
    assert "BUNDLE" not in result.sdp
    assert result.negotiation.sections[0].codecs == {111: Codec("opus", 48000)}
    assert "extmap-allow-mixed" not in result.sdp


def test_transport_when_written_then_candidates_stand_in_the_first_live_section() -> None:
    result = answer(load("chromium-join-offer.sdp"), OURS, publish_all, origin=Origin(77, 3))
    assert result.sdp.count("a=candidate:") == 2
    first = result.sdp.split("m=")[1]
    assert "a=candidate:1 1 udp 2130706431 192.0.2.1 7882 typ host\r\n" in first
    assert "192.0.2.1 7881 typ host tcptype passive\r\n" in first
    assert result.sdp.startswith("v=0\r\no=- 77 3 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n")
    assert result.sdp.endswith("\r\n")


@pytest.mark.parametrize(
    ("name", "wanted", "role"),
    [
        ("chromium-join-offer.sdp", "passive", "passive"),
        ("chromium-join-offer.sdp", "active", "active"),
        ("ffmpeg-whip-h264-offer.sdp", "passive", "active"),
        ("handmade-minimal-offer.sdp", "active", "passive"),
    ],
)
def test_role_when_the_offer_leaves_or_takes_it_then_we_follow(
    name: str, wanted: str, role: str
) -> None:
    result = answer(load(name), replace(OURS, setup=wanted), publish_all)
    assert result.negotiation.role == role
    assert result.description.sections[0].setup == role


def test_role_when_held_or_nonsense_then_refused() -> None:
    offer = load("handmade-minimal-offer.sdp")
    held = replace(offer, sections=(replace(offer.sections[0], setup="holdconn"),))
    with pytest.raises(RemoteProtocolError):
        answer(held, OURS, publish_all)
    with pytest.raises(LocalProtocolError):
        answer(offer, replace(OURS, setup="actpass"), publish_all)


def test_remote_when_resumed_then_the_restart_shows() -> None:
    before = remote_transport(load("chromium-before-resume-offer.sdp"))
    after = remote_transport(load("chromium-resume-offer.sdp"))
    assert after.restarted(before)
    assert not before.restarted(before)
    assert after.fingerprint == before.fingerprint
    assert before.pwd not in repr(before)


def test_remote_when_at_session_level_then_found() -> None:
    remote = answered("handmade-firefox-simulcast-offer.sdp").negotiation.remote
    assert remote.ufrag == "6e2c7d0a"
    assert remote.fingerprint == "sha-256 " + ":".join(["3C"] * 32)


@pytest.mark.parametrize("missing", ["ice_ufrag", "ice_pwd", "fingerprints"])
def test_remote_when_something_is_missing_then_refused(missing: str) -> None:
    offer = load("handmade-minimal-offer.sdp")
    with pytest.raises(RemoteProtocolError):
        answer(replace(offer, **{missing: type(getattr(offer, missing))()}), OURS, publish_all)


def test_answer_when_there_are_no_sections_then_refused() -> None:
    offer = load("handmade-minimal-offer.sdp")
    with pytest.raises(RemoteProtocolError, match="no sections"):
        answer(replace(offer, sections=()), OURS, publish_all)


def test_remote_when_only_a_weak_hash_then_refused() -> None:
    offer = load("handmade-minimal-offer.sdp")
    weak = replace(offer.fingerprints[0], algorithm="sha-1")
    with pytest.raises(RemoteProtocolError, match="fingerprint"):
        remote_transport(replace(offer, fingerprints=(weak,)))


def test_answer_when_a_payload_type_has_two_meanings_then_refused() -> None:
    offer = load("python-audio-offer.sdp")
    liar = replace(
        offer.sections[3],
        formats=("111",),
        codecs={111: replace(offer.sections[3].codecs[96], payload_type=111)},
    )
    sections = (*offer.sections[:3], liar, *offer.sections[4:])
    with pytest.raises(RemoteProtocolError, match="payload type"):
        answer(replace(offer, sections=sections), OURS, publish_all)


@pytest.mark.parametrize("identifier", [1, 9])
def test_answer_when_extension_ids_contradict_then_refused(identifier: int) -> None:
    offer = load("python-audio-offer.sdp")
    liar = replace(offer.sections[7], extmap={identifier: EXTENSION_URIS["mid"]})
    with pytest.raises(RemoteProtocolError, match="extension"):
        answer(replace(offer, sections=(*offer.sections[:7], liar)), OURS, publish_all)


def test_extension_when_its_id_is_beyond_two_bytes_then_left_out() -> None:
    offer = load("handmade-minimal-offer.sdp")
    section = replace(offer.sections[0], extmap={4100: EXTENSION_URIS["mid"]})
    result = answer(replace(offer, sections=(section,)), OURS, publish_all)
    assert result.negotiation.recv_extensions == {}


def test_capabilities_when_without_transport_cc_then_neither_feedback_nor_extension() -> None:
    result = answer(
        load("chromium-join-offer.sdp"),
        OURS,
        publish_all,
        capabilities=CAPABILITIES.without_transport_cc(),
    )
    assert "transport-cc" not in result.sdp
    assert "transport-wide-cc" not in result.sdp
    assert "goog-remb" in result.sdp
    assert "twcc" not in result.negotiation.recv_extensions


def test_whip_when_ffmpeg_offers_then_both_tracks_are_taken() -> None:
    offer = SessionDescription.parse(
        (DATA / "ffmpeg-whip-h264-offer.sdp").read_bytes(), EXTERNAL_LIMITS
    )
    result = answer(offer, OURS, publish_all)
    audio, video = result.negotiation.sections
    assert (audio.direction, video.direction) == ("recvonly", "recvonly")
    assert audio.announced == (AnnouncedSsrc(2813546654),)
    assert video.announced == (AnnouncedSsrc(2813546655, 2813546656),)
    assert video.codecs == {106: Codec("h264", 90000), 105: Codec("rtx", 90000, 106)}
    assert result.negotiation.data is None
    assert result.negotiation.role == "active"


def test_codecs_when_collected_then_as_the_engine_wants_them() -> None:
    codecs = answered("python-vp8-simulcast-offer.sdp").negotiation.recv_codecs
    assert codecs[111] == Codec("opus", 48000)
    assert codecs[96] == Codec("vp8", 90000)
    assert codecs[97] == Codec("rtx", 90000, 96)
    assert codecs[45] == Codec("av1", 90000)
    assert 63 not in codecs


def test_repr_when_printed_then_no_password_of_ours() -> None:
    assert "p" * 24 not in repr(OURS)
    assert "p" * 24 not in repr(answered("chromium-join-offer.sdp"))


def test_trickle_when_rendered_then_json_the_clients_parse() -> None:
    udp, tcp = OURS.candidates
    assert json.loads(candidate_init(udp, "0", 0, "local")) == {
        "candidate": "candidate:1 1 udp 2130706431 192.0.2.1 7882 typ host",
        "sdpMid": "0",
        "sdpMLineIndex": 0,
        "usernameFragment": "local",
    }
    line = json.loads(candidate_init(tcp, "7", 7))
    assert line["candidate"].endswith("7881 typ host tcptype passive")
    assert "usernameFragment" not in line
