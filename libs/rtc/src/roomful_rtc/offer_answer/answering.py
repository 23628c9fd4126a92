"""Answer an offer, section by section in its order (RFC 9429 section 5.3)."""

from __future__ import annotations

from roomful_rtc.offer_answer.capabilities import CAPABILITIES, Capabilities
from roomful_rtc.offer_answer.decisions import Decide
from roomful_rtc.offer_answer.negotiated import Answer
from roomful_rtc.offer_answer.transport import LocalTransport, Origin
from roomful_rtc.sdp import SessionDescription

MAX_MESSAGE_SIZE = 65535


def answer(
    offer: SessionDescription,
    transport: LocalTransport,
    decide: Decide,
    *,
    origin: Origin = Origin(),
    capabilities: Capabilities = CAPABILITIES,
) -> Answer:
    """Answer the publisher PC of v0, the one PC of v1, or a WHIP client.

    The offer's mids, payload types, fmtp and extension ids are kept. All sections of a kind get
    the same codecs and extensions, placeholders included. A section is rejected by itself when
    none of its codecs is spoken, it is outside the BUNDLE group, or its protocol is not
    RTP over DTLS; the result says why. The first data-channel section is accepted, others rejected.

    Raises:
        RemoteProtocolError: no usable credentials, or sections that contradict each other
            (one payload type or extension id with two meanings).
        LocalProtocolError: a decision that the section's direction does not allow.
    """
    raise NotImplementedError
