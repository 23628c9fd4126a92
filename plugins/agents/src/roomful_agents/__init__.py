"""Dispatch of agents: workers register at `/agent` and get jobs in rooms (`livekit-wire.md` 12).

`dispatcher` decides and knows no sockets; `pool` carries out what it decided.
"""
