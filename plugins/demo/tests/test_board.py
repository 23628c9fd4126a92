"""Facts of the room as rows."""

from dataclasses import dataclass
from typing import Any

from roomful.model.enums import ParticipantKind, ParticipantState, TrackKind, TrackSource
from roomful.model.participant import Participant
from roomful.model.permission import Permission
from roomful.model.track import Publication, TrackInfo
from roomful_demo.board import TrackRow, printable, rows


@dataclass
class FakeLayer:
    width: int
    height: int
    bitrate: int
    live: bool = True


@dataclass
class FakeSource:
    layers: tuple[FakeLayer, ...]

    def request_key_frame(self) -> None: ...


def someone(name: str = "", kind: ParticipantKind = ParticipantKind.STANDARD) -> Participant:
    permission = Permission()
    return Participant("PA_1", "someone", kind, permission, 0, name, state=ParticipantState.ACTIVE)


def publish(participant: Participant, media: Any = None, **info: Any) -> None:
    track = TrackInfo(f"TR_{len(participant.publications)}", **info)
    participant.publications[track.sid] = Publication("someone", "PA_1", track, media)


def test_a_camera_in_layers_is_shown_by_its_largest_picture_and_all_its_bits() -> None:
    participant = someone("Some body")
    layers = (FakeLayer(320, 180, 100_000), FakeLayer(640, 360, 400_400), FakeLayer(0, 0, 9, False))
    publish(
        participant,
        FakeSource(layers),
        kind=TrackKind.VIDEO,
        source=TrackSource.CAMERA,
        mime_type="video/VP8",
    )

    [row] = rows([participant])

    assert (row.name, row.kind, row.state) == ("Some body", "participant", "here")
    assert row.tracks == (TrackRow("camera", "VP8", "640×360", 500, False),)
    assert row.tracks[0].flow == "500 kbit/s"


def test_a_muted_microphone_is_shown_as_muted() -> None:
    participant = someone()
    publish(
        participant,
        kind=TrackKind.AUDIO,
        source=TrackSource.MICROPHONE,
        mime_type="audio/opus",
        muted=True,
    )

    [row] = rows([participant])

    assert row.name == "someone"
    assert (row.tracks[0].still, row.tracks[0].flow) == ("microphone opus", "muted")


def test_a_track_of_which_nothing_is_known_yet_has_no_figures() -> None:
    participant = someone()
    publish(participant, kind=TrackKind.VIDEO)

    [row] = rows([participant])

    assert (row.tracks[0].still, row.tracks[0].flow) == ("video", "–")


def test_other_kinds_are_named() -> None:
    assert rows([someone(kind=ParticipantKind.AGENT)])[0].kind == "agent"


def test_what_is_not_printable_in_a_name_never_reaches_the_terminal() -> None:
    assert printable("a\x1b[2Jb\n\u202e") == "a·[2Jb··"
    assert printable("x" * 40) == "x" * 31 + "…"
