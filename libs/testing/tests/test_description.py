"""Offers can be read, and answers are taken apart."""

from roomful_rtc.sdp.limits import SIGNALLING_LIMITS
from roomful_rtc.sdp.reader import read_description
from roomful_testing.peer.description import (
    H264,
    OPUS,
    RIDS,
    VP8,
    Answer,
    Credentials,
    Section,
    offer,
    sending,
)

CREDENTIALS = Credentials("abcd", "p" * 24, "sha-256 " + ":".join(["AB"] * 32))
ANSWER = """v=0
o=- 1 2 IN IP4 127.0.0.1
s=-
t=0 0
a=ice-ufrag:them
a=ice-pwd:secret
a=fingerprint:sha-256 AA:BB
m=video 9 UDP/TLS/RTP/SAVPF 96 97
a=setup:active
a=mid:0
a=sendonly
a=rtpmap:96 VP8/90000
a=rtpmap:97 rtx/90000
a=ssrc:5 msid:a b
a=ssrc:5 cname:x
a=ssrc:6 msid:a b
a=candidate:1 1 udp 1 192.0.2.1 7 typ host
a=candidate:2 1 udp 1 127.0.0.1 8 typ host
a=candidate:3 1 tcp 1 127.0.0.2 9 typ host tcptype passive
a=candidate:4 1 udp 1 fd00::1 9 typ host
m=audio 0 UDP/TLS/RTP/SAVPF 111
a=mid:1
a=sendonly
"""


def test_offer_holds_the_sections_that_were_asked_for():
    text = offer(
        CREDENTIALS,
        [
            Section("application"),
            Section("audio", "sendonly", "mic", ssrc=9),
            Section("video", "sendonly", "cam", rids=RIDS, codecs=("h264",)),
            Section("video", mid="x"),
        ],
    )
    channels, microphone, camera, eye = read_description(text, SIGNALLING_LIMITS).sections

    assert [s.mid for s in (channels, microphone, camera, eye)] == ["0", "1", "2", "x"]
    assert (microphone.direction, microphone.track_id, list(microphone.ssrcs)) == (
        "sendonly", "mic", [9],
    )  # fmt: skip
    assert list(microphone.codecs) == [OPUS]
    assert (list(camera.codecs), camera.simulcast_send) == ([H264, H264 + 1], RIDS)
    assert (next(iter(eye.codecs)), eye.direction, eye.ssrcs) == (VP8, "recvonly", {})


def test_answer_tells_the_transport_and_what_is_sent():
    answer = Answer.parse(ANSWER)
    remote = answer.remote()

    assert remote is not None
    assert (remote.ufrag, remote.setup, remote.address) == ("them", "active", ("127.0.0.1", 8))
    assert answer.section("0").ssrcs == [5, 6]
    assert answer.section("0").codecs == {96: "vp8", 97: "rtx"}
    assert answer.section("1").rejected
    assert answer.section("unknown").rejected
    assert sending(answer.sections) == ["0"]


def test_answer_without_candidates_has_no_address_until_one_comes():
    answer = Answer.parse(
        "\n".join(line for line in ANSWER.splitlines() if "candidate" not in line)
    )
    assert answer.remote() is None

    answer.take("candidate:1 1 UDP 1 192.0.2.7 7 typ host")
    remote = answer.remote()

    assert remote is not None
    assert remote.address == ("192.0.2.7", 7)
