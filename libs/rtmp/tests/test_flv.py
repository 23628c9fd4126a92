"""FLV files."""

import pytest

from roomful.errors import RemoteProtocolError
from roomful_rtmp.flv import AUDIO, SCRIPT, VIDEO, FlvTag, read_flv

HEAD = b"FLV\x01\x05\0\0\0\x09" + bytes(4)


def tag(kind, stamp, body):
    return (
        bytes((kind,)) + len(body).to_bytes(3, "big") + (stamp & 0xFFFFFF).to_bytes(3, "big")
        + bytes((stamp >> 24,)) + bytes(3) + body + (11 + len(body)).to_bytes(4, "big")
    )  # fmt: skip


def test_tags_in_order_with_long_timestamps():
    data = HEAD + tag(SCRIPT, 0, b"meta") + tag(VIDEO, 40, b"v") + tag(AUDIO, 0x1234567, b"a")

    assert list(read_flv(data)) == [
        FlvTag(SCRIPT, 0, b"meta"), FlvTag(VIDEO, 40, b"v"), FlvTag(AUDIO, 0x1234567, b"a"),
    ]  # fmt: skip


def test_a_last_tag_that_is_cut_off_is_left_out():
    data = HEAD + tag(VIDEO, 0, b"v") + tag(VIDEO, 40, b"longer")[:-8]

    assert [one.timestamp for one in read_flv(data)] == [0]


@pytest.mark.parametrize("data", [b"", b"FLV", b"RIFF" + bytes(20)])
def test_no_flv(data):
    with pytest.raises(RemoteProtocolError):
        list(read_flv(data))
