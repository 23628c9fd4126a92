"""Names of codecs, in small letters as they are negotiated, and their RTP clocks."""

CLOCK_RATES = {
    "opus": 48_000,
    "pcmu": 8_000,
    "pcma": 8_000,
    "g722": 8_000,
    "vp8": 90_000,
    "vp9": 90_000,
    "av1": 90_000,
    "h264": 90_000,
}
"""Hz (RFC 3551, RFC 7587, RFC 7741, RFC 9628, RFC 6184)"""
AUDIO = ("opus", "pcmu", "pcma", "g722")
VIDEO = ("vp8", "vp9", "av1", "h264")
