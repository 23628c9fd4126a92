"""Cutting a frame into payloads that fit a packet."""

from __future__ import annotations

MOST_PAYLOAD = 1150
"""bytes: with header, extensions, SRTP and IPv6 below the 1,280 that every path carries (RFC 8200)"""


def cut(data: bytes, most: int) -> list[bytes]:
    """Cut `data` into the fewest pieces of at most `most` bytes, of nearly equal size.

    `ValueError` when there is nothing to send.
    """
    if not data:
        raise ValueError("an empty frame has no packets")
    count = -(-len(data) // most)
    size = -(-len(data) // count)
    return [data[at : at + size] for at in range(0, len(data), size)]
