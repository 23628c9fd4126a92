"""The data directory: made 0700, used by one server at a time, with the key for sealed fields."""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
from pathlib import Path
from types import TracebackType

from roomful.errors import ConfigError
from roomful.store.sealing import KEY_BYTES, Sealer

_HOLD = "set data_dir to a directory of this server's own"


class DataDir:
    """An open data directory; the lock goes with the process, however it ends."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def open(cls, path: Path) -> DataDir:
        """Make the directory if it is missing and lock it. Raises `ConfigError`, one line."""
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            _check_mode(path, "directory")
            lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(
                f"data_dir {str(path)!r} cannot be used ({error.strerror}): {_HOLD}"
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise ConfigError(
                f"data_dir {str(path)!r} is in use by another server: {_HOLD}"
            ) from error
        return cls(path, lock)

    def __enter__(self) -> DataDir:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def database(self) -> Path:
        """File of the SQLite store."""
        return self.path / "roomful.sqlite"

    def sealer(self) -> Sealer:
        """Return the sealer with the key in `secret.key`, which is made once."""
        file = self.path / "secret.key"
        try:
            key = _read_key(file) if file.exists() else self._make_key(file)
        except OSError as error:
            raise ConfigError(f"{str(file)!r} cannot be used ({error.strerror})") from error
        return Sealer(key)

    def close(self) -> None:
        """Unlock; harmless when it is closed already."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _make_key(self, file: Path) -> bytes:
        """Write a new key so that a crash leaves a whole one or none."""
        key = secrets.token_bytes(KEY_BYTES)
        part = self.path / "secret.key.part"
        part.unlink(missing_ok=True)
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(key)
            out.flush()
            os.fsync(out.fileno())
        part.rename(file)
        _sync_directory(self.path)
        return key


def _read_key(file: Path) -> bytes:
    _check_mode(file, "file")
    return file.read_bytes()


def _check_mode(path: Path, what: str) -> None:
    """Others must not read state. What we own is closed; what we don't own is refused."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if not mode & 0o077:
        return
    if path.stat().st_uid != os.geteuid():
        raise ConfigError(
            f"{what} {str(path)!r} is open to other users (mode {mode:o}) and not ours to close: "
            f"{_HOLD}"
        )
    path.chmod(mode & 0o700)


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
