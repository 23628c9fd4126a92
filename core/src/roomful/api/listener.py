"""Listening sockets of the HTTP port.

A crowd at the door must not hold up what else the loop has to do: few connections are accepted in
one turn of it, the others wait in the kernel.
"""

from __future__ import annotations

import socket
import ssl

from aiohttp import web

ACCEPTED_PER_TURN = 8
WAITING = 256
"""connections that wait to be accepted"""


async def listen(
    runner: web.AppRunner, address: str, port: int, tls: ssl.SSLContext | None
) -> int:
    """Serve on every address of this name; return the port. Raises OSError."""
    found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for family, _, _, _, where in dict.fromkeys(found):
        listener = socket.create_server((where[0], port), family=family, backlog=WAITING)
        port = listener.getsockname()[1]
        # the loop accepts as many in one turn as its backlog says
        site = web.SockSite(runner, listener, ssl_context=tls, backlog=ACCEPTED_PER_TURN)
        try:
            await site.start()
            listener.listen(WAITING)
        except OSError:
            listener.close()
            raise
    return port
