"""`roomful demo`, whole: a server, two participants of the published SDK, exit codes."""

import logging
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from roomful_demo import duo, presenter
from roomful_demo.melody import Samples
from roomful_demo.picture import HEIGHT, WIDTH, Picture
from roomful_demo.settings import demo_settings
from roomful_demo.show import run

pytestmark = pytest.mark.interop

COMMAND = [str(Path(sys.executable).with_name("roomful")), "demo"]
WITHIN_S = 60


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=WITHIN_S, check=False
    )


def leftovers() -> set[str]:
    return {path.name for path in Path(tempfile.gettempdir()).glob("roomful-demo-*")}


def test_once_finds_all_well_within_a_minute_and_leaves_nothing() -> None:
    before = leftovers()

    done = demo("--once", "--port", "0")

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("roomful ready at ws://127.0.0.1:")
    for figure in (
        r"ok +joined +presenter \d+ ms, listener \d+ ms",
        r"ok +picture .*rgb\(2\d\d, \d+, \d+\) .*320×180, \d+ frames/s, \d+ frames, first after \d+ ms",
        r"ok +sound .*Hz.*dBFS, first after \d+ ms",
        r"ok +codecs +video/vp8, audio/opus",
        r"ok +data +there and back in \d+ ms",
        r"ok +picture .*\d+ decoded, \d+ a second, 0 with wrong colours",
        r"ok +sound +440 Hz, -3\d dBFS",
        r"ok +together picture [+-]\d+ ms after sound",
        r"all is well, in \d+\.\d s",
    ):
        assert re.search(figure, done.stdout), (figure, done.stdout)
    assert leftovers() <= before


def test_a_port_in_use_is_one_line_and_code_2() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        done = demo("--once", "--port", str(port))

    assert done.returncode == 2
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert f"{port} on 127.0.0.1" in line and "--port" in line


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(number: signal.Signals) -> None:
    before = leftovers()
    process = subprocess.Popen(
        [*COMMAND, "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    seen: list[str] = []
    for line in process.stdout:
        seen.append(line)
        if "camera" in line:
            break

    process.send_signal(number)
    out, err = process.communicate(timeout=WITHIN_S)

    assert (process.returncode, err) == (0, "")
    assert "Traceback" not in out
    assert seen[1].startswith("join at http://127.0.0.1:")
    assert leftovers() <= before


# --- what is black or silent ----------------------------------------------------------------------


@pytest.fixture
def quiet() -> Iterator[None]:
    """Give back what the command does to the process's logging."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(capture=False)


def black(_: float) -> Picture:
    picture = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    picture[:, :, 3] = 255
    return picture


def silence(_: int, count: int) -> Samples:
    return np.zeros(count, np.int16)


@pytest.mark.usefixtures("quiet")
def test_a_black_and_silent_presenter_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(presenter, "paint", black)
    monkeypatch.setattr(presenter, "samples", silence)
    monkeypatch.setattr(duo, "MEDIA_WITHIN_S", 4.0)
    began = time.monotonic()

    code = run(demo_settings(0, tmp_path), once=True)

    out = capsys.readouterr().out
    assert code == 1, out
    assert re.search(r"MISSING +picture +it is black \(brightness \d+ of 255\)", out)
    assert re.search(r"MISSING +sound +the track is silent \(-\d+ dBFS\)", out)
    assert "NOT WELL" in out
    assert time.monotonic() - began < WITHIN_S
