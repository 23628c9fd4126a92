"""Files that survive their writer, and what is made of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from roomful.errors import MediaError
from roomful_media.finish import Part, finish
from roomful_media.fragment import FragmentedFile, Fsync
from roomful_media.mux import Container

WRITER = textwrap.dedent(
    """
    import importlib.util, sys
    from pathlib import Path
    spec = importlib.util.spec_from_file_location("signals", sys.argv[1])
    signals = importlib.util.module_from_spec(spec)
    sys.modules["signals"] = signals
    spec.loader.exec_module(signals)
    from roomful_media.fragment import FragmentedFile
    from roomful_media.mux import Container
    video, audio = (name or None for name in sys.argv[4:6])
    studio = signals.Studio(video, audio)
    file = FragmentedFile(Path(sys.argv[2]), Container[sys.argv[3]], studio.encoders)
    while True:
        for packet in studio.packets(1 / 30):
            file.write(packet)
        print(studio.number, flush=True)
    """
)
SECONDS = 9
CASES = [
    (Container.MP4, "h264", "aac", Container.MP4),
    (Container.MP4, None, "aac", Container.MP4),
    (Container.MATROSKA, "vp8", "opus", Container.WEBM),
    (Container.OGG, None, "opus", Container.OGG),
]


def write_and_kill(path: Path, container: Container, video: str | None, audio: str) -> float:
    """Write in a process, kill it in the middle; return how many seconds it had encoded."""
    command = [sys.executable, "-c", WRITER, str(Path(__file__).with_name("conftest.py"))]
    with subprocess.Popen(
        [*command, str(path), container.name, video or "", audio],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as writer:
        assert writer.stdout is not None
        number = 0
        for line in writer.stdout:
            number = int(line)
            if number >= SECONDS * 30 - 7:
                break
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        assert writer.returncode == -signal.SIGKILL
    return number / 30


@pytest.mark.parametrize(("container", "video", "audio", "plain"), CASES)
def test_a_killed_writer_leaves_all_but_the_last_fragment(
    container, video, audio, plain, tmp_path, media_watch, media_expect
) -> None:
    torn = tmp_path / f"torn{container.suffix}"
    had = write_and_kill(torn, container, video, audio)

    done = finish([Part(torn)], tmp_path / f"done{plain.suffix}", plain)

    assert done.gaps == () and done.unreadable == ()
    assert done.size == done.path.stat().st_size
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []
    watched = media_watch(done.path)
    length = done.duration_us / 1e6
    # one fragment, and half a second that encoder and muxer hold for interleaving
    assert had - 2.6 <= length <= had + 0.05
    media_expect(watched, length, picture=video is not None)


@pytest.mark.parametrize(("container", "video", "audio", "plain"), CASES)
def test_a_file_that_was_closed_is_whole(
    container, video, audio, plain, tmp_path, media_studio, media_watch, media_expect
) -> None:
    studio, path = media_studio(video, audio), tmp_path / f"a{container.suffix}"
    file = FragmentedFile(path, container, studio.encoders)
    for packet in studio.packets(5.0) + studio.rest():
        file.write(packet)
    file.close()
    file.close()

    media_expect(media_watch(path), 5.0, picture=video is not None)
    done = finish([Part(path)], tmp_path / f"done{plain.suffix}", plain)
    media_expect(media_watch(done.path), 5.0, picture=video is not None)
    assert done.duration_us / 1e6 == pytest.approx(5.0, abs=0.06)


def test_a_finished_mp4_has_its_index_before_its_media(tmp_path, media_studio) -> None:
    studio, path = media_studio(), tmp_path / "a.mp4"
    file = FragmentedFile(path, Container.MP4, studio.encoders)
    for packet in studio.packets(5.0) + studio.rest():
        file.write(packet)
    file.close()
    data = finish([Part(path)], tmp_path / "done.mp4", Container.MP4).path.read_bytes()

    assert 0 < data.index(b"moov") < data.index(b"mdat")
    assert b"moof" not in data


def recorded(studio, path: Path, seconds: float) -> Path:
    file = FragmentedFile(path, Container.MP4, studio.encoders)
    for packet in studio.packets(seconds) + studio.rest():
        file.write(packet)
    file.close()
    return path


def test_parts_are_joined_with_the_gap_between_them(tmp_path, media_studio, media_watch) -> None:
    parts = [recorded(media_studio(), tmp_path / f"{n}.mp4", 3.0) for n in range(2)]

    done = finish(
        [Part(parts[0]), Part(parts[1], offset_us=4_500_000)], tmp_path / "all.mp4", Container.MP4
    )

    assert done.duration_us / 1e6 == pytest.approx(7.5, abs=0.05)
    assert [(gap.begin_us / 1e6, gap.end_us / 1e6) for gap in done.gaps] == [
        pytest.approx((3.0, 4.5), abs=0.05)
    ]
    watched = media_watch(done.path)
    assert watched.flashes_s == pytest.approx([0, 1, 2, 4.5, 5.5, 6.5], abs=0.04)
    assert len(watched.frames) == 180


def test_a_part_without_anything_is_named_and_left_out(tmp_path, media_studio) -> None:
    good, empty, rubbish = (tmp_path / f"{name}.mp4" for name in ("good", "empty", "rubbish"))
    recorded(media_studio(), good, 1.0)
    empty.touch()
    rubbish.write_bytes(os.urandom(5000))

    done = finish([Part(empty), Part(good), Part(rubbish)], tmp_path / "all.mp4", Container.MP4)

    assert done.unreadable == (empty, rubbish)
    assert done.gaps == ()
    with pytest.raises(MediaError, match=r"nothing can be read of .*empty.mp4"):
        finish([Part(empty), Part(rubbish)], tmp_path / "none.mp4", Container.MP4)
    assert not (tmp_path / "none.mp4").exists()


def test_parts_with_other_tracks_are_refused(tmp_path, media_studio) -> None:
    parts = [
        Part(recorded(media_studio(), tmp_path / "a.mp4", 1.0)),
        Part(recorded(media_studio(None), tmp_path / "b.mp4", 1.0), offset_us=2_000_000),
    ]

    with pytest.raises(MediaError, match=r"b\.mp4 has other tracks"):
        finish(parts, tmp_path / "all.mp4", Container.MP4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "b.mp4"]


@pytest.mark.parametrize(
    ("policy", "least", "most"),
    [(Fsync.NEVER, 0, 0), (Fsync.SECOND, 6, 10), (Fsync.FRAGMENT, 3, 7)],
)
def test_fsync_follows_the_policy(policy, least, most, tmp_path, media_studio) -> None:
    studio = media_studio("vp8", "opus")
    file = FragmentedFile(tmp_path / "a.mkv", Container.MATROSKA, studio.encoders, fsync=policy)
    for packet in studio.packets(8.0) + studio.rest():
        file.write(packet)
    file.close()

    assert least <= file.syncs <= most
