"""The server's side: fed by captures of real encoders, by our client, by mutations of both."""

import random
from pathlib import Path

import pytest

from roomful.errors import LocalProtocolError, RemoteProtocolError
from roomful_rtmp import amf0, message
from roomful_rtmp.chunk import ChunkReader, ChunkWriter
from roomful_rtmp.client import ClientConnection, Publishing, Refused
from roomful_rtmp.message import Message
from roomful_rtmp.server import (
    Connected,
    Media,
    MetaData,
    PublishRequested,
    ServerConnection,
    Unpublished,
)
from roomful_rtmp.tag import Part, read_audio, read_video

DATA = Path(__file__).with_name("data")
CAPTURES = sorted(DATA.glob("*.bin"))
HANDSHAKE = b"\x03" + bytes(1536) + bytes(1536)


def feed(data, step=1000):
    """Everything a capture leads to; the stream is accepted."""
    server, events = ServerConnection(), []
    for at in range(0, len(data), step):
        for event in server.receive(data[at : at + step]):
            if isinstance(event, PublishRequested):
                server.accept_publish()
            events.append(event)
        server.take_output()
    return events


def command(*values, stream=0, writer=None):
    writer = writer or ChunkWriter()
    writer.chunk = 1 << 20
    return writer.write(Message(message.COMMAND, amf0.encode(*values), 0, stream), 3)


def begun(*more):
    size = ChunkWriter().write(Message(message.SET_CHUNK_SIZE, (1 << 20).to_bytes(4, "big")), 2)
    return HANDSHAKE + size + b"".join(more)


CONNECT = command("connect", 1, {"app": "live", "tcUrl": "rtmp://x/live"})
CREATE = command("createStream", 2, None)
PUBLISH = command("publish", 3, None, "KEY", "live", stream=1)


@pytest.mark.parametrize("step", [1, 333, 100_000])
def test_ffmpeg_baseline_and_aac(step):
    events = feed((DATA / "ffmpeg_baseline_aac.bin").read_bytes(), step)

    connected, asked, metadata, *media, end = events
    assert isinstance(connected, Connected) and connected.app == "live"
    assert asked.stream_key == "KEY" and "KEY" not in repr(asked) + repr(connected)
    assert isinstance(metadata, MetaData) and metadata.values["width"] == 64.0
    assert end == Unpublished()
    video = [read_video(m.payload) for m in media if m.is_video]
    audio = [read_audio(m.payload) for m in media if not m.is_video]
    assert video[0].part is Part.CONFIGURATION and audio[0].part is Part.CONFIGURATION
    frames = [t for t in video if t.part is Part.FRAME]
    assert [t.is_key for t in frames] == [True] + [False] * 7 + [True] + [False] * 6
    assert {t.codec for t in frames} == {"h264"} and {t.composition_ms for t in frames} == {0}
    assert {t.codec for t in audio} == {"aac"} and len(audio) > 40
    stamps = [m.timestamp for m in media if m.is_video]
    assert stamps == sorted(stamps) and 900 < stamps[-2] - stamps[0] < 1000


def test_ffmpeg_b_frames_show_in_the_first_key_frame():
    events = feed((DATA / "ffmpeg_high_bframes.bin").read_bytes())

    assert events[1].name == "KEY?x=y" and events[1].stream_key == "KEY"
    frames = [read_video(m.payload) for m in events if isinstance(m, Media)]
    first = next(t for t in frames if t.part is Part.FRAME)
    assert first.is_key and first.composition_ms > 0


def test_ffmpeg_8_enhanced():
    events = feed((DATA / "ffmpeg8_hevc_opus.bin").read_bytes())

    media = [m for m in events if isinstance(m, Media)]
    assert {read_video(m.payload).codec for m in media if m.is_video} == {"h265"}
    assert {read_audio(m.payload).codec for m in media if not m.is_video} == {"opus"}


@pytest.mark.parametrize("key", ["KEY", "live/KEY", "a/b/KEY?x=/y", "KEY/"])
def test_stream_key_is_the_last_part_of_the_name(key):
    assert PublishRequested(key, "live").stream_key == "KEY"


def run(client, server, decide):
    """Let both talk until nobody has anything to say; return what each was told."""
    told = [], []
    while True:
        to_server, to_client = client.take_output(), server.take_output()
        if not to_server and not to_client:
            return told
        for event in server.receive(to_server):
            told[1].append(event)
            if isinstance(event, PublishRequested):
                decide(server)
        told[0].extend(client.receive(to_client))


def test_our_client_publishes_to_our_server():
    client, server = ClientConnection("live", "rtmp://x/live", "KEY"), ServerConnection()
    at_client, at_server = run(client, server, lambda s: s.accept_publish())
    assert at_client == [Publishing()]
    assert [type(e) for e in at_server] == [Connected, PublishRequested]

    client.send_metadata({"width": 640})
    client.send_video(b"\x17\x01" + bytes(10_000), 2**32 + 5)
    client.send_audio(b"\xaf\x01x", 7)
    client.unpublish()
    _, at_server = run(client, server, None)

    assert at_server[0] == MetaData({"width": 640.0})
    assert [(e.is_video, e.timestamp, len(e.payload)) for e in at_server[1:3]] == [
        (True, 5, 10_002), (False, 7, 3),
    ]  # fmt: skip
    assert at_server[3:] == [Unpublished()]
    with pytest.raises(LocalProtocolError):
        client.send_audio(b"\xaf\x01", 0)


def test_a_refusal_says_why_and_an_end_too():
    client, server = ClientConnection("live", "rtmp://x/live", "KEY"), ServerConnection()
    at_client, _ = run(client, server, lambda s: s.reject_publish("unknown stream key"))
    assert at_client == [Refused("NetStream.Publish.BadName", "unknown stream key")]

    client, server = ClientConnection("live", "rtmp://x/live", "KEY"), ServerConnection()
    run(client, server, lambda s: s.accept_publish())
    server.end_publish("the ingress was deleted")
    at_client, _ = run(client, server, None)
    assert at_client == [Refused("NetStream.Publish.Failed", "the ingress was deleted")]


def test_acknowledgements_and_pings_are_answered():
    server = ServerConnection()
    window = ChunkWriter().write(Message(message.WINDOW_SIZE, (2000).to_bytes(4, "big")), 2)
    ping = ChunkWriter().write(Message(message.USER_CONTROL, b"\0\x06\0\0\0\x09"), 2)
    list(server.receive(HANDSHAKE + window + ping))
    list(server.receive(ChunkWriter().write(Message(99, bytes(3000)), 4)))
    output = server.take_output()[3073:]

    found = [(m.type, m.payload) for m in ChunkReader(1 << 20).receive(output)]
    assert (message.USER_CONTROL, b"\0\x07\0\0\0\x09") in found
    assert message.ACKNOWLEDGEMENT in [kind for kind, _ in found]


def test_codecs_are_told_to_clients_that_ask():
    for named, expected in (({}, False), ({"fourCcList": ["*"]}, True)):
        server = ServerConnection()
        list(server.receive(begun(command("connect", 1, {"app": "x", **named}))))
        output = server.take_output()[3073:]
        answer = [m for m in ChunkReader(1 << 20).receive(output) if m.type == message.COMMAND]
        info = amf0.decode(answer[0].payload)[3]
        assert ("fourCcList" in info) is expected


def tagged(kind, body, stamp=0):
    return (
        bytes((kind,)) + len(body).to_bytes(3, "big") + stamp.to_bytes(3, "big") + bytes(4)
        + body + (11 + len(body)).to_bytes(4, "big")
    )  # fmt: skip


def aggregate(body):
    return ChunkWriter().write(Message(message.AGGREGATE, body, 500, 1), 6)


def test_aggregates_are_taken_apart():
    body = tagged(message.AUDIO, b"\xaf\x01a", 100) + tagged(message.VIDEO, b"\x17\x01b", 140)
    events = feed(begun(CONNECT, CREATE, PUBLISH, aggregate(body)))

    assert [(e.is_video, e.timestamp) for e in events[2:]] == [(False, 500), (True, 540)]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"G", "version 3"),
        (b"\x00", "version 3"),
        (begun(CREATE), "createStream comes before connect"),
        (begun(CONNECT, PUBLISH), "without a stream"),
        (begun(CONNECT, CONNECT), "connect comes twice"),
        (begun(CONNECT, *[CREATE] * 17), "streams are created"),
        (begun(CONNECT, CREATE, PUBLISH, PUBLISH), "while something is published"),
        (begun(ChunkWriter().write(Message(message.VIDEO, b"x", 0, 1), 6)), "media comes before"),
        (begun(command("connect", 1, {"app": "x" * 70_000})), "exceeds"),
        (begun(CONNECT, CREATE, PUBLISH, aggregate(tagged(message.AGGREGATE, b""))), "must not"),
        (begun(CONNECT, CREATE, PUBLISH, aggregate(b"short")), "cut off"),
        (begun(b"\x04" + bytes(3) + b"\xff\xff\xff" + bytes(5)), "exceeds"),
    ],
)
def test_refused(data, words):
    with pytest.raises(RemoteProtocolError, match=words):
        feed(data)


def test_media_after_a_refusal_is_ignored():
    server = ServerConnection()
    for event in server.receive(begun(CONNECT, CREATE, PUBLISH)):
        if isinstance(event, PublishRequested):
            server.reject_publish("no")
    media = ChunkWriter().write(Message(message.VIDEO, b"\x17\x01", 0, 1), 6)

    assert list(server.receive(media)) == []


@pytest.mark.parametrize("seed", range(2000))
def test_mutated_captures_are_read_or_refused(seed):
    chance = random.Random(seed)
    body = bytearray(chance.choice(CAPTURES).read_bytes())
    for _ in range(chance.randint(1, 20)):
        place = chance.randrange(1 if chance.random() < 0.1 else 3073, len(body))
        match chance.randrange(4):
            case 0 | 1:
                body[place] = chance.randrange(256)
            case 2:
                del body[place : place + chance.randint(1, 30)]
            case _:
                body[place:place] = chance.randbytes(chance.randint(1, 30))
    try:
        for event in feed(bytes(body), chance.choice((97, 1460, 100_000))):
            if isinstance(event, Media):
                (read_video if event.is_video else read_audio)(event.payload)
    except RemoteProtocolError:
        pass
