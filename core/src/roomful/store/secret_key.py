"""The key of a data directory: 32 random bytes in `secret.key`, made once, its owner's alone."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from roomful.errors import ConfigError
from roomful.store.sealing import KEY_BYTES, Sealer


def load_sealer(data_dir: Path) -> Sealer:
    """Return the sealer of a data directory. Raises `ConfigError`."""
    file = data_dir / "secret.key"
    try:
        close_to_others(data_dir)
        if not file.exists():
            _make_key(file)
        close_to_others(file)
        return Sealer(file.read_bytes())
    except OSError as error:
        raise ConfigError(
            f"setting 'data_dir': {str(file)!r} cannot be used: {error.strerror}; make it readable "
            "by the server"
        ) from error


def close_to_others(path: Path) -> None:
    """Take a file's or directory's permissions from everybody but its owner.

    What is not ours to close is refused: `ConfigError`.
    """
    status = path.stat()
    mode = stat.S_IMODE(status.st_mode)
    if not mode & 0o077:
        return
    if status.st_uid != os.geteuid():
        raise ConfigError(
            f"setting 'data_dir': {str(path)!r} is open to other users (mode {mode:o}) and not "
            "ours to close; chmod it, or use --data-dir"
        )
    path.chmod(mode & 0o700)


def _make_key(file: Path) -> None:
    """Write a new key so that a crash leaves a whole one or none."""
    part = file.with_suffix(".part")
    part.unlink(missing_ok=True)
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(secrets.token_bytes(KEY_BYTES))
        out.flush()
        os.fsync(out.fileno())
    part.rename(file)
    directory = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
