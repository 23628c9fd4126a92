"""Session descriptions: read within limits, write, compare (RFC 8866, RFC 9429).

The parser is linear, resolves nothing, and raises `roomful.errors.RemoteProtocolError` only.
"""

from roomful_rtc.sdp.limits import EXTERNAL_LIMITS, SIGNALLING_LIMITS, SdpLimits
from roomful_rtc.sdp.model import (
    UNSPECIFIED,
    Direction,
    Fingerprint,
    MediaSection,
    Rid,
    RtpFormat,
    SessionDescription,
    Setup,
    Ssrc,
    SsrcGroup,
)
from roomful_rtc.sdp.succession import check_succession

__all__ = [
    "EXTERNAL_LIMITS",
    "SIGNALLING_LIMITS",
    "UNSPECIFIED",
    "Direction",
    "Fingerprint",
    "MediaSection",
    "Rid",
    "RtpFormat",
    "SdpLimits",
    "SessionDescription",
    "Setup",
    "Ssrc",
    "SsrcGroup",
    "check_succession",
]
