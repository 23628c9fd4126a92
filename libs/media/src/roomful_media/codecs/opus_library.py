"""libopus by ctypes: the library that comes with PyAV, or the system's. Half of the cost of frames.

Every call is checked: a negative answer is an error of libopus (opus_defines.h).
"""

from __future__ import annotations

import ctypes
import logging
from functools import cache
from pathlib import Path

import av
import numpy as np

from roomful.errors import MediaError
from roomful_media.codecs import Samples

APPLICATIONS = {"voip": 2048, "audio": 2049, "lowdelay": 2051}
_SET_BITRATE, _SET_COMPLEXITY, _SET_FEC, _SET_LOSS, _SET_DTX = 4002, 4010, 4012, 4014, 4016
_MOST_BYTES = 1275 * 3
_SYSTEM = "libopus.so.0"
_log = logging.getLogger(__name__)


@cache
def library() -> ctypes.CDLL | None:
    """Return the library with its functions declared; None where there is none to be found."""
    beside = Path(av.__file__).parent.parent / "av.libs"
    for name in (*sorted(map(str, beside.glob("libopus-*.so*"))), _SYSTEM):
        try:
            found = ctypes.CDLL(name)
            _declare(found)
        except (OSError, AttributeError):
            continue
        return found
    _log.info("libopus not found beside PyAV or in the system: Opus goes through PyAV")
    return None


def _declare(opus: ctypes.CDLL) -> None:
    pointer, number = ctypes.c_void_p, ctypes.c_int
    for name, arguments, answer in (
        ("opus_decoder_create", [ctypes.c_int32, number, ctypes.POINTER(number)], pointer),
        ("opus_encoder_create", [ctypes.c_int32, number, number, ctypes.POINTER(number)], pointer),
        ("opus_decoder_destroy", [pointer], None),
        ("opus_encoder_destroy", [pointer], None),
        (
            "opus_decode_float",
            [pointer, ctypes.c_char_p, ctypes.c_int32, pointer, number, number],
            number,
        ),
        (
            "opus_encode_float",
            [pointer, pointer, number, ctypes.c_char_p, ctypes.c_int32],
            ctypes.c_int32,
        ),
        ("opus_strerror", [number], ctypes.c_char_p),
    ):
        function = getattr(opus, name)
        function.argtypes, function.restype = arguments, answer
    opus.opus_encoder_ctl.restype = number  # variadic: its arguments are given their types per call


def _why(opus: ctypes.CDLL, code: int) -> str:
    return str(opus.opus_strerror(code).decode())


class LibraryDecoder:
    """One decoder state."""

    def __init__(self, opus: ctypes.CDLL, rate: int, channels: int) -> None:
        self._opus, self._channels = opus, channels
        self._most = rate * 120 // 1000
        self._space = np.empty((self._most, channels), np.float32)
        self._address = self._space.ctypes.data
        code = ctypes.c_int()
        self._state: int | None = opus.opus_decoder_create(rate, channels, ctypes.byref(code))
        if not self._state:
            raise ValueError(f"no Opus decoder for {rate!r} Hz: {_why(opus, code.value)}")

    def __del__(self) -> None:
        if getattr(self, "_state", None):
            self._opus.opus_decoder_destroy(self._state)
            self._state = None

    def decode(self, packet: bytes) -> Samples:
        """Decode one packet."""
        return self._run(packet, len(packet), self._most, 0)

    def conceal(self, count: int) -> Samples:
        """Packet loss concealment."""
        return self._run(None, 0, min(count, self._most), 0)

    def recover(self, following: bytes, count: int) -> Samples:
        """Forward error correction in the packet that follows, concealment where there is none."""
        return self._run(following, len(following), min(count, self._most), 1)

    def _run(self, packet: bytes | None, size: int, most: int, fec: int) -> Samples:
        count: int = self._opus.opus_decode_float(
            self._state, packet, size, self._address, most, fec
        )
        if count < 0:
            raise MediaError(f"not Opus: {_why(self._opus, count)}")
        return self._space[:count].copy()


class LibraryEncoder:
    """One encoder state."""

    def __init__(
        self,
        opus: ctypes.CDLL,
        rate: int,
        channels: int,
        application: str,
        settings: tuple[int, int, bool, bool],
    ) -> None:
        self._opus, self._channels = opus, channels
        self._out = ctypes.create_string_buffer(_MOST_BYTES)
        code = ctypes.c_int()
        self._state: int | None = opus.opus_encoder_create(
            rate, channels, APPLICATIONS[application], ctypes.byref(code)
        )
        if not self._state:
            raise ValueError(f"no Opus encoder for {rate!r} Hz: {_why(opus, code.value)}")
        bitrate, complexity, fec, dtx = settings
        self._set(_SET_BITRATE, bitrate)
        self._set(_SET_COMPLEXITY, complexity)
        self._set(_SET_DTX, int(dtx))
        if fec:
            self._set(_SET_FEC, 1)
            self._set(_SET_LOSS, 10)

    def __del__(self) -> None:
        if getattr(self, "_state", None):
            self._opus.opus_encoder_destroy(self._state)
            self._state = None

    def _set(self, what: int, value: int) -> None:
        code: int = self._opus.opus_encoder_ctl(
            ctypes.c_void_p(self._state), ctypes.c_int(what), ctypes.c_int32(value)
        )
        if code < 0:
            raise ValueError(f"Opus setting {what!r} = {value!r}: {_why(self._opus, code)}")

    def encode(self, samples: Samples) -> bytes:
        """Encode one block."""
        data = np.ascontiguousarray(samples, np.float32)
        size: int = self._opus.opus_encode_float(
            self._state, data.ctypes.data, len(data), self._out, _MOST_BYTES
        )
        if size < 0:
            raise ValueError(f"{len(data)!r} samples are no Opus frame: {_why(self._opus, size)}")
        return self._out.raw[:size]
