"""STUN binding requests and their answers (RFC 8489), as an ICE-lite agent needs them.

Only this subset: a request is taken apart and proved, answers are built. What is not a well-formed
binding request raises `StunError`, which callers count and answer with silence. Attributes behind
MESSAGE-INTEGRITY are ignored, except FINGERPRINT, which must be there and last (RFC 8445 7.1.1).
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from ipaddress import ip_address
from struct import Struct
from zlib import crc32

from roomful.errors import RemoteProtocolError

MAX_REQUEST = 1280
"""Bytes of the largest message taken in: clients carry DTLS flights in their checks, so the 548 of
RFC 8489 6.1 would drop those with large key shares."""
MAX_ATTRIBUTES = 16
MAX_USERNAME = 512

COOKIE = 0x2112A442
BINDING_REQUEST, BINDING_INDICATION = 0x0001, 0x0011
BINDING_SUCCESS, BINDING_ERROR = 0x0101, 0x0111

USERNAME, MESSAGE_INTEGRITY, ERROR_CODE, UNKNOWN_ATTRIBUTES = 0x0006, 0x0008, 0x0009, 0x000A
XOR_MAPPED_ADDRESS, PRIORITY, USE_CANDIDATE = 0x0020, 0x0024, 0x0025
FINGERPRINT, ICE_CONTROLLED, ICE_CONTROLLING = 0x8028, 0x8029, 0x802A

_UNDERSTOOD = frozenset({USERNAME, MESSAGE_INTEGRITY, PRIORITY, USE_CANDIDATE})
_HEADER = Struct("!HHI12s")
_TLV = Struct("!HH")
_V4, _V6 = Struct("!HHHHI"), Struct("!HHHH")
_HEADER_SIZE = 20
_INTEGRITY_SIZE = 24
_FINGERPRINT_SIZE = 8
_FINGERPRINT_XOR = 0x5354554E
_REASONS = {420: b"Unknown Attribute", 487: b"Role Conflict"}


class StunError(RemoteProtocolError):
    """Not a binding request that may be answered."""


@dataclass(frozen=True, slots=True)
class BindingRequest:
    """A well-formed request, not yet proved: call `verify` before anything else is believed."""

    transaction: bytes
    local_ufrag: str
    """the part of USERNAME before the colon: ours"""
    remote_ufrag: str
    use_candidate: bool
    controlled: bool
    """the sender claims the role that a lite agent always has"""
    unknown: tuple[int, ...]
    """comprehension-required attributes that are not understood"""
    data: bytes
    integrity_at: int
    """offset of MESSAGE-INTEGRITY"""


def peek_ufrag(data: bytes) -> str | None:
    """Read our ufrag without checking anything, if USERNAME is the first attribute.

    Every known client puts it there. Costs less than a parse, so that a flood of requests for
    unknown peers costs a dictionary look-up each.
    """
    if len(data) < 24 or data[20] or data[21] != USERNAME:
        return None
    end = 24 + min((data[22] << 8) | data[23], MAX_USERNAME)
    name, colon, _ = data[24:end].partition(b":")
    return name.decode("latin-1") if colon else None


def parse_request(data: bytes) -> BindingRequest:
    """Take a datagram apart.

    Raises:
        StunError: it breaks a rule; the message names the rule.
    """
    kind, transaction = _header(data)
    if kind != BINDING_REQUEST:
        raise StunError("not a binding request")
    found = _attributes(data)
    name = _value(data, found, USERNAME, "no USERNAME")
    if len(name) > MAX_USERNAME:
        raise StunError("USERNAME is too long")
    if len(_value(data, found, MESSAGE_INTEGRITY, "no MESSAGE-INTEGRITY")) != 20:
        raise StunError("bad MESSAGE-INTEGRITY")
    local, _, remote = name.decode("latin-1").partition(":")
    return BindingRequest(
        transaction=transaction,
        local_ufrag=local,
        remote_ufrag=remote,
        use_candidate=USE_CANDIDATE in found,
        controlled=ICE_CONTROLLED in found,
        unknown=tuple(kind for kind in found if kind < 0x8000 and kind not in _UNDERSTOOD),
        data=data,
        integrity_at=found[MESSAGE_INTEGRITY],
    )


def _value(data: bytes, found: dict[int, int], kind: int, problem: str) -> bytes:
    at = found.get(kind)
    if at is None:
        raise StunError(problem)
    return data[at + 4 : at + 4 + int.from_bytes(data[at + 2 : at + 4], "big")]


def _header(data: bytes) -> tuple[int, bytes]:
    if not _HEADER_SIZE <= len(data) <= MAX_REQUEST:
        raise StunError("bad size")
    kind, length, cookie, transaction = _HEADER.unpack_from(data)
    if cookie != COOKIE:
        raise StunError("no magic cookie")
    if length != len(data) - _HEADER_SIZE or length % 4:
        raise StunError("length does not match the datagram")
    return kind, transaction


def _attributes(data: bytes) -> dict[int, int]:
    """Return type → offset of the attributes up to MESSAGE-INTEGRITY, the first of each type."""
    found: dict[int, int] = {}
    position, end = _HEADER_SIZE, len(data)
    for _ in range(MAX_ATTRIBUTES):
        if end - position < 4:
            raise StunError("FINGERPRINT is missing or an attribute is cut")
        kind, length = _TLV.unpack_from(data, position)
        after = position + 4 + length + (-length % 4)
        if after > end:
            raise StunError("an attribute leaves the message")
        if kind == FINGERPRINT:
            _check_fingerprint(data, position, length, after)
            return found
        if MESSAGE_INTEGRITY not in found:
            if kind == USERNAME and kind in found:
                raise StunError("two USERNAMEs")
            found.setdefault(kind, position)
        position = after
    raise StunError("too many attributes")


def _check_fingerprint(data: bytes, position: int, length: int, after: int) -> None:
    if length != 4 or after != len(data):
        raise StunError("FINGERPRINT is not the last attribute")
    if int.from_bytes(data[position + 4 : after], "big") != _fingerprint(data[:position]):
        raise StunError("wrong FINGERPRINT")


def _fingerprint(covered: bytes) -> int:
    return crc32(covered) ^ _FINGERPRINT_XOR


def _integrity(covered: bytes, password: bytes) -> bytes:
    """HMAC-SHA1 of a message whose length field already reaches behind MESSAGE-INTEGRITY."""
    return hmac.digest(password, covered, "sha1")


def verify(request: BindingRequest, password: str) -> bool:
    """Compare MESSAGE-INTEGRITY in constant time."""
    at = request.integrity_at
    data = request.data
    length = at + _INTEGRITY_SIZE - _HEADER_SIZE
    covered = b"".join((data[:2], length.to_bytes(2, "big"), data[4:at]))
    return hmac.compare_digest(_integrity(covered, password.encode()), data[at + 4 : at + 24])


def success(request: BindingRequest, addr: tuple[str, int], password: str) -> bytes:
    """Build the answer that shows the sender its address as we see it."""
    return _answer(
        BINDING_SUCCESS, request.transaction, _xor_mapped(addr, request.transaction), password
    )


def role_conflict(request: BindingRequest, password: str) -> bytes:
    """Build a 487: the sender must take the controlling role (RFC 8445 7.3.1.1)."""
    return _answer(BINDING_ERROR, request.transaction, _error(487), password)


def unknown_attribute(request: BindingRequest, password: str) -> bytes:
    """Build a 420 that lists the attributes not understood (RFC 8489 6.3.1)."""
    listed = b"".join(kind.to_bytes(2, "big") for kind in request.unknown)
    attributes = _error(420) + _attribute(UNKNOWN_ATTRIBUTES, listed)
    return _answer(BINDING_ERROR, request.transaction, attributes, password)


def _answer(kind: int, transaction: bytes, attributes: bytes, password: str) -> bytes:
    proved = len(attributes) + _INTEGRITY_SIZE
    covered = _HEADER.pack(kind, proved, COOKIE, transaction) + attributes
    digest = _integrity(covered, password.encode())
    message = b"".join(
        (
            _HEADER.pack(kind, proved + _FINGERPRINT_SIZE, COOKIE, transaction),
            attributes,
            b"\x00\x08\x00\x14",
            digest,
        )
    )
    return message + b"\x80\x28\x00\x04" + _fingerprint(message).to_bytes(4, "big")


def _attribute(kind: int, value: bytes) -> bytes:
    return _TLV.pack(kind, len(value)) + value + bytes(-len(value) % 4)


def _error(code: int) -> bytes:
    value = bytes((0, 0, code // 100, code % 100)) + _REASONS[code]
    return _attribute(ERROR_CODE, value)


def _xor_mapped(addr: tuple[str, int], transaction: bytes) -> bytes:
    """RFC 8489 14.2: port and address, masked by the cookie and the transaction id."""
    host, port = addr[0], addr[1] ^ (COOKIE >> 16)
    if ":" in host:
        packed = ip_address(host.partition("%")[0]).packed
        mask = COOKIE.to_bytes(4, "big") + transaction
        masked = int.from_bytes(packed, "big") ^ int.from_bytes(mask, "big")
        return _V6.pack(XOR_MAPPED_ADDRESS, 20, 2, port) + masked.to_bytes(16, "big")
    a, b, c, d = host.split(".")
    number = (int(a) << 24) | (int(b) << 16) | (int(c) << 8) | int(d)
    return _V4.pack(XOR_MAPPED_ADDRESS, 8, 1, port, number ^ COOKIE)
