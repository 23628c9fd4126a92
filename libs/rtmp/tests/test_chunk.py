"""The chunk stream: headers of all forms, interleaving, bounds."""

import pytest

from roomful.errors import RemoteProtocolError
from roomful_rtmp.chunk import MAX_PENDING, ChunkReader, ChunkWriter
from roomful_rtmp.message import ABORT, AUDIO, SET_CHUNK_SIZE, VIDEO, Message


def reader(limit=8 << 20):
    return ChunkReader(limit)


def head(csid, stamp, length, kind=VIDEO, stream=1):
    return (
        bytes((csid,)) + stamp.to_bytes(3, "big") + length.to_bytes(3, "big") + bytes((kind,))
        + stream.to_bytes(4, "little")
    )  # fmt: skip


@pytest.mark.parametrize("step", [1, 7, 128, 10_000])
@pytest.mark.parametrize("stamp", [0, 5, 0xFFFFFE, 0xFFFFFF, 0x1000000, 0xFFFFFFFF])
def test_what_is_written_is_read_in_pieces_of_any_size(step, stamp):
    messages = [Message(VIDEO, bytes(range(256)) * n, stamp, 1) for n in (0, 1, 3)]
    writer = ChunkWriter()
    data = b"".join(writer.write(m, 6) for m in messages)
    target, found = reader(), []

    for at in range(0, len(data), step):
        found += target.receive(data[at : at + step])

    assert found == messages


def test_short_headers_repeat_what_they_leave_out():
    data = head(4, 1000, 1) + b"a"
    data += b"\x44" + (20).to_bytes(3, "big") + (2).to_bytes(3, "big") + bytes((AUDIO,)) + b"bb"
    data += b"\x84" + (30).to_bytes(3, "big") + b"cc"
    data += b"\xc4" + b"dd"

    found = list(reader().receive(data))

    assert [(m.timestamp, m.type, m.payload) for m in found] == [
        (1000, VIDEO, b"a"), (1020, AUDIO, b"bb"), (1050, AUDIO, b"cc"), (1080, AUDIO, b"dd"),
    ]  # fmt: skip
    assert {m.stream_id for m in found} == {1}


def test_format_3_after_format_0_adds_the_timestamp_itself():
    found = list(reader().receive(head(4, 40, 1) + b"a" + b"\xc4" + b"b"))

    assert [m.timestamp for m in found] == [40, 80]


def test_timestamps_wrap():
    data = b"\x04\xff\xff\xff" + (1).to_bytes(3, "big") + bytes((AUDIO,)) + bytes(4)
    data += (2**32 - 10).to_bytes(4, "big") + b"a"
    data += b"\x84" + (20).to_bytes(3, "big") + b"b"

    assert [m.timestamp for m in reader().receive(data)] == [2**32 - 10, 10]


def test_extended_timestamp_may_be_left_out_of_following_chunks():
    big = 0x1234567
    payload = bytes(200)
    begin = b"\x04\xff\xff\xff" + (200).to_bytes(3, "big") + bytes((VIDEO,)) + bytes(4)
    begin += big.to_bytes(4, "big") + payload[:128]

    for follow in (b"\xc4" + big.to_bytes(4, "big"), b"\xc4"):
        (message,) = reader().receive(begin + follow + payload[128:])
        assert (message.timestamp, message.payload) == (big, payload)


def test_streams_interleave_and_long_basic_headers():
    one, two = b"\x06" + head(0, 1, 200)[1:], b"\x00\x10" + head(0, 2, 200)[1:]
    three = b"\x01\x10\x01" + head(0, 3, 1)[1:]
    data = one + b"a" * 128 + two + b"b" * 128 + three + b"c"
    data += b"\xc6" + b"a" * 72 + b"\xc0\x10" + b"b" * 72

    found = list(reader().receive(data))

    assert [m.payload[:1] for m in found] == [b"c", b"a", b"b"]
    assert [len(m.payload) for m in found] == [1, 200, 200]


def test_chunk_size_and_abort_count_at_once():
    target = reader()
    size = head(2, 0, 4, SET_CHUNK_SIZE, 0) + (4096).to_bytes(4, "big")
    unfinished = head(6, 0, 5000) + bytes(4096)
    abort = head(2, 0, 4, ABORT, 0) + (6).to_bytes(4, "big")
    again = head(6, 0, 3) + b"abc"

    found = list(target.receive(size + unfinished + abort + again))

    assert [m.payload for m in found if m.type == VIDEO] == [b"abc"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xc4", "begins without a header"),
        (b"\x44" + bytes(7), "without a full header"),
        (head(4, 0, 9 << 20), "exceeds"),
        (head(4, 0, 200) + bytes(128) + head(4, 0, 1), "inside another"),
        (head(2, 0, 4, SET_CHUNK_SIZE) + bytes(4), "chunk size of 0"),
        (head(2, 0, 4, SET_CHUNK_SIZE) + b"\xff" * 4, "chunk size"),
        (head(2, 0, 1, SET_CHUNK_SIZE) + b"\0", "chunk size"),
        (b"".join(head(csid, 0, 1) + b"x" for csid in [*range(3, 64)])
         + b"".join(b"\0" + bytes((n,)) + head(0, 0, 1)[1:] + b"x" for n in range(4)), "streams"),
    ],
)  # fmt: skip
def test_refused(data, words):
    with pytest.raises(RemoteProtocolError, match=words):
        list(reader().receive(data))


def test_memory_is_taken_as_bytes_come():
    target = reader()
    list(target.receive(head(2, 0, 4, SET_CHUNK_SIZE, 0) + (65536).to_bytes(4, "big")))
    announced = b"".join(head(csid, 0, 8 << 20) + bytes(65536) for csid in range(3, 63))
    list(target.receive(announced))
    assert target._pending == 60 * 65536 < MAX_PENDING

    with pytest.raises(RemoteProtocolError, match="unfinished"):
        for _ in range(5):
            list(target.receive(b"".join(bytes((0xC0 | c,)) + bytes(65536) for c in range(3, 63))))
