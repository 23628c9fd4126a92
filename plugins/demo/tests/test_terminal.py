"""What is written, with and without a terminal."""

import io
import logging
from collections.abc import Iterator

import pytest
from rich.console import Console

from roomful_demo.board import Row, TrackRow
from roomful_demo.scene import Line
from roomful_demo.terminal import PLAIN_EVERY_S, coloured, display, log_to

PAGE = "http://127.0.0.1:7880/demo/"
CAMERA = TrackRow("camera", "VP8", "320×180", 250, False)


def console(*, terminal: bool = False) -> Console:
    return Console(
        file=io.StringIO(),
        force_terminal=terminal,
        width=120,
        highlight=False,
        color_system="truecolor" if terminal else None,
    )


def written(to: Console) -> str:
    assert isinstance(to.file, io.StringIO)
    return to.file.getvalue()


def row(name: str, *tracks: TrackRow, state: str = "here") -> Row:
    return Row(name.lower(), name, "participant", state, tracks)


def test_without_a_terminal_comings_and_goings_are_lines() -> None:
    to = console()
    with display(to, PAGE, "") as shown:
        shown.show([row("One", CAMERA)], [], 0.0)
        shown.show([row("One", CAMERA)], [], 0.5)
        shown.show([], [], 1.0)

    assert written(to).splitlines() == [
        f"join at {PAGE}",
        "+ One (participant) is here",
        "+ One: camera VP8 320×180 is on",
        "- One (participant) is here",
        "- One: camera VP8 320×180 is on",
    ]


def test_without_a_terminal_figures_come_now_and_then() -> None:
    to = console()
    with display(to, PAGE, "") as shown:
        for second in (0.0, 1.0, PLAIN_EVERY_S):
            shown.show([], [Line("listener hears", f"♪ {second:.0f}")], second)

    assert written(to).splitlines()[1:] == ["listener hears: ♪ 0", "listener hears: ♪ 10"]


def test_without_a_terminal_a_note_is_written_once() -> None:
    to = console()
    with display(to, PAGE, "something is missing"):
        pass

    assert written(to).splitlines() == [f"join at {PAGE}", "something is missing"]


def test_the_board_shows_link_people_tracks_and_lines() -> None:
    to = console(terminal=True)
    with display(to, PAGE, "") as shown:
        shown.show([row("One", CAMERA), row("Two", state="joining")], [Line("hears", "♪ A4")], 0.0)

    text = written(to)
    for part in (PAGE, "One", "camera", "VP8", "320×180", "250 kbit/s", "Two", "joining", "♪ A4"):
        assert part in text


def test_markup_in_a_name_stays_text() -> None:
    to = console(terminal=True)
    with display(to, PAGE, "") as shown:
        shown.show([row("[bold red]x[/]")], [Line("a", "[link]b")], 0.0)

    assert "[bold red]x[/]" in written(to)
    assert "[link]b" in written(to)


def test_a_colour_gets_a_dot_of_itself() -> None:
    text = coloured("rgb(255, 122, 46) at 50%")

    assert text.plain == "● rgb(255, 122, 46) at 50%"
    assert [str(span.style) for span in text.spans] == ["rgb(255,122,46)"]


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield root
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(capture=False)


def test_warnings_are_written_where_the_board_is(root_logger: logging.Logger) -> None:
    to = console()
    log_to(to)

    root_logger.info("unseen")
    root_logger.warning("seen [red]")

    assert "seen [red]" in written(to)
    assert "unseen" not in written(to)
