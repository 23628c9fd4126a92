"""Clips of this machine's user: encoded when they are first asked for, read from a file afterwards.

A file is a line of JSON (parameters of the clip, sizes of all payloads, SHA-256 of what follows) and
the payloads one after another. It appears whole or not at all; one that is not what it says is made
again. Where the folder cannot be written, clips are encoded in every process.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from platformdirs import user_cache_path

from roomful_testing.clip import Film, Picture, Sound
from roomful_testing.replay.program import FilmProgram, SoundProgram

KEPT = 32
"""clips in memory"""
_Clip = TypeVar("_Clip", Film, Sound)
_ENCODING = threading.Lock()


class ClipCache:
    """Usable from several threads."""

    def __init__(self, folder: Path | None = None) -> None:
        """`folder`: by default one in the user's cache folder (XDG)."""
        self.folder = folder or user_cache_path("roomful-testing") / "clips"
        self._clips: dict[str, Any] = {}

    def film(self, program: FilmProgram) -> Film:
        """Return a film; encoded when it is first asked for."""
        return self._clip(program.key, _read_film, _film_parts, lambda: _encoder().film(program))

    def sound(self, program: SoundProgram) -> Sound:
        """Return a sound; encoded when it is first asked for."""
        return self._clip(program.key, _read_sound, _sound_parts, lambda: _encoder().sound(program))

    def _clip(
        self,
        key: str,
        read: Callable[[dict[str, Any], Iterator[bytes]], _Clip],
        parts: Callable[[_Clip], tuple[dict[str, Any], list[bytes]]],
        encode: Callable[[], _Clip],
    ) -> _Clip:
        with _ENCODING:
            found = self._clips.get(key)
            if found is None:
                found = self._stored(key, read)
            if found is None:
                found = encode()
                with suppress(OSError):
                    self._store(key, *parts(found))
            if len(self._clips) >= KEPT:
                del self._clips[next(iter(self._clips))]
            self._clips[key] = found
            return found

    def _stored(
        self, key: str, read: Callable[[dict[str, Any], Iterator[bytes]], _Clip]
    ) -> _Clip | None:
        try:
            head, _, body = (self.folder / key).read_bytes().partition(b"\n")
            said: dict[str, Any] = json.loads(head)
            if hashlib.sha256(body).hexdigest() != said["sha256"]:
                return None
            return read(said, _split(body, said["sizes"]))
        except (OSError, ValueError, KeyError, TypeError, StopIteration):
            return None

    def _store(self, key: str, said: dict[str, Any], payloads: Sequence[bytes]) -> None:
        body = b"".join(payloads)
        said |= {"sizes": list(map(len, payloads)), "sha256": hashlib.sha256(body).hexdigest()}
        self.folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self.folder, prefix=".", suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(json.dumps(said).encode() + b"\n" + body)
            Path(name).replace(self.folder / key)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise


def _encoder() -> Any:
    from roomful_testing.replay import encode  # noqa: PLC0415 - FFmpeg loads slowly, once a clip

    return encode


def _split(body: bytes, sizes: Sequence[int]) -> Iterator[bytes]:
    at = 0
    for size in sizes:
        yield body[at : at + size]
        at += size


def _film_parts(film: Film) -> tuple[dict[str, Any], list[bytes]]:
    said = {
        "film": [film.codec, film.width, film.height, film.per_second, film.bitrate],
        "entries": {place: list(map(len, take)) for place, take in film.entries.items()},
    }
    return said, [piece for take in film.entries.values() for picture in take for piece in picture]


def _read_film(said: dict[str, Any], payloads: Iterator[bytes]) -> Film:
    entries: dict[int, tuple[Picture, ...]] = {
        int(place): tuple(tuple(next(payloads) for _ in range(count)) for count in counts)
        for place, counts in said["entries"].items()
    }
    codec, width, height, per_second, bitrate = said["film"]
    return Film(codec, width, height, per_second, bitrate, entries[0], entries)


def _sound_parts(sound: Sound) -> tuple[dict[str, Any], list[bytes]]:
    return {"sound": sound.level}, list(sound.packets)


def _read_sound(said: dict[str, Any], payloads: Iterator[bytes]) -> Sound:
    return Sound(tuple(payloads), said["sound"])
