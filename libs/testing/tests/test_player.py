"""Players send by the clock that they are told."""

import pytest

from roomful_testing.clip import Film, Sound
from roomful_testing.peer.player import BURST, BURST_EVERY_S, FilmPlayer, SoundPlayer

from .wire import Wire

HEAD = b"\x90\x80\x80\x00"
PLACES, ENTRIES = 6, (0, 3)
BEGIN = 100.0


def film_of(pieces: int = 1) -> Film:
    """Pictures that tell place and entry: `2/0` is the third of the film, begun at its begin."""

    def take(entry: int) -> tuple[tuple[bytes, ...], ...]:
        return tuple(
            tuple(HEAD + b"%d/%d" % (place, entry) for _ in range(pieces))
            for place in range(entry, PLACES)
        )

    return Film("vp8", 64, 64, 10, 1, take(0), {entry: take(entry) for entry in ENTRIES})


def run(player: FilmPlayer | SoundPlayer, until: float, at: float = BEGIN) -> list[float]:
    """Call a player whenever it is due; return when it was called."""
    called: list[float] = []
    while (at := max(at, player.due)) < until:
        player.send(at)
        called.append(at)
    return called


def shown(wire: Wire) -> list[str]:
    return [packet.payload[4:].decode() for packet in wire.packets]


def test_sound_is_sent_every_20_ms_with_its_media_time() -> None:
    wire = Wire()
    player = SoundPlayer(wire.stream(audio=True), Sound((b"a", b"b")), BEGIN, BEGIN)
    called = run(player, BEGIN + 0.099)

    assert len(called) == 5
    assert [p.payload for p in wire.packets] == [b"a", b"b", b"a", b"b", b"a"]
    assert [p.marker for p in wire.packets] == [True, False, False, False, False]
    assert (wire.packets[4].ts - wire.packets[0].ts) % (1 << 32) == 4 * 960


def test_sound_that_was_held_up_is_sent_at_once() -> None:
    wire = Wire()
    player = SoundPlayer(wire.stream(audio=True), Sound((b"a",)), BEGIN, BEGIN)
    player.send(BEGIN)
    player.send(BEGIN + 0.1)

    assert len(wire.packets) == 6


def test_sound_that_was_held_up_for_long_leaves_out_what_is_past() -> None:
    wire = Wire()
    player = SoundPlayer(wire.stream(audio=True), Sound((b"a",)), BEGIN, BEGIN)
    player.send(BEGIN)
    player.send(BEGIN + 5.001)

    assert len(wire.packets) == 2
    assert (wire.packets[1].ts - wire.packets[0].ts) % (1 << 32) == 5 * 48_000


def test_what_began_before_the_player_is_not_sent() -> None:
    wire = Wire()
    sound = SoundPlayer(wire.stream(audio=True), Sound((b"a",)), BEGIN, BEGIN + 0.05)
    film = FilmPlayer(wire.stream(), film_of(), BEGIN, BEGIN + 0.25)

    assert sound.due == BEGIN + 0.06
    assert film.due == BEGIN + 0.3


def test_reports_of_sound_and_film_tell_the_same_clock() -> None:
    wire = Wire()
    sound = SoundPlayer(wire.stream(audio=True), Sound((b"a",)), BEGIN, BEGIN)
    film = FilmPlayer(wire.stream(), film_of(), BEGIN, BEGIN)
    sound.send(BEGIN + 0.005)
    film.send(BEGIN + 0.005)
    of_sound, of_film = wire.reports

    assert (of_sound.rtp_ts - wire.packets[0].ts) % (1 << 32) == 240
    assert (of_film.rtp_ts - wire.packets[1].ts) % (1 << 32) == 450


def test_film_begins_again_with_its_key_frame() -> None:
    wire = Wire()
    run(FilmPlayer(wire.stream(), film_of(), BEGIN, BEGIN), BEGIN + 0.75)

    assert shown(wire) == ["0/0", "1/0", "2/0", "3/0", "4/0", "5/0", "0/0", "1/0"]
    assert (wire.packets[7].ts - wire.packets[0].ts) % (1 << 32) == 7 * 9000
    ids = [int.from_bytes(packet.payload[2:4], "big") & 0x7FFF for packet in wire.packets]
    assert (ids[7] - ids[0]) % (1 << 15) == 7


def test_key_frame_that_is_asked_for_comes_at_the_next_entry_in_its_place() -> None:
    wire = Wire()
    player = FilmPlayer(wire.stream(), film_of(), BEGIN, BEGIN)
    run(player, BEGIN + 0.15)
    player.want_key_frame()
    run(player, BEGIN + 0.75, player.due)

    assert shown(wire) == ["0/0", "1/0", "2/0", "3/3", "4/3", "5/3", "0/0", "1/0"]
    assert player.key_frames_asked == 1


def test_large_picture_goes_out_in_bursts() -> None:
    wire = Wire()
    player = FilmPlayer(wire.stream(), film_of(pieces=2 * BURST + 1), BEGIN, BEGIN)
    called = run(player, BEGIN + 0.05)

    assert called == [BEGIN, BEGIN + BURST_EVERY_S, BEGIN + BURST_EVERY_S + BURST_EVERY_S]
    assert [p.marker for p in wire.packets] == [False] * 2 * BURST + [True]
    assert len({p.ts for p in wire.packets}) == 1
    assert player.due == BEGIN + 0.1


def test_film_that_was_held_up_for_long_goes_on_at_an_entry() -> None:
    wire = Wire()
    player = FilmPlayer(wire.stream(), film_of(), BEGIN, BEGIN)
    player.send(BEGIN)
    run(player, BEGIN + 3.55, at=BEGIN + 3.11)

    # place 1 is now, and cannot be begun with
    assert shown(wire) == ["0/0", "3/3", "4/3", "5/3"]
    assert (wire.packets[1].ts - wire.packets[0].ts) % (1 << 32) == 33 * 9000


def test_layer_that_nobody_wants_is_silent_and_comes_back_with_a_key_frame() -> None:
    wire = Wire()
    player = FilmPlayer(wire.stream(), film_of(), BEGIN, BEGIN)
    run(player, BEGIN + 0.05)
    player.want(False)
    run(player, BEGIN + 0.15, player.due)
    player.want(True)
    run(player, BEGIN + 0.45, player.due)

    assert shown(wire) == ["0/0", "3/3", "4/3"]
    ids = [int.from_bytes(packet.payload[2:4], "big") & 0x7FFF for packet in wire.packets]
    assert (ids[1] - ids[0]) % (1 << 15) == 1


def test_pictures_with_slack_may_go_out_earlier_and_later() -> None:
    wire = Wire()
    player = FilmPlayer(wire.stream(), film_of(), BEGIN, BEGIN, slack_s=0.007)

    assert player.due == BEGIN + 0.007
    assert player.due - player.early_s == pytest.approx(BEGIN - 0.007)
