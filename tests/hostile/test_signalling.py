"""Signalling against the rules: the client is told and dropped, or read more slowly."""

from __future__ import annotations

import asyncio
import base64
import gzip
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager

import pytest
from livekit.protocol import models, rtc

from roomful_testing.peer.description import offer
from roomful_testing.peer.signalling import Refused, packed

from .arena import Arena
from .descriptions import CHANNELS, MICROPHONE
from .raw_client import RawClient
from .raw_socket import BINARY, CONTINUATION, PING, TEXT, RawSocket, frame

ROOM = "signals"
MAY_UPDATE = {"can_update_own_metadata": True}


async def member(arena: Arena, room: str = ROOM, **grants: object) -> RawClient:
    """A client in the room, without a transport."""
    client = arena.client()
    return await client.join(room, client.source, transport=False, grants=grants)


# --- what ends the client ------------------------------------------------------------------------

Offend = Callable[[RawClient], Awaitable[None]]


def sends(*frames: bytes) -> Offend:
    """Binary frames."""

    async def offend(client: RawClient) -> None:
        for data in frames:
            await client.send_bytes(data)

    return offend


def offers(change: Callable[[str], str]) -> Offend:
    """A description that was changed."""

    async def offend(client: RawClient) -> None:
        text = change(offer(client.peer.credentials, [CHANNELS, MICROPHONE]))
        await client.send(offer={"type": "offer", "sdp": text})

    return offend


async def text_frame(client: RawClient) -> None:
    await client.socket.send_str('{"ping": 1}')


async def other_fingerprint(client: RawClient) -> None:
    client.peer.fingerprint = "sha-256 " + ":".join(["AB"] * 32)
    await client.send(offer={"type": "offer", "sdp": offer(client.peer.credentials, [CHANNELS])})


def many_sections(count: int) -> Callable[[str], str]:
    def change(text: str) -> str:
        head, first, _ = text.partition("m=audio")
        section = first + _
        return head + "".join(
            section.replace("a=mid:1\r\n", f"a=mid:{10 + n}\r\n") for n in range(count)
        )

    return change


OFFENCES: dict[str, Offend] = {
    "a text frame": text_frame,
    "a frame of garbage": sends(b"\xff" * 40),
    "a field cut off": sends(b"\x0a\x7f"),
    "a message of 3 MiB": sends(bytes(3 << 20)),
    "a message of 10 MiB": sends(bytes(10 << 20)),
    "a candidate of 5,000 characters": sends(
        rtc.SignalRequest(trickle={"candidateInit": "c" * 5000}).SerializeToString()
    ),
    "an answer that is none": sends(
        rtc.SignalRequest(answer={"type": "answer", "sdp": "garbage"}).SerializeToString()
    ),
    "no description": offers(lambda text: ""),
    "not SDP": offers(lambda text: "{}" * 100),
    "a description without v=": offers(lambda text: text[5:]),
    "a description of 1.5 MiB": offers(lambda text: text + "a=x:" + "y" * (3 << 19) + "\r\n"),
    "a line of 5 KiB": offers(lambda text: text + "a=x:" + "y" * 5000 + "\r\n"),
    "50,000 lines": offers(lambda text: text + "a=x\r\n" * 50_000),
    "513 sections": offers(many_sections(513)),
    "a mid twice": offers(lambda text: text.replace("a=mid:1", "a=mid:0")),
    "a mid of 17 characters": offers(
        lambda text: text.replace("mid:1\r", "mid:" + "m" * 17 + "\r")
    ),
    "no credentials": offers(lambda text: text.replace("a=ice-ufrag", "a=x-ufrag")),
    "no fingerprint": offers(lambda text: text.replace("a=fingerprint", "a=x-fingerprint")),
    "a short fingerprint": offers(lambda text: text.replace("sha-256 ", "sha-256 00")),
    "a port beyond 65,535": offers(lambda text: text.replace("m=audio 9", "m=audio 65536")),
    "a clock rate of 0": offers(lambda text: text.replace("opus/48000", "opus/0")),
    "129 payload types": offers(lambda text: text.replace("SAVPF 111", "SAVPF 111" + " 100" * 128)),
    "bare CR": offers(lambda text: text.replace("\r\n", "\r")),
    "NUL": offers(lambda text: text.replace("s=-", "s=\0")),
    "a setup that is none": offers(lambda text: text.replace("actpass", "holdconn")),
    "another fingerprint": other_fingerprint,
}


async def test_what_breaks_the_protocol_ends_the_client(arena: Arena) -> None:
    async with arena.watch("signalling: one attacker an offence"):
        clients = {name: await member(arena) for name in OFFENCES}
        for name, client in clients.items():
            await OFFENCES[name](client)
        outcomes = await asyncio.gather(
            *(told(client, "MiB" in name) for name, client in clients.items())
        )
        for client in clients.values():
            await client.close(politely=False)
    assert [n for n, ok in zip(clients, outcomes, strict=True) if not ok] == []


async def told(client: RawClient, cut: bool) -> bool:
    """Whether the client was ended with a word; `cut`: it may be cut off in the middle of one."""
    try:
        leave = await client.end(5)
    except TimeoutError:
        return False
    return cut or leave is not None


# --- what is refused at the door -----------------------------------------------------------------


def wrapped(body: bytes, compression: int = 1) -> str:
    message = rtc.WrappedJoinRequest(compression=compression, join_request=body)
    return base64.urlsafe_b64encode(message.SerializeToString()).decode()


KNOCKS: dict[str, dict[str, str]] = {
    "no join_request": {},
    "not base64": {"join_request": "%%%%"},
    "not a message": {"join_request": base64.urlsafe_b64encode(b"\xff" * 90).decode()},
    "longer than 32 KiB": {"join_request": "A" * (31 << 10)},
    "not gzip": {"join_request": wrapped(b"not gzip")},
    "gzip cut off": {"join_request": wrapped(gzip.compress(bytes(5000))[:-9])},
    "a bomb of 20 MiB": {"join_request": wrapped(gzip.compress(bytes(20 << 20)))},
    "gzip of garbage": {"join_request": wrapped(gzip.compress(b"\xff" * 900))},
    "an unknown compression": {"join_request": wrapped(b"\xff\xff", 77)},
    "5,000 tracks": {
        "join_request": packed(
            rtc.JoinRequest(add_track_requests=[rtc.AddTrackRequest(cid="c", type=1)] * 5000)
        )
    },
    "attributes of the server": {
        "join_request": packed(rtc.JoinRequest(participant_attributes={"sip.callID": "1"}))
    },
}


async def test_join_requests_that_are_none_are_refused(arena: Arena) -> None:
    async with arena.watch("signalling: join requests", growth=16 << 20):
        statuses = {name: await knock(arena, **query) for name, query in KNOCKS.items()}
    assert {n: s for n, s in statuses.items() if s not in (400, 401)} == {}


async def knock(arena: Arena, **query: str) -> int:
    """The status of one attempt; 101 when it is let in."""
    client = arena.client()
    async with client:
        try:
            await client.open(arena.server.token(client.source, ROOM), **query)
        except Refused as refused:
            return refused.status
        return 101


async def test_an_address_that_knocks_too_often_is_told_to_wait(arena: Arena) -> None:
    """Seen through the proxy that the settings trust, since loopback is not counted."""
    async with arena.watch("signalling: 200 joins of one address"):
        statuses = await asyncio.gather(*(proxied_knock(arena) for _ in range(200)))
    assert set(statuses) == {401, 503}


async def proxied_knock(arena: Arena) -> int:
    """The status of a knock that comes, as the proxy says, from one address."""
    raw = await RawSocket.open(arena.server.http_url, arena.PROXY)
    await raw.write(
        b"GET /rtc?access_token=x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n"
    )
    status = await raw.status()
    raw.close()
    return status


# --- what is borne -------------------------------------------------------------------------------


@asynccontextmanager
async def meanwhile(sending: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Send in the background: who is read slowly does not get done."""
    task = asyncio.create_task(sending)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def offer_storm(arena: Arena) -> None:
    """200 offers at once: they are answered at the rate the rules allow."""
    client = await member(arena)
    text = offer(client.peer.credentials, [CHANNELS])

    async def storm() -> None:
        for number in range(200):
            await client.send(offer={"type": "offer", "sdp": text, "id": number})

    async with meanwhile(storm()):
        await asyncio.sleep(0.8)
        assert 10 <= len(client.of("answer")) <= 45
    await client.close(politely=False)


async def a_description_of_400_sections(arena: Arena) -> None:
    """Large and valid: it costs its share of time, no more."""
    client = await member(arena)
    text = many_sections(400)(offer(client.peer.credentials, [CHANNELS, MICROPHONE]))
    mids = " ".join(["0", *[str(10 + n) for n in range(400)]])
    await client.send(offer={"type": "offer", "sdp": text.replace("BUNDLE 0 1", f"BUNDLE {mids}")})
    await client.next("answer", 2)
    await client.close()


async def a_thousand_tracks(arena: Arena) -> None:
    """20 may be pending; the rest is refused, one by one."""
    client = await member(arena)
    for number in range(1000):
        await client.send(add_track={"cid": f"c{number}", "type": number % 2, "name": "n"})
    await asyncio.sleep(0.5)
    assert len(client.of("track_published")) == 20
    refusals = {answer.reason for answer in client.of("request_response")}
    assert refusals == {rtc.RequestResponse.LIMIT_EXCEEDED}
    await client.close(politely=False)


async def tracks_that_are_too_much(arena: Arena) -> None:
    """Requests whose echo would go to the whole room."""
    client = await member(arena)
    layers = [models.VideoLayer(width=n) for n in range(20_000)]
    for fields in (
        {"stream": "s" * 100_000}, {"name": "n" * 300}, {"layers": layers}, {"cid": ""},
        {"cid": "c" * 5000}, {"type": 2}, {"source": 77}, {"sid": "TR_other"},
        {"simulcast_codecs": [{"codec": "c" * 5000, "cid": "cid"}]},
        {"audio_features": list(range(8)) * 3000},
    ):  # fmt: skip
        await client.send(add_track={"cid": "cid", "type": 1, **fields})
    refusals = await client.next("request_response", 9)
    assert refusals.request_response.reason == rtc.RequestResponse.UNSUPPORTED_TYPE
    assert client.of("track_published") == []
    await client.close()


async def metadata_storm(arena: Arena) -> None:
    """The largest metadata as often as it goes, in a room of 30: nobody is ended by it."""
    readers = [await member(arena, "storm") for _ in range(29)]
    client = await member(arena, "storm", **MAY_UPDATE)

    async def storm() -> None:
        for number in range(60):
            text = str(number) * (500_000 // len(str(number)))
            await client.send(update_metadata={"metadata": text, "request_id": number})

    async with meanwhile(storm()):
        await asyncio.sleep(1.5)
        answers = [answer.reason for answer in client.of("request_response")]
        assert rtc.RequestResponse.LIMIT_EXCEEDED in answers
        assert answers.count(rtc.RequestResponse.OK) <= 4
        assert [one for one in (*readers, client) if one.closed.is_set()] == []
    for one in (*readers, client):
        await one.close(politely=False)


async def attributes_storm(arena: Arena) -> None:
    """Small updates, far more than a room can be told."""
    readers = [await member(arena, "storm") for _ in range(20)]
    client = await member(arena, "storm", **MAY_UPDATE)
    before = len(readers[0].of("update"))

    async def storm() -> None:
        for number in range(300):
            await client.send(update_metadata={"attributes": {"a": str(number)}})

    async with meanwhile(storm()):
        await asyncio.sleep(0.8)
        assert len(readers[0].of("update")) - before < 80
    for one in (*readers, client):
        await one.close(politely=False)


async def mute_storm(arena: Arena) -> None:
    """Muted and unmuted as often as it goes: the room is told at a pace it can follow."""
    readers = [await member(arena, "storm") for _ in range(20)]
    client = arena.client()
    await client.join("storm", client.source, CHANNELS, MICROPHONE, transport=False)
    published = await client.next("track_published")
    sid = published.track_published.track.sid
    before = len(readers[0].of("update"))

    async def storm() -> None:
        for number in range(2000):
            await client.send(mute={"sid": sid, "muted": not number % 2})

    async with meanwhile(storm()):
        await asyncio.sleep(0.8)
        assert 5 < len(readers[0].of("update")) - before < 80
    for one in (*readers, client):
        await one.close(politely=False)


async def foreign_resume(arena: Arena) -> None:
    """Another's SID, an unknown one, a room that is not there, oneself with a stale one."""
    client, other = await member(arena), await member(arena)
    for room, identity, sid in (
        (ROOM, client.source, other.participant.sid),
        (ROOM, client.source, "PA_nobody"),
        (ROOM, "stranger", other.participant.sid),
        ("nowhere", client.source, client.participant.sid),
    ):
        attacker = arena.client()
        request = attacker.request([CHANNELS], reconnect=True, participant_sid=sid)
        await attacker.open(arena.server.token(identity, room), request)
        leave = await attacker.end()
        assert leave is not None and leave.reason == models.STATE_MISMATCH
        await attacker.close()
    await other.send(ping=1)
    await other.next("pong")
    await client.close()
    await other.close()


async def duplicate_loop(arena: Arena) -> None:
    """40 times the same identity: each one ends the one before."""
    clients: list[RawClient] = []
    for _ in range(40):
        client = arena.client()
        clients.append(await client.join(ROOM, "twin", transport=False))
    leaves = await asyncio.gather(*(client.end() for client in clients[:-1]))
    assert {leave.reason for leave in leaves if leave} == {models.DUPLICATE_IDENTITY}
    assert not clients[-1].closed.is_set()
    for client in clients:
        await client.close(politely=False)


async def foreign_ids(arena: Arena) -> None:
    """State, settings and changes about what belongs to others or is not there."""
    client, other = await member(arena), await member(arena)
    sids = [f"TR_{n}" for n in range(20_000)]
    state = rtc.SyncState(
        subscription={"track_sids": sids, "subscribe": True},
        track_sids_disabled=sids,
        publish_tracks=[rtc.TrackPublishedResponse(cid="x", track={"sid": s}) for s in sids[:2000]],
        datachannel_receive_states=[
            rtc.DataChannelReceiveState(publisher_sid=other.participant.sid, last_seq=n)
            for n in range(2000)
        ],
        offer={"type": "offer", "sdp": "garbage"},
        answer={"type": "answer", "sdp": "garbage"},
    )
    await client.send(sync_state=state)
    await client.send(mute={"sid": "TR_other", "muted": True})
    await client.send(update_layers={"track_sid": "TR_other", "layers": [{"quality": 99}]})
    await client.send(update_video_track={"track_sid": "TR_other", "width": 1})
    await client.send(update_audio_track={"track_sid": "TR_other", "features": [1]})
    await client.send(simulate={"node_failure": True})
    await client.send(ping=1)
    await client.next("pong")
    await client.close()
    await other.close()


async def a_hundred_thousand_sids(arena: Arena) -> None:
    """Wishes about more tracks than there are."""
    client = await member(arena)
    sids = [f"TR_{n}" for n in range(100_000)]
    await client.send(subscription={"track_sids": sids, "subscribe": True})
    await client.send(track_setting={"track_sids": sids, "quality": 2})
    await client.send(
        subscription_permission={
            "track_permissions": [
                {"participant_identity": f"p{n}", "track_sids": ["a", "b"]} for n in range(40_000)
            ]
        }
    )
    await client.send(ping=1)
    await client.next("pong")
    await client.close()


async def message_storm(arena: Arena) -> None:
    """5,000 messages at once: they are read at 100/s, others are not kept waiting."""
    client, other = await member(arena), await member(arena)
    ping = rtc.SignalRequest(ping=1).SerializeToString()

    async def storm() -> None:
        for _ in range(5000):
            await client.send_bytes(ping)

    async with meanwhile(storm()):
        await other.send(ping=1)
        await other.next("pong")
        await asyncio.sleep(0.3)
        assert len(client.of("pong")) < 600
    await client.close(politely=False)
    await other.close()


async def random_messages(arena: Arena) -> None:
    """Bytes that are a message by chance, from a fixed seed."""
    chance = random.Random(6)
    for _ in range(20):
        client = await member(arena)
        for _ in range(30):
            field = chance.choice((1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19))
            body = chance.randbytes(chance.randrange(30))
            await client.send_bytes(bytes(((field << 3 | 2) & 0x7F, len(body))) + body)
        await client.close(politely=False)


async def control_frames(arena: Arena) -> None:
    """20,000 pings of the WebSocket, and a message in pieces that never ends: both end the client."""
    for place, storm in enumerate((
        frame(PING, b"x" * 100) * 20_000,
        frame(BINARY, b"x", final=False) + frame(CONTINUATION, bytes(100_000), final=False) * 30,
    )):  # fmt: skip
        raw = await RawSocket.open(arena.server.http_url, arena.source())
        assert await raw.upgrade("/rtc", arena.server.token(f"pinger{place}", ROOM)) == 101
        reading = asyncio.create_task(raw.ended(5))
        await raw.write(storm)
        await reading
        raw.close()


async def broken_frames(arena: Arena) -> None:
    """Frames no client sends: each ends the socket that sent it."""
    for place, data in enumerate((
        b"\x82\x01x", b"\xf2" + frame(BINARY, b"x")[1:], frame(11, b"x"), frame(CONTINUATION, b"x"),
        frame(PING, b"x" * 126), frame(PING, b"x", final=False), frame(TEXT, b"\xff\xfe"),
        frame(BINARY, b"x", size=1 << 62), b"\x88\x80abcd", b"\x88\x81abcdx",
    )):  # fmt: skip
        raw = await RawSocket.open(arena.server.http_url, arena.source())
        assert await raw.upgrade("/rtc", arena.server.token(f"broken{place}", ROOM)) == 101
        await raw.write(data)
        await raw.ended(5)
        raw.close()


async def vanishing_sockets(arena: Arena) -> None:
    """60 clients that knock and vanish at every step."""
    for number in range(60):
        raw = await RawSocket.open(arena.server.http_url, arena.source())
        token = arena.server.token(f"ghost{number % 7}", ROOM)
        await raw.write(f"GET /rtc?access_token={token} HTTP/1.1\r\nHost: x\r\n".encode())
        if number % 3:
            await raw.write(
                b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            )
        if number % 3 == 2:
            await raw.status()
        raw.close()


BORNE: dict[str, Callable[[Arena], Awaitable[None]]] = {
    "offer storm": offer_storm,
    "a description of 400 sections": a_description_of_400_sections,
    "1,000 add_track": a_thousand_tracks,
    "add_track that is too much": tracks_that_are_too_much,
    "metadata storm in a room of 30": metadata_storm,
    "attributes storm": attributes_storm,
    "mute storm": mute_storm,
    "resume with another's SID": foreign_resume,
    "duplicate identity loop": duplicate_loop,
    "sync_state with foreign ids": foreign_ids,
    "wishes about 100,000 SIDs": a_hundred_thousand_sids,
    "5,000 messages": message_storm,
    "random messages": random_messages,
    "20,000 control frames": control_frames,
    "broken frames": broken_frames,
    "vanishing sockets": vanishing_sockets,
}


@pytest.mark.parametrize("name", BORNE)
async def test_what_costs_too_much_is_slowed_or_refused(arena: Arena, name: str) -> None:
    async with arena.watch(f"signalling: {name}"):
        await BORNE[name](arena)
