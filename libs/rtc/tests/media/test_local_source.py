"""What a local source enters, tells its owner, and refuses."""

from __future__ import annotations

from typing import Any

import pytest

from roomful.errors import MediaError, ResourceExhausted
from roomful.model.enums import TrackKind, VideoQuality
from roomful.model.media import GapReason
from roomful.model.track import TrackInfo, VideoLayer
from roomful_rtc import rtcp
from roomful_rtc.engine import KeyFrame, KeyFrameWanted, SilentUp, Switched
from roomful_rtc.local_source import LocalSource
from roomful_rtc.selection import Want

from .rig import LAYERS, Rig

VOICE = TrackInfo("TR_v", TrackKind.AUDIO, mime_type="audio/opus")
CAMERA = TrackInfo("TR_c", TrackKind.VIDEO, mime_type="video/VP8", width=1280, height=720)
PACKET = b"\x80\x21" + bytes(10) + b"payload"
NOW_NS = 1_000_000_000_000


class Owner:
    """Keeps what a source tells."""

    def __init__(self, source: LocalSource) -> None:
        self.told: list[tuple[Any, ...]] = []
        source.on_keyframe = lambda layer: self.told.append(("keyframe", layer))
        source.on_demand = lambda layer, wanted: self.told.append(("demand", layer, wanted))
        source.on_ended = lambda reason: self.told.append(("ended", reason))

    def of(self, kind: str) -> list[tuple[Any, ...]]:
        return [entry[1:] for entry in self.told if entry[0] == kind]


def camera(rig: Rig, *, flowing: bool = True) -> tuple[LocalSource, Owner]:
    source = LocalSource(rig.board, CAMERA, LAYERS, "")
    owner = Owner(source)
    if flowing:
        for layer in range(3):
            source.write(PACKET, NOW_NS, layer)
    return source, owner


def test_a_voice_has_one_row_and_no_layers_to_choose(rig: Rig):
    source = LocalSource(rig.board, VOICE, (), "")
    [layer] = source.layers
    assert rig.engine.made("add_source") == [(layer.up, "opus", 48_000, 0)]
    assert (source.kind, source.codec, source.formats[0].channels) == ("audio", "opus", 2)


def test_each_layer_has_a_row_with_its_size(rig: Rig):
    source, _ = camera(rig)
    assert [(x.quality, x.width, x.rid) for x in source.layers] == [
        (VideoQuality.LOW, 320, ""),
        (VideoQuality.MEDIUM, 640, ""),
        (VideoQuality.HIGH, 1280, ""),
    ]
    assert [made[3] for made in rig.engine.made("add_source")] == [0, 1, 2]


def test_parameters_are_there_for_subscribers(rig: Rig):
    info = TrackInfo("TR_h", TrackKind.VIDEO, mime_type="video/H264")
    source = LocalSource(rig.board, info, (), "packetization-mode=1;profile-level-id=42e01f")
    assert source.formats[0].parameters["profile-level-id"] == "42e01f"


def test_packets_go_to_the_row_of_their_layer(rig: Rig):
    source, _ = camera(rig, flowing=False)
    source.write(PACKET, NOW_NS + 5_000, 1)
    source.write(memoryview(PACKET), NOW_NS, level=-20)
    up = rig.up(source, 1)
    assert rig.engine.made("feed") == [
        (up, PACKET, (NOW_NS + 5_000) // 1000, None),
        (rig.up(source, 0), PACKET, NOW_NS // 1000, -20),
    ]
    with pytest.raises(LookupError):
        source.write(PACKET, NOW_NS, 3)


def test_a_layer_is_live_once_it_has_packets(rig: Rig):
    source, _ = camera(rig, flowing=False)
    assert not any(layer.live for layer in source.layers)
    source.write(PACKET, NOW_NS, 2)
    assert [layer.live for layer in source.layers] == [False, False, True]
    rig.board.on_event(SilentUp(rig.up(source, 2)))
    assert not any(layer.live for layer in source.layers)


def test_a_row_that_was_never_fed_does_not_come_alive(rig: Rig):
    source, _ = camera(rig, flowing=False)
    rig.pass_time(3.0)
    assert not any(layer.live for layer in source.layers)


def test_key_frames_are_asked_for_at_most_twice_a_second(rig: Rig):
    source, owner = camera(rig)
    for _ in range(10):
        rig.board.on_event(KeyFrameWanted(rig.up(source)))
    assert owner.of("keyframe") == [(0,)]
    rig.pass_time(0.55)
    assert owner.of("keyframe") == [(0,), (0,)]
    rig.board.on_event(KeyFrame(rig.up(source), 1, 0))
    rig.pass_time(3.0)
    assert len(owner.of("keyframe")) == 2


def test_a_subscriber_asks_for_the_key_frame_of_its_layer(rig: Rig):
    source, owner = camera(rig)
    sink = rig.subscribe(source)
    assert owner.of("keyframe") == [(2,)]
    sink.set(Want(quality=VideoQuality.LOW))
    assert owner.of("keyframe") == [(2,), (0,)]
    assert rig.engine.made("switch") == [(sink.down, rig.up(source, 0), None)]


def test_what_nobody_wants_is_told_after_a_while_and_a_wish_at_once(rig: Rig):
    source, owner = camera(rig)
    sink = rig.subscribe(source)
    rig.pass_time(4.0)
    assert not owner.of("demand")
    rig.pass_time(2.5)
    assert sorted(owner.of("demand")) == [(0, False), (1, False)]

    sink.set(Want(quality=VideoQuality.MEDIUM))
    assert owner.of("demand")[2:] == [(1, True)]


def test_a_layer_that_flows_is_wanted_until_the_next_one_does(rig: Rig):
    source, owner = camera(rig)
    sink = rig.subscribe(source)
    sink.set(Want(quality=VideoQuality.LOW))
    rig.pass_time(10.0)
    assert (2, False) not in owner.of("demand")
    rig.board.on_event(Switched(sink.down, rig.up(source, 0)))
    rig.pass_time(6.5)
    assert (2, False) in owner.of("demand")
    assert (0, False) not in owner.of("demand")


def test_a_layer_that_was_stopped_is_asked_for_by_who_wants_it(rig: Rig):
    source, owner = camera(rig)
    rig.pass_time(7.0)
    for layer in source.layers:
        rig.board.on_event(SilentUp(layer.up))
    assert len(owner.of("demand")) == 3
    sink = rig.subscribe(source)
    assert owner.of("demand")[3:] == [(0, True), (2, True)]
    source.write(PACKET, NOW_NS, 2)
    assert rig.engine.made("switch")[-1] == (sink.down, rig.up(source, 2), None)


def test_congestion_does_not_end_the_wish(rig: Rig):
    source, owner = camera(rig)
    sink = rig.subscribe(source, may_pause=True)
    sink.allot(-1)
    rig.pass_time(7.0)
    assert (2, False) not in owner.of("demand")


def test_muting_ends_the_wish_and_unmuting_asks_for_a_key_frame(rig: Rig):
    source, owner = camera(rig)
    rig.subscribe(source)
    source.set_muted(True)
    rig.pass_time(7.0)
    assert (2, False) in owner.of("demand")
    owner.told.clear()
    source.set_muted(False)
    assert owner.told[:2] == [("demand", 2, True), ("keyframe", 2)]


def test_its_clock_goes_to_subscribers_as_a_sender_report(rig: Rig):
    source = LocalSource(rig.board, VOICE, (), "")
    sink = rig.subscribe(source)
    rig.engine.downs[sink.down] = rig.engine.downs[sink.down].__class__(
        7, 700, 0, 0, 5, 50, 1000, rig.up(source)
    )
    source.clock(4000, 0xABCD << 32, NOW_NS)
    rig.pass_time(0.3)
    sent = sink._peer.transport.sent
    [report] = [p for p in sent if isinstance(p, rtcp.SenderReport)]
    assert (report.ntp, report.rtp_ts, report.packets) == (0xABCD << 32, 5000, 7)


def test_a_gap_is_told_to_the_sinks_of_its_row(rig: Rig):
    source, _ = camera(rig)
    source.gap(3, GapReason.QUEUE_FULL, 1)
    source.gap(2)
    assert rig.engine.made("give_up") == [(rig.up(source, 1), 3, 1), (rig.up(source, 0), 2, 3)]


def test_levels_of_a_voice_are_told(rig: Rig):
    from roomful_rtc.engine import AudioLevel

    source, told = LocalSource(rig.board, VOICE, (), ""), []
    source.on_level = lambda *level: told.append(level)
    rig.board.on_event(AudioLevel(rig.up(source), -20, 0.5))
    assert told == [(-20, 0.5)]


def test_what_exceeds_the_announcement_is_dropped_then_the_source_ended(rig: Rig):
    layers = [VideoLayer(VideoQuality.LOW, 320, 180, 100_000)]
    source = LocalSource(rig.board, CAMERA, layers, "")
    owner = Owner(source)
    for _ in range(100):
        for _ in range(10):
            source.write(bytes(1000), NOW_NS)
        rig.pass_time(0.1)
    fed = len(rig.engine.made("feed"))
    assert 200 <= fed < 400
    assert owner.of("ended") == [("sends more than was announced",)]
    assert not rig.board.locals
    assert not rig.engine.ups


def test_within_the_announcement_nothing_is_dropped(rig: Rig):
    layers = [VideoLayer(VideoQuality.LOW, 320, 180, 400_000)]
    source = LocalSource(rig.board, CAMERA, layers, "")
    for _ in range(200):
        for _ in range(10):
            source.write(bytes(1000), NOW_NS)
        rig.pass_time(0.1)
    assert len(rig.engine.made("feed")) == 2000


@pytest.mark.parametrize("bitrate", [-1, 0, 1])
def test_a_key_frame_passes_whatever_was_announced(rig: Rig, bitrate: int):
    layers = [VideoLayer(VideoQuality.LOW, 320, 180, bitrate)]
    source = LocalSource(rig.board, CAMERA, layers, "")
    for _ in range(90):
        source.write(bytes(1000), NOW_NS)
    assert len(rig.engine.made("feed")) == 90


def test_an_owner_that_raises_ends_its_source_not_who_asked(rig: Rig):
    source, owner = camera(rig)

    def fail(layer: int) -> None:
        raise RuntimeError("an owner's mistake")

    source.on_keyframe = fail
    sink = rig.subscribe(source)
    assert owner.of("ended") == [("internal: its owner failed",)]
    assert rig.engine.ups == {}
    assert sink.layer is None
    assert not sink._peer.observer.of("failed")


def test_end_frees_everything_and_tells_nothing_more(rig: Rig):
    source, owner = camera(rig)
    sink = rig.subscribe(source)
    owner.told.clear()
    source.end()
    source.end()
    source.write(PACKET, NOW_NS)
    source.clock(0, 1, NOW_NS)
    source.gap(1)
    source.request_key_frame()
    rig.pass_time(10.0)
    assert owner.told == []
    assert not (rig.engine.ups or rig.board.streams or rig.board.locals)
    assert sink.down in rig.engine.downs


def test_another_writer_gets_rows_of_its_own(rig: Rig):
    source, owner = camera(rig)
    sink = rig.subscribe(source)
    before = [layer.up for layer in source.layers]
    owner.told.clear()
    source.restart()
    after = [layer.up for layer in source.layers]
    assert not set(before) & set(after)
    assert list(rig.engine.ups) == after
    assert owner.of("keyframe") == [(0,)]
    for layer in range(3):
        source.write(PACKET, NOW_NS, layer)
    assert rig.engine.made("switch")[-1] == (sink.down, after[2], None)


@pytest.mark.parametrize(
    ("info", "layers", "error"),
    [
        (TrackInfo("", TrackKind.VIDEO, mime_type="video/theora"), (), MediaError),
        (TrackInfo("", TrackKind.VIDEO), (), MediaError),
        (VOICE, LAYERS, ValueError),
        (CAMERA, tuple(reversed(LAYERS)), ValueError),
        (CAMERA, (LAYERS[0], LAYERS[0]), ValueError),
        (CAMERA, (*LAYERS, LAYERS[2]), ValueError),
    ],
)
def test_what_cannot_be_is_refused(rig: Rig, info, layers, error):
    with pytest.raises(error):
        LocalSource(rig.board, info, layers, "")
    assert not (rig.engine.ups or rig.board.locals)


def test_a_full_engine_leaves_nothing_behind(rig: Rig):
    rig.engine.refuse = ResourceExhausted("the engine's table of ups is full")
    with pytest.raises(ResourceExhausted):
        camera(rig)
    assert not (rig.board.streams or rig.board.locals)
