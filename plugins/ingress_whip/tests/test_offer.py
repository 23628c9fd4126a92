"""Offers: what is refused and with which words, what is published, how layers stand."""

import random

import pytest

from roomful.model.enums import VideoQuality
from roomful.settings import Settings
from roomful_ingress_whip.offer import accepted, layers, read_offer
from roomful_ingress_whip.problem import Problem
from roomful_rtc.offer_answer import Inactive, LocalTransport, Publish, answer

EVERYTHING = accepted(("audio/opus", "video/VP8", "video/H264", "video/VP9", "video/AV1"))
HEAD = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
TRANSPORT = (
    "a=ice-ufrag:abcd\r\na=ice-pwd:aaaaaaaaaaaaaaaaaaaaaaaa\r\n"
    "a=fingerprint:sha-256 " + ":".join(["AB"] * 32) + "\r\na=setup:actpass\r\n"
)


def section(kind, mid, *lines, formats="96", direction="sendonly", port=9):
    return (
        f"m={kind} {port} UDP/TLS/RTP/SAVPF {formats}\r\nc=IN IP4 0.0.0.0\r\n"
        f"a=mid:{mid}\r\na={direction}\r\na=rtcp-mux\r\n" + "".join(f"a={ln}\r\n" for ln in lines)
    )


AUDIO = section("audio", 0, "rtpmap:111 OPUS/48000/2", "fmtp:111 stereo=1", formats="111")
VIDEO = section(
    "video", 1, "rtpmap:96 VP8/90000", "rtpmap:102 H264/90000",
    "fmtp:102 packetization-mode=1;profile-level-id=42e01f", formats="96 102",
)  # fmt: skip
BUNDLE = "a=group:BUNDLE 0 1\r\n"
GOOD = HEAD + BUNDLE + TRANSPORT + AUDIO + VIDEO


def refusal(text, capabilities=EVERYTHING):
    with pytest.raises(Problem) as caught:
        read_offer(text.encode(), capabilities)
    return caught.value.status, caught.value.detail


def answered(text):
    offer = read_offer(text.encode(), EVERYTHING)
    local = LocalTransport("ufrag", "p" * 24, "sha-256 AA", "passive", ["candidate:1"])
    return answer(offer.description, local, offer.decide, capabilities=EVERYTHING)


def test_both_kinds_are_published_under_the_offers_own_numbers():
    offer = read_offer(GOOD.encode(), EVERYTHING)
    result = answered(GOOD)

    assert set(offer.sections) == {"audio", "video"}
    assert offer.stereo
    assert [s.direction for s in result.negotiation.sections] == ["recvonly", "recvonly"]
    assert list(result.negotiation.sections[1].formats) == [96, 102]
    assert "a=ice-lite" in result.sdp and "a=setup:passive" in result.sdp
    assert "stereo=1" in result.sdp and "usedtx" not in result.sdp


def test_port_0_with_bundle_only_is_not_a_rejected_section():
    text = HEAD + BUNDLE + TRANSPORT + VIDEO.replace("mid:1", "mid:0")
    text += section("audio", 1, "bundle-only", "rtpmap:111 opus/48000/2", formats="111", port=0)

    assert set(read_offer(text.encode(), EVERYTHING).sections) == {"audio", "video"}


def test_sections_that_only_receive_stay_inactive():
    text = GOOD.replace("a=sendonly", "a=recvonly", 1)
    offer = read_offer(text.encode(), EVERYTHING)

    decisions = [offer.decide(s) for s in offer.description.sections]
    assert decisions == [Inactive(), Publish(dtx=False, stereo=False)]


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [
        ("", 400, "empty"),
        ("hello", 400, "session description"),
        (HEAD, 400, "no media"),
        (HEAD + AUDIO, 400, "ICE credentials"),
        (GOOD.replace("a=fingerprint", "a=x"), 400, "fingerprint"),
        (GOOD.replace("a=sendonly", "a=recvonly"), 400, "neither audio nor video"),
        (GOOD + VIDEO.replace("mid:1", "mid:2"), 406, "two video tracks"),
        (GOOD.replace("VP8", "FOO").replace("H264", "BAR"), 406, "FOO, BAR offered"),
        (GOOD.replace(BUNDLE, ""), 400, "BUNDLE"),
        ("a=ice-lite\r\n".join((HEAD, BUNDLE + TRANSPORT + AUDIO + VIDEO)), 400, "ice-lite"),
        (GOOD + "a=simulcast:send a;b\r\na=rid:a send\r\n", 400, "a=simulcast:send a;b"),
        (GOOD + "a=simulcast:send a;a\r\na=rid:a send\r\n", 400, "a"),
        (GOOD + "a=rid:a send\r\na=rid:b send\r\n", 400, "a=simulcast"),
        (
            GOOD + "a=simulcast:send a;b;c;d\r\n" + "".join(f"a=rid:{r} send\r\n" for r in "abcd"),
            400,
            "3 layers",
        ),
        (GOOD + "x" * (64 << 10), 413, "65536"),
    ],
)
def test_refused(text, status, words):
    got, detail = refusal(text)

    assert got == status
    assert words in detail


def test_codecs_are_those_the_room_allows():
    only = accepted(("audio/opus", "video/H264"))

    assert list(read_offer(GOOD.encode(), only).sections) == ["audio", "video"]
    assert refusal(GOOD, accepted(("video/VP8",)))[0] == 406
    assert accepted(Settings().room.enabled_codecs).codecs == EVERYTHING.codecs


def test_simulcast_is_mirrored():
    text = GOOD + "".join(f"a=rid:{r} send\r\n" for r in "qhf") + "a=simulcast:send q;h;f\r\n"

    sdp = answered(text).sdp

    assert "a=simulcast:recv q;h;f" in sdp
    assert [line for line in sdp.splitlines() if "a=rid" in line] == [
        "a=rid:q recv", "a=rid:h recv", "a=rid:f recv",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rids", "lowest_first", "lowest"),
    [
        ("qhf", "qhf", VideoQuality.LOW),
        ("fhq", "qhf", VideoQuality.LOW),
        ("hlm", "lmh", VideoQuality.LOW),
        ("xyz", "zyx", VideoQuality.LOW),
        ("ab", "ba", VideoQuality.MEDIUM),
        ("qh", "qh", VideoQuality.MEDIUM),
        ("a", "a", VideoQuality.HIGH),
        ("", "", None),
    ],
)
def test_order_of_layers(rids, lowest_first, lowest):
    found = layers(tuple(rids))

    assert "".join(layer.rid for layer in found) == lowest_first
    assert [layer.spatial_layer for layer in found] == list(range(len(rids)))
    if lowest is not None:
        assert found[0].quality is lowest
        assert found[-1].quality is VideoQuality.HIGH


@pytest.mark.parametrize("seed", range(300))
def test_mutated_offers_are_read_or_refused(seed):
    chance = random.Random(seed)
    body = bytearray((GOOD + "a=rid:a send\r\na=simulcast:send a\r\n").encode())
    for _ in range(chance.randint(1, 12)):
        place = chance.randrange(len(body))
        match chance.randrange(3):
            case 0:
                body[place] = chance.randrange(256)
            case 1:
                del body[place : place + chance.randint(1, 40)]
            case _:
                body[place:place] = body[chance.randrange(len(body)) :][: chance.randint(1, 60)]
    try:
        read_offer(bytes(body), EVERYTHING)
    except Problem as problem:
        assert problem.status in (400, 406, 413)
