"""The directory of a server's state: one server each, by a lock that the kernel drops with it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from roomful.errors import ConfigError


class DataDir:
    """Holds `data_dir` for one server, from `open` until `close`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    def open(self) -> None:
        """Make the directory (0700) and lock it. Raises `ConfigError`."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise ConfigError(
                f"setting 'data_dir': {str(self.path)!r} is in use by another server; stop that "
                "one, or use --data-dir"
            ) from None
        except OSError as error:
            raise ConfigError(
                f"setting 'data_dir': {str(self.path)!r} cannot be used: {error.strerror}; make it "
                "readable and writable, or use --data-dir"
            ) from error

    def close(self) -> None:
        """Let go. Idempotent."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
