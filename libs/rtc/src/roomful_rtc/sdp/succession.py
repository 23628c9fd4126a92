"""What a later offer must keep of the description before it (RFC 9429 section 5.2.2)."""

from __future__ import annotations

from roomful.errors import RemoteProtocolError
from roomful_rtc.sdp.model import SessionDescription


def check_succession(previous: SessionDescription, offer: SessionDescription) -> None:
    """Check that a renegotiation keeps the sections: as many or more, same kinds, same mids.

    A section that was rejected (port 0) in the previous offer may come back as another one.

    Raises:
        RemoteProtocolError: a section is gone or has become another.
    """
    if len(offer.sections) < len(previous.sections):
        raise RemoteProtocolError("session description has fewer sections than before")
    for before, now in zip(previous.sections, offer.sections, strict=False):
        if before.rejected:
            continue
        if before.kind != now.kind or before.mid != now.mid:
            raise RemoteProtocolError("session description changed the order of its sections")
