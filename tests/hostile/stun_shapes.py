"""Connectivity checks, right and wrong (RFC 8489)."""

from __future__ import annotations

import os
import struct

from aioice import stun

COOKIE = 0x2112A442
USERNAME, PRIORITY = 0x0006, 0x0024


def check(ufrag: str, pwd: str, *, nominate: bool = True) -> bytes:
    """A well-formed check; it is proved if `pwd` is the password of `ufrag`."""
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    message.attributes["USERNAME"] = f"{ufrag}:them"
    message.attributes["PRIORITY"] = 1_845_501_695
    message.attributes["ICE-CONTROLLING"] = 7
    if nominate:
        message.attributes["USE-CANDIDATE"] = None
    message.add_message_integrity(pwd.encode())
    message.add_fingerprint()
    return bytes(message)


def malformed(ufrag: str) -> list[bytes]:
    """Messages that no rule lets pass."""
    name = f"{ufrag}:them".encode()
    good = _attribute(USERNAME, name)
    return [
        b"\x00",
        b"\x00\x01" + bytes(18),
        _message(b""),
        _message(good, length=4),
        _message(good, length=1000),
        _message(good + b"\x00", length=len(good) + 1),
        _message(struct.pack("!HH", USERNAME, 600) + name),
        _message(struct.pack("!HH", USERNAME, 0xFFFF)),
        _message(good * 17),
        _message(_attribute(USERNAME, b"x" * 520)),
        _message(_attribute(USERNAME, b"\xff" * 8)),
        _message(_attribute(USERNAME, b":" * 8)),
        _message(good + _attribute(0x0020, b"\x00\x09" + bytes(6))),
        _message(good + _attribute(0x8028, bytes(3))),
        _message(good + _attribute(0x0008, bytes(20))),
        _message(good, kind=0x0101),
        _message(good, kind=0x0011),
        _message(good, cookie=1),
        _message(good + _attribute(0x7777, b"") + _attribute(0x0008, bytes(20))),
        _message(_attribute(0x8022, bytes(524))),
    ]


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def _message(
    attributes: bytes, *, kind: int = 1, cookie: int = COOKIE, length: int | None = None
) -> bytes:
    size = len(attributes) if length is None else length
    return struct.pack("!HHL", kind, size, cookie) + os.urandom(12) + attributes
