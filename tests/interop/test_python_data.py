"""Data between participants of the Python SDK: packets, streams, calls, attributes."""

import asyncio

import pytest
from livekit import rtc

from .guest import Guest, guest
from .media import until
from .server import RoomServer

PAIRS = [(True, True), (True, False), (False, True)]
PAIR_IDS = ["both-single-pc", "single-to-dual", "dual-to-single"]


def _options(single: bool) -> rtc.RoomOptions:
    return rtc.RoomOptions(single_peer_connection=single)


@pytest.fixture(params=PAIRS, ids=PAIR_IDS)
def pair(request: pytest.FixtureRequest) -> tuple[rtc.RoomOptions, rtc.RoomOptions]:
    """Options of two guests in every mixture of one and two peer connections."""
    return _options(request.param[0]), _options(request.param[1])


Pair = tuple[rtc.RoomOptions, rtc.RoomOptions]


async def test_packets_of_both_kinds_arrive_with_topic_and_sender(
    room_server: RoomServer, room_name: str, pair: Pair
) -> None:
    async with (
        guest(room_server, "left", room_name, options=pair[0]) as left,
        guest(room_server, "right", room_name, options=pair[1]) as right,
    ):
        await left.meets("right")
        await left.local.publish_data(b"surely", topic="one")
        await until(lambda: len(right.data) == 1)  # now the channels are open
        await left.local.publish_data(b"maybe", reliable=False, topic="two")
        await until(lambda: len(right.data) == 2)

        got = {packet.data: packet for packet in right.data}
        assert got[b"surely"].topic == "one"
        assert got[b"surely"].kind == rtc.DataPacketKind.KIND_RELIABLE
        assert got[b"maybe"].topic == "two"
        assert got[b"maybe"].kind == rtc.DataPacketKind.KIND_LOSSY
        assert all(p.participant and p.participant.identity == "left" for p in right.data)
        assert left.data == []


async def test_reliable_packets_keep_their_order(room_server: RoomServer, room_name: str) -> None:
    async with (
        guest(room_server, "left", room_name) as left,
        guest(room_server, "right", room_name) as right,
    ):
        await left.meets("right")
        for number in range(200):
            await left.local.publish_data(number.to_bytes(2, "big") + b"x" * 500)
        await until(lambda: len(right.data) == 200)

        assert [int.from_bytes(p.data[:2], "big") for p in right.data] == list(range(200))


async def test_packet_with_destinations_reaches_only_them(
    room_server: RoomServer, room_name: str
) -> None:
    async with (
        guest(room_server, "sender", room_name) as sender,
        guest(room_server, "named", room_name) as named,
        guest(room_server, "other", room_name) as other,
    ):
        await sender.meets("named")
        await sender.meets("other")
        await sender.local.publish_data(b"secret", destination_identities=["named"])
        await sender.local.publish_data(b"open")
        await until(lambda: len(named.data) == 2 and len(other.data) == 1)

        assert [packet.data for packet in named.data] == [b"secret", b"open"]
        assert [packet.data for packet in other.data] == [b"open"]


async def test_packet_of_the_largest_size_arrives(room_server: RoomServer, room_name: str) -> None:
    async with (
        guest(room_server, "left", room_name) as left,
        guest(room_server, "right", room_name) as right,
    ):
        await left.meets("right")
        await left.local.publish_data(b"L" * 60_000)
        await until(lambda: bool(right.data))
        assert right.data[0].data == b"L" * 60_000


async def test_text_stream_arrives_whole(
    room_server: RoomServer, room_name: str, pair: Pair
) -> None:
    async with (
        guest(room_server, "left", room_name, options=pair[0]) as left,
        guest(room_server, "right", room_name, options=pair[1]) as right,
    ):
        texts = _text_streams(right, "chat")
        await left.meets("right")
        text = "grüße " * 10_000
        sent = await left.local.send_text(text, topic="chat", attributes={"a": "b"})

        reader, sender = await asyncio.wait_for(texts.get(), 10)
        assert sender == "left"
        assert await asyncio.wait_for(reader.read_all(), 10) == text
        assert reader.info.stream_id == sent.stream_id
        assert reader.info.attributes == {"a": "b"}


async def test_text_written_in_parts_arrives_in_parts(
    room_server: RoomServer, room_name: str
) -> None:
    async with (
        guest(room_server, "left", room_name) as left,
        guest(room_server, "right", room_name) as right,
    ):
        texts = _text_streams(right, "chat")
        await left.meets("right")
        writer = await left.local.stream_text(topic="chat")
        await writer.write("one ")
        reader, _ = await asyncio.wait_for(texts.get(), 10)
        parts = aiter(reader)
        assert await asyncio.wait_for(anext(parts), 5) == "one "
        await writer.write("two")
        assert await asyncio.wait_for(anext(parts), 5) == "two"
        await writer.aclose()
        with pytest.raises(StopAsyncIteration):
            await asyncio.wait_for(anext(parts), 5)


async def test_byte_stream_arrives_whole(
    room_server: RoomServer, room_name: str, pair: Pair
) -> None:
    async with (
        guest(room_server, "left", room_name, options=pair[0]) as left,
        guest(room_server, "right", room_name, options=pair[1]) as right,
    ):
        arrived: asyncio.Queue[tuple[rtc.ByteStreamReader, str]] = asyncio.Queue()
        right.room.register_byte_stream_handler("file", lambda *got: arrived.put_nowait(got))
        await left.meets("right")
        content = bytes(range(256)) * 800
        writer = await left.local.stream_bytes(
            "picture.bin", topic="file", total_size=len(content), mime_type="image/x-test"
        )
        await writer.write(content)
        await writer.aclose()

        reader, sender = await asyncio.wait_for(arrived.get(), 10)
        got = b"".join([part async for part in reader])
        assert sender == "left"
        assert got == content
        assert (reader.info.name, reader.info.mime_type) == ("picture.bin", "image/x-test")


async def test_calls_work_both_ways(room_server: RoomServer, room_name: str, pair: Pair) -> None:
    async with (
        guest(room_server, "left", room_name, options=pair[0]) as left,
        guest(room_server, "right", room_name, options=pair[1]) as right,
    ):
        await left.meets("right")
        await right.meets("left")
        for one, other in ((left, right), (right, left)):
            _answer_calls(other)
            answer = await one.local.perform_rpc(
                destination_identity=other.identity, method="greet", payload="hello"
            )
            assert answer == f"{other.identity} got hello from {one.identity}"


async def test_failed_call_brings_the_callees_error(
    room_server: RoomServer, room_name: str
) -> None:
    async with (
        guest(room_server, "left", room_name) as left,
        guest(room_server, "right", room_name) as right,
    ):
        await left.meets("right")
        await right.meets("left")
        _answer_calls(right)
        with pytest.raises(rtc.RpcError) as failure:
            await left.local.perform_rpc(destination_identity="right", method="fail", payload="")
        assert (failure.value.code, failure.value.message) == (4711, "as asked")
        with pytest.raises(rtc.RpcError) as missing:
            await left.local.perform_rpc(destination_identity="right", method="nowhere", payload="")
        assert missing.value.code == rtc.RpcError.ErrorCode.UNSUPPORTED_METHOD


async def test_large_call_payload_arrives(room_server: RoomServer, room_name: str) -> None:
    async with (
        guest(room_server, "left", room_name) as left,
        guest(room_server, "right", room_name) as right,
    ):
        await left.meets("right")
        await right.meets("left")
        _answer_calls(right)
        answer = await left.local.perform_rpc(
            destination_identity="right", method="greet", payload="p" * 12_000
        )
        assert answer == f"right got {'p' * 12_000} from left"


async def test_attributes_metadata_and_name_travel_both_ways(
    room_server: RoomServer, room_name: str, pair: Pair
) -> None:
    allowed = {"can_update_own_metadata": True}
    async with (
        guest(room_server, "left", room_name, options=pair[0], **allowed) as left,
        guest(room_server, "right", room_name, options=pair[1], **allowed) as right,
    ):
        await left.meets("right")
        await right.meets("left")
        for one, other in ((left, right), (right, left)):
            other.forget()
            await one.local.set_attributes({"hand": "up", "colour": "red"})
            await one.local.set_metadata('{"about": "me"}')
            await one.local.set_name(f"{one.identity} the first")
            seen = other.remote(one.identity)
            await until(lambda seen=seen: seen.name != "", what="name")
            assert seen.attributes == {"hand": "up", "colour": "red"}
            assert seen.metadata == '{"about": "me"}'
            assert seen.name == f"{one.identity} the first"
            changed = other.told(
                "participant_attributes_changed", lambda _, who, one=one: who.sid == one.local.sid
            )
            assert changed and changed.about[0] == {"hand": "up", "colour": "red"}

            await one.local.set_attributes({"hand": ""})
            await until(lambda seen=seen: seen.attributes == {"colour": "red"}, what="removal")


async def test_attributes_without_permission_are_refused(
    room_server: RoomServer, room_name: str
) -> None:
    async with (
        guest(room_server, "left", room_name) as left,
        guest(room_server, "right", room_name) as right,
    ):
        await right.meets("left")
        await left.meets("right")
        await left.local.set_attributes({"hand": "up"})  # the SDK does not raise the refusal
        await left.local.publish_data(b"after")
        await until(lambda: bool(right.data))
        assert right.remote("left").attributes == {}
        assert right.told("participant_attributes_changed") is None


async def test_dial_tone_arrives(room_server: RoomServer, room_name: str) -> None:
    async with (
        guest(room_server, "left", room_name) as left,
        guest(room_server, "right", room_name) as right,
    ):
        await left.meets("right")
        await left.local.publish_dtmf(code=5, digit="5")
        notice = await right.hears_of("sip_dtmf_received")
        assert (notice.about[0].code, notice.about[0].digit) == (5, "5")


async def test_hidden_senders_data_is_nameless(room_server: RoomServer, room_name: str) -> None:
    async with (
        guest(room_server, "seen", room_name) as seen,
        guest(room_server, "ghost", room_name, hidden=True) as ghost,
    ):
        await ghost.meets("seen")
        await ghost.local.publish_data(b"boo")
        await until(lambda: bool(seen.data))
        assert seen.data[0].data == b"boo"
        assert seen.data[0].participant is None
        assert "ghost" not in seen.room.remote_participants


async def test_data_without_permission_reaches_nobody(
    room_server: RoomServer, room_name: str
) -> None:
    async with (
        guest(room_server, "gagged", room_name, can_publish_data=False) as gagged,
        guest(room_server, "free", room_name) as free,
        guest(room_server, "witness", room_name) as witness,
    ):
        await gagged.meets("witness")
        await free.meets("witness")
        try:
            await asyncio.wait_for(gagged.local.publish_data(b"gagged"), 3)
        except (rtc.room.ConnectError, Exception):  # the SDK may refuse by itself
            pass
        await asyncio.sleep(0.5)
        await free.local.publish_data(b"free")
        await until(lambda: bool(witness.data))
        assert [packet.data for packet in witness.data] == [b"free"]


def _text_streams(someone: Guest, topic: str) -> asyncio.Queue[tuple[rtc.TextStreamReader, str]]:
    """Text streams of a topic as they come, with the sender's identity."""
    arrived: asyncio.Queue[tuple[rtc.TextStreamReader, str]] = asyncio.Queue()
    someone.room.register_text_stream_handler(topic, lambda *got: arrived.put_nowait(got))
    return arrived


def _answer_calls(someone: Guest) -> None:
    """Let a guest answer two methods."""

    async def greet(call: rtc.RpcInvocationData) -> str:
        return f"{someone.identity} got {call.payload} from {call.caller_identity}"

    async def fail(_: rtc.RpcInvocationData) -> str:
        raise rtc.RpcError(4711, "as asked")

    someone.local.register_rpc_method("greet", greet)
    someone.local.register_rpc_method("fail", fail)
