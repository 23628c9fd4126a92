"""Files that are readable up to their last fragment whatever happens to the writer.

A recording is written as fragments (MP4), clusters (Matroska) or pages (OGG), each handed to the
kernel as soon as it is whole: `kill -9` loses at most the one that is being made. Loss of power loses
what was not synced: the policy says how often that is. What is finished is a plain file again.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from enum import Enum
from fractions import Fraction
from pathlib import Path

from roomful_media.encode import Encoder
from roomful_media.mux import Container, Muxer
from roomful_media.packet import EncodedPacket

FRAGMENT_S = 2
"""of files without key frames to cut at; with video a fragment is a group of pictures"""


class Fsync(Enum):
    """How often a file is made safe from loss of power."""

    NEVER = "never"
    SECOND = "second"
    FRAGMENT = "fragment"


_MP4_FLAGS = "hybrid_fragmented+delay_moov"
"""An index that is written with the first fragment knows how much of the sound is lead-in."""


class FragmentedFile:
    """A muxer to disk. Blocking, as its `Muxer`."""

    def __init__(
        self,
        path: Path,
        container: Container,
        encoders: Sequence[Encoder],
        *,
        fsync: Fsync = Fsync.FRAGMENT,
    ) -> None:
        """Create the file.

        Args:
            path: of the file; its folder exists.
            container: MP4, MATROSKA or OGG; WebM is written as Matroska and finished as WebM.
            encoders: whose packets will come.
            fsync: when to sync.

        Raises:
            MediaError: the container does not take a codec.
            OSError: the file cannot be made.
        """
        video = any(encoder.template.type == "video" for encoder in encoders)
        self._muxer = Muxer(container, path, encoders, _live_options(container, video=video))
        self._path, self._fsync = path, fsync
        self._fd = os.open(path, os.O_RDONLY)
        self._every = Fraction(1 if fsync is Fsync.SECOND else FRAGMENT_S)
        self._at_growth = fsync is Fsync.FRAGMENT and container is Container.MP4
        self._synced_size, self._synced_at = 0, Fraction(0)
        self.syncs = 0
        if fsync is not Fsync.NEVER:
            sync_folder(path.parent)

    def write(self, packet: EncodedPacket) -> None:
        """Write a packet, and sync when that is due."""
        self._muxer.write(packet)
        if self._fsync is Fsync.NEVER:
            return
        if not self._at_growth and packet.seconds - self._synced_at < self._every:
            return
        size = os.fstat(self._fd).st_size
        if size > self._synced_size:
            os.fdatasync(self._fd)
            self.syncs += 1
            self._synced_size, self._synced_at = size, packet.seconds

    def close(self) -> None:
        """Write what is left, as an ordinary file; a second time is nothing."""
        if self._fd < 0:
            return
        try:
            self._muxer.close()
            if self._fsync is not Fsync.NEVER:
                os.fsync(self._fd)
                self.syncs += 1
        finally:
            os.close(self._fd)
            self._fd = -1


def _live_options(container: Container, *, video: bool) -> dict[str, str]:
    """Say what makes a container crash-safe while it is written."""
    if container is Container.MATROSKA:
        return {"flush_packets": "1", "cluster_time_limit": "1000"}
    if container is not Container.MP4:
        return {"flush_packets": "1"}
    if video:
        return {"movflags": f"{_MP4_FLAGS}+frag_keyframe", "flush_packets": "1"}
    # without video every frame is a key frame, and each would be a fragment
    fragment_us = str(FRAGMENT_S * 1_000_000)
    return {"movflags": _MP4_FLAGS, "frag_duration": fragment_us, "flush_packets": "1"}


def sync_folder(folder: Path) -> None:
    """Make names in a folder safe from loss of power."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
