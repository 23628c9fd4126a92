"""HTTP and WebSocket by hand, for what no client library sends (RFC 9112, RFC 6455)."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from urllib.parse import urlencode, urlsplit

TEXT, BINARY, CLOSE, PING, CONTINUATION = 1, 2, 8, 9, 0


class RawSocket:
    """One TCP connection to the HTTP port. With a small receive buffer the sender soon feels it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, url: str, source: str, *, receive_bytes: int = 0) -> RawSocket:
        """Connect from a loopback address."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_bytes:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        sock.setblocking(False)
        sock.bind((source, 0))
        parts = urlsplit(url)
        assert parts.hostname is not None
        await asyncio.get_running_loop().sock_connect(sock, (parts.hostname, parts.port))
        return cls(*await asyncio.open_connection(sock=sock, limit=max(receive_bytes, 4096)))

    async def write(self, data: bytes) -> None:
        """Send; nothing happens when the server has closed the connection."""
        try:
            self.writer.write(data)
            await self.writer.drain()
        except ConnectionError:
            pass

    async def ended(self, patience: float) -> bytes:
        """What came until the server closed the connection. Raises TimeoutError."""
        came = b""
        try:
            async with asyncio.timeout(patience):
                while data := await self.reader.read(65536):
                    came += data
        except ConnectionError:
            pass
        return came

    async def status(self, patience: float = 5.0) -> int:
        """The status of the answer; 0 when the server closed the connection without one."""
        try:
            async with asyncio.timeout(patience):
                line = await self.reader.readline()
        except ConnectionError:
            return 0
        return int(line.split()[1]) if line.startswith(b"HTTP/1.") else 0

    async def upgrade(self, path: str, token: str, **query: str) -> int:
        """Ask for a WebSocket; return the status and read the head of the answer."""
        target = f"{path}?{urlencode({'access_token': token, **query})}"
        await self.write(
            f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        status = await self.status()
        while (await self.reader.readline()).strip():
            pass
        return status

    def close(self) -> None:
        """Vanish."""
        self.writer.transport.abort()


def frame(opcode: int, payload: bytes, *, final: bool = True, size: int | None = None) -> bytes:
    """A masked frame; `size` instead of its true one."""
    said, mask = len(payload) if size is None else size, os.urandom(4)
    head = bytes((final << 7 | opcode,))
    if said < 126:
        head += bytes((0x80 | said,))
    elif said < 1 << 16:
        head += struct.pack("!BH", 0xFE, said)
    else:
        head += struct.pack("!BQ", 0xFF, said)
    repeated = (mask * (len(payload) // 4 + 1))[: len(payload)]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")
    return head + mask + masked.to_bytes(len(payload), "big")
