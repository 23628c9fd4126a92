"""The RTMP encoder, against a server that keeps what it gets."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from roomful_rtmp.server import Media, PublishRequested, ServerConnection, Unpublished
from roomful_rtmp.tag import Part, read_audio, read_video
from roomful_testing.encoder import EncoderOptions, RtmpEncoder, make_clip


class Server:
    def __init__(self, reason=""):
        self.reason, self.events, self.closed = reason, [], asyncio.Event()

    async def serve(self, reader, writer):
        connection = ServerConnection()
        while data := await reader.read(65536):
            for event in connection.receive(data):
                self.events.append(event)
                if isinstance(event, PublishRequested):
                    if self.reason:
                        connection.reject_publish(self.reason)
                    else:
                        connection.accept_publish()
            writer.write(connection.take_output())
            if self.reason and any(isinstance(e, PublishRequested) for e in self.events):
                break
        writer.close()
        self.closed.set()

    def media(self, *, video):
        return [e for e in self.events if isinstance(e, Media) and e.is_video is video]


@asynccontextmanager
async def serving(reason=""):
    server = Server(reason)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    try:
        yield server, f"rtmp://127.0.0.1:{port}/live/KEY"
    finally:
        listener.close()


async def until(check, within=10.0):
    async with asyncio.timeout(within):
        while not check():
            await asyncio.sleep(0.02)


async def test_pushes_both_tracks_in_real_time_and_says_goodbye():
    options = EncoderOptions(width=96, height=64, seconds=1, first_timestamp=2**32 - 500)
    async with serving() as (server, url):
        async with RtmpEncoder(url, options) as encoder:
            assert encoder.is_publishing
            # more than a turn of the clip
            await until(lambda: len(server.media(video=True)) > 20)
        await asyncio.wait_for(server.closed.wait(), 5)

    video = [(e.timestamp, read_video(e.payload)) for e in server.media(video=True)]
    assert [t.part for _, t in video].count(Part.CONFIGURATION) == 1
    stamps = [(s - 2**32 + 500) % 2**32 for s, t in video if t.part is Part.FRAME]
    assert stamps == sorted(stamps) and stamps[-1] > 1000
    assert {read_audio(e.payload).codec for e in server.media(video=False)} == {"aac"}
    assert isinstance(server.events[-1], Unpublished)


async def test_is_told_why_it_is_refused():
    async with serving("already publishing") as (_, url):
        async with RtmpEncoder(url, EncoderOptions(video=False, seconds=1)) as encoder:
            await encoder.ended()

    assert encoder.refused is not None and encoder.refused.text == "already publishing"
    assert not encoder.is_publishing and encoder.sent == 0


async def test_killed_and_silenced():
    options = EncoderOptions(audio=False, width=96, height=64, seconds=1)
    async with serving() as (server, url):
        async with RtmpEncoder(url, options) as encoder:
            await until(lambda: encoder.sent > 3)
            encoder.silence()
            await asyncio.sleep(0.2)
            sent = encoder.sent
            await asyncio.sleep(0.3)
            assert encoder.sent == sent and not server.closed.is_set()
            encoder.kill()
            await encoder.ended()
        with pytest.raises(OSError):
            async with RtmpEncoder("rtmp://127.0.0.1:9/live/KEY", options):
                pass


def test_b_frames_are_composed_later_than_decoded():
    tags = make_clip(EncoderOptions(audio=False, width=96, height=64, seconds=1, b_frames=2))
    frames = [read_video(tag.body) for tag in tags]
    first = next(tag for tag in frames if tag.part is Part.FRAME)

    assert first.is_key and first.composition_ms > 0
