"""The hook that ingress adds for its inputs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from roomful.plugin import offer

if TYPE_CHECKING:
    from roomful.server import Server
    from roomful_ingress.inputs import IngressInput


@offer
def ingress_inputs(server: Server) -> Iterable[IngressInput]:
    """Offer inputs: transports over which publishers with a stream key come in.

    Offer. Called once, at the start of the server. An input is any object of the shape of
    `roomful_ingress.inputs.IngressInput`, so its plugin need not import this one. Two for one
    input type are an error naming both distributions. Added in 1.0.
    """
    raise NotImplementedError
