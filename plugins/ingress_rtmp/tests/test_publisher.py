"""Tags of real encoders become packets, or jobs; what does not fit ends with its reason."""

import asyncio
import struct
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

from roomful.clock import SystemClock
from roomful.errors import ResourceExhausted
from roomful.model.enums import VideoQuality
from roomful_ingress.definition import Definition, InputType
from roomful_ingress.encoding import VideoOptions
from roomful_ingress.presets import audio_target, fitted, video_target
from roomful_ingress_rtmp.config import RtmpConfig
from roomful_ingress_rtmp.publisher import RtmpPublisher
from roomful_rtmp.avc import AvcConfiguration
from roomful_rtmp.server import Media, MetaData, PublishRequested, ServerConnection
from roomful_rtmp.tag import Part, h264_frame, read_video
from roomful_testing.payload import joined

DATA = Path(__file__).parents[3] / "libs/rtmp/tests/data"
PLAIN, B_FRAMES, ENHANCED = (
    "ffmpeg_baseline_aac.bin", "ffmpeg_high_bframes.bin", "ffmpeg8_hevc_opus.bin",
)  # fmt: skip


class Source:
    on_keyframe = on_demand = None

    def __init__(self):
        self.packets, self.clocks = [], []

    def write(self, packet, arrival_ns, layer=0):
        self.packets.append(bytes(packet))

    def clock(self, rtp_ts, ntp, arrival_ns, layer=0):
        self.clocks.append((rtp_ts, ntp))


class Room:
    """A `LocalConnection` that keeps what is published."""

    def __init__(self):
        self.published, self.sources, self.gone, self.changes = {}, {}, [], []
        self.participant = SimpleNamespace(identity="camera")
        self.session = SimpleNamespace(name="studio", update_track=self.update)

    def publish(self, info, layers=(), *, fmtp=""):
        sid = f"TR_{len(self.published)}"
        self.published[sid], self.sources[sid] = (info, layers, fmtp), Source()
        return sid, self.sources[sid]

    def unpublish(self, sid):
        self.gone.append(sid)

    def update(self, identity, sid, change):
        self.changes.append(change(self.published[sid][0]))


class Jobs:
    def __init__(self):
        self.specs = []

    async def start_job(self, spec, user=None, lease=None, on_end=None):
        self.specs.append(spec.spec)
        return SimpleNamespace(ask_to_stop=lambda *_: None)


class Ingress:
    """An ingress session that keeps what it is told."""

    def __init__(self, **fields):
        self.definition = Definition("IN_1", InputType.RTMP, "key", **fields)
        self.may_transcode = self.definition.enable_transcoding
        self.video = self.definition.video or VideoOptions()
        self.audio = SimpleNamespace(name="", source=0, asks_for_encoding=False)
        self.audio_target, self.video_target = audio_target(None), video_target(self.video)
        self.notes, self.ends, self.free = {}, [], True

    def video_layers(self, width, height):
        return fitted(self.video_target.layers, width, height)

    def admit(self, cores):
        if not self.free:
            raise ResourceExhausted("server busy: ingress needs 0.03 cores")
        return None

    def note_video(self, mime_type="", width=0, height=0, framerate=0.0, bitrate=0):
        self.notes["video"] = (mime_type, width, height)

    def note_audio(self, mime_type="", channels=0, sample_rate=0, bitrate=0):
        self.notes["audio"] = mime_type

    async def publishing(self):
        self.notes["publishing"] = True

    async def end(self, error=""):
        self.ends.append(error)


class Encoder:
    """A publisher between a capture and a room."""

    def __init__(self, ingress=None, **config):
        self.ingress, self.room, self.jobs = ingress or Ingress(), Room(), Jobs()
        self.told = []
        self.publisher = RtmpPublisher(
            RtmpConfig(**config), self.jobs, SystemClock(), self.told.append
        )
        self.publisher.session = self.ingress
        self.publisher.enter(self.room)

    def take(self, *media):
        for one in media:
            self.publisher.take(one)

    def push(self, name, pick=lambda media: True):
        for event in events(name):
            if isinstance(event, Media) and pick(event):
                self.publisher.take(event)
            elif isinstance(event, MetaData):
                self.publisher.describe(event.values)

    @property
    def videos(self):
        return {s: p for s, p in self.room.published.items() if p[0].mime_type.startswith("video")}


def events(name):
    server = ServerConnection()
    for event in server.receive((DATA / name).read_bytes()):
        if isinstance(event, PublishRequested):
            server.accept_publish()
        yield event


def video(media):
    return media.is_video


def tags(name):
    return [e for e in events(name) if isinstance(e, Media) and e.is_video]


async def test_units_pass_through_byte_for_byte_and_no_worker_is_asked():
    encoder = Encoder()

    encoder.push(PLAIN, video)

    (sid,) = encoder.videos
    info, layers, fmtp = encoder.room.published[sid]
    assert (info.width, info.height, info.layers[0].quality) == (64, 48, VideoQuality.HIGH)
    assert layers == () and "packetization-mode=1;profile-level-id=42" in fmtp
    assert encoder.jobs.specs == []
    read = [read_video(m.payload) for m in tags(PLAIN)]
    avc = AvcConfiguration.parse(read[0].data)
    expected = []
    for tag in read[1:]:
        if tag.part is Part.FRAME:
            units = [u for u in avc.nal_units(tag.data) if u[0] & 31 not in (7, 8, 9, 12)]
            expected.append([*(avc.sps + avc.pps if tag.is_key else ()), *units])
    by_time = {}
    for packet in encoder.room.sources[sid].packets:
        by_time.setdefault(packet[4:8], []).append(packet)
    got = [joined("h264", [p[12:] for p in packets]) for packets in by_time.values()]
    assert got == [b"".join(b"\0\0\0\1" + u for u in units) for units in expected]
    assert all(packets[-1][1] & 0x80 for packets in by_time.values())
    numbers = [struct.unpack("!H", p[2:4])[0] for p in encoder.room.sources[sid].packets]
    assert {(b - a) % 65536 for a, b in pairwise(numbers)} == {1}


async def test_b_frames_and_other_codecs_get_a_worker_with_layers():
    for name, codec in ((B_FRAMES, "h264"), (ENHANCED, "h265")):
        encoder = Encoder()
        encoder.push(name, video)
        await settle()
        (spec,) = encoder.jobs.specs
        assert (spec["kind"], spec["codec"]) == ("video", "h264")
        assert [(la["width"], la["height"]) for la in spec["layers"]] == [(64, 48)]
        assert encoder.told == [] and encoder.room.published == {}
        assert codec.upper() in encoder.ingress.notes["video"][0]


async def test_sound_is_encoded_by_a_worker_and_opus_is_not():
    aac, opus = Encoder(), Encoder()
    aac.push(PLAIN, lambda m: not m.is_video)
    opus.push(ENHANCED, lambda m: not m.is_video)
    await settle()

    assert [spec["kind"] for spec in aac.jobs.specs] == ["audio"]
    assert opus.jobs.specs == []
    (source,) = opus.room.sources.values()
    assert len(source.packets) >= 25 and source.clocks


@pytest.mark.parametrize(
    ("ingress", "config"),
    [
        (Ingress(), {"transcode": "always"}),
        (Ingress(video=VideoOptions(preset=3)), {}),
    ],
    ids=["settings", "definition"],
)
async def test_layers_may_be_asked_for(ingress, config):
    encoder = Encoder(ingress, **config)

    encoder.push(PLAIN, video)
    await settle()

    assert [spec["kind"] for spec in encoder.jobs.specs] == ["video"]


@pytest.mark.parametrize(
    ("ingress", "config"),
    [(Ingress(), {"transcode": "never"}), (Ingress(enable_transcoding=False), {})],
    ids=["settings", "definition"],
)
async def test_encoding_that_is_switched_off_ends_with_the_reason(ingress, config):
    encoder = Encoder(ingress, **config)

    encoder.push(B_FRAMES)
    await settle()

    assert len(encoder.told) == 1 and encoder.ingress.ends == encoder.told
    assert "switched off: B-frames" in encoder.told[0]
    assert encoder.jobs.specs == []


async def test_a_stream_that_stops_to_fit_is_published_again_from_a_worker():
    encoder = Encoder()
    encoder.push(PLAIN, video)
    (sid,) = encoder.videos
    key = next(m for m in tags(PLAIN) if read_video(m.payload).part is Part.FRAME)
    tag = read_video(key.payload)

    late = h264_frame(tag.data, is_key=True, composition_ms=67)
    encoder.take(Media(True, 5000, late))
    await settle()

    assert encoder.room.gone == [sid]
    assert [spec["kind"] for spec in encoder.jobs.specs] == ["video"]


async def test_key_frames_that_stay_away_too_long():
    encoder = Encoder()
    encoder.push(PLAIN, video)
    delta = next(m for m in tags(PLAIN) if not read_video(m.payload).is_key)

    encoder.take(*(Media(True, stamp, delta.payload) for stamp in range(1100, 7000, 100)))
    await settle()

    assert len(encoder.room.gone) == 1
    assert encoder.jobs.specs == []  # until there is a key frame


async def test_another_size_is_told_and_goes_on():
    encoder = Encoder()
    media = tags(PLAIN)
    encoder.take(*media[:5])

    other = next(m for m in tags(B_FRAMES) if read_video(m.payload).part is Part.CONFIGURATION)
    encoder.take(other)

    (changed,) = encoder.room.changes
    assert (changed.width, changed.height) == (64, 48)
    assert encoder.room.gone == []


async def test_frames_before_configuration_or_key_frame_are_left_out():
    encoder = Encoder()
    configuration, first, second, *_ = tags(PLAIN)

    encoder.take(first, configuration, second)
    assert encoder.videos == {}
    encoder.take(first)

    assert len(encoder.videos) == 1 and encoder.told == []


async def test_ten_broken_frames_in_a_row_end_it_and_nine_do_not():
    encoder = Encoder()
    encoder.push(PLAIN, video)
    broken = Media(True, 2000, h264_frame(b"\0\0\xff\xffx", is_key=False))
    good = tags(PLAIN)[2]
    sound = next(e for e in events(PLAIN) if isinstance(e, Media) and not e.is_video)

    encoder.take(*[broken, sound] * 9, replace(good, timestamp=2100))
    assert encoder.told == []
    encoder.take(*[broken, sound] * 10)
    await settle()

    assert encoder.ingress.ends == encoder.told
    assert "10 broken frames in a row" in encoder.told[0]


@pytest.mark.parametrize(
    ("media", "words"),
    [
        (Media(True, 0, b"\x12" + bytes(9)), "unsupported video codec 'h263'"),
        (Media(True, 0, b"\x91zzzz" + bytes(9)), "unsupported video codec"),
        (Media(False, 0, b"\xb2" + bytes(9)), "unsupported audio codec 'speex'"),
        (Media(True, 0, b"\x91vp09" + bytes(9)), "does not tell the size"),
    ],
)
async def test_what_cannot_be_taken_is_named(media, words):
    encoder = Encoder()

    encoder.take(media, media)
    await settle()

    assert len(encoder.told) == 1 and words in encoder.told[0]


async def test_no_cpu_ends_it_with_the_reason():
    encoder = Encoder()
    encoder.ingress.free = False

    encoder.push(PLAIN, lambda m: not m.is_video)
    await settle()

    assert encoder.told == ["server busy: ingress needs 0.03 cores"]


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)
