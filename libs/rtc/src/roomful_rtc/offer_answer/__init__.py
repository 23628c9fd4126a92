"""Offers and answers: pure functions between descriptions and what the media side needs.

    offer = SessionDescription.parse(text)
    result = answer(offer, transport, decide)
    send(result.sdp)
    engine.set_codecs(peer, result.negotiation.recv_codecs)

`decide` looks at one `MediaSection` and returns `Publish`, `Subscribe`, `Placeholder`, `Inactive`,
`Reject`, or None for what its direction calls for. `SubscriberOffer` is the other way round: our
own offers on a subscriber's peer connection.
"""

from roomful_rtc.candidate import Candidate, host_candidates
from roomful_rtc.offer_answer.answering import answer
from roomful_rtc.offer_answer.candidates import candidate_init
from roomful_rtc.offer_answer.capabilities import (
    CAPABILITIES,
    EXTENSION_KINDS,
    EXTENSION_URIS,
    Capabilities,
)
from roomful_rtc.offer_answer.decisions import (
    Decide,
    Decision,
    Inactive,
    Placeholder,
    Publish,
    Reject,
    Subscribe,
    default_decision,
)
from roomful_rtc.offer_answer.negotiated import (
    AnnouncedSsrc,
    Answer,
    DataSection,
    NegotiatedSection,
    Negotiation,
)
from roomful_rtc.offer_answer.offering import Offer, SubscriberOffer
from roomful_rtc.offer_answer.rendering import MAX_MESSAGE_SIZE
from roomful_rtc.offer_answer.slots import Rename
from roomful_rtc.offer_answer.transport import (
    LocalTransport,
    Origin,
    RemoteTransport,
    Role,
    remote_transport,
)

__all__ = [
    "CAPABILITIES",
    "EXTENSION_KINDS",
    "EXTENSION_URIS",
    "MAX_MESSAGE_SIZE",
    "AnnouncedSsrc",
    "Answer",
    "Candidate",
    "Capabilities",
    "DataSection",
    "Decide",
    "Decision",
    "Inactive",
    "LocalTransport",
    "NegotiatedSection",
    "Negotiation",
    "Offer",
    "Origin",
    "Placeholder",
    "Publish",
    "Reject",
    "RemoteTransport",
    "Rename",
    "Role",
    "Subscribe",
    "SubscriberOffer",
    "answer",
    "candidate_init",
    "default_decision",
    "host_candidates",
    "remote_transport",
]
