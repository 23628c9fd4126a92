"""WHIP (RFC 9725) as an input of ingress: sources that speak WebRTC and negotiate over HTTP.

    POST offer ─▶ key ─▶ session of ingress ─▶ server.join ─▶ peer of the media plane ─▶ 201 answer

Media goes over the shared UDP port like a browser's and is forwarded as it is.
"""
