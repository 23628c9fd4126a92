"""Bounds that are not settings, in one place.

Whoever meets a bound raises `ResourceExhausted` (or ends the peer, where its page says so) and
counts it. What an operator may change is in `settings.LimitsSettings`; what belongs to one
protocol's parser is beside that parser.
"""

from __future__ import annotations

# Names and texts, bytes of UTF-8
ROOM_NAME_BYTES = 256
IDENTITY_BYTES = 256
NAME_BYTES = 256
METADATA_BYTES = 512 << 10
ATTRIBUTES_BYTES = 64 << 10
"""all names and values of a participant together"""

# Data packets
DATA_BYTES = 64_000
DATA_DESTINATIONS = 1_000
NONCE_BYTES = 16
RPC_PAYLOAD_BYTES = 15 << 10

# HTTP
REQUEST_LINE_BYTES = 32 << 10
HEADER_BYTES = 64 << 10
"""all header fields of a request together"""
HEAD_S = 10.0
"""a request's head is complete after this"""
KEEP_ALIVE_S = 75.0
"""a connection without a request is closed after this"""
UNPROVED_CONNECTIONS = 100
"""of one source address, before a token came by them"""
API_BODY_BYTES = 10 << 20
API_BODY_S = 30.0
OTHER_BODY_BYTES = 64 << 10
API_BURST_S = 2.0
"""an API key may use this many seconds' worth of its rate at once"""
LIST_ITEMS = 1_000
JSON_DEPTH = 32

# Outbound requests
OUTBOUND_CONNECT_S = 5.0
OUTBOUND_WHOLE_S = 30.0
OUTBOUND_ANSWER_BYTES = 64 << 10
OUTBOUND_HOPS = 3
