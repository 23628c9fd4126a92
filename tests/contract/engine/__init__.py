"""What every engine must do: subclass `EngineContract` and give it a `make_engine` fixture.

Packets travel over loopback sockets in real SRTP, judged by `srtp_reference` (known answers of
RFC 3711 and RFC 7714 in its own test) and by libsrtp. Features that an engine does not name in
`features` are not asked of it.
"""

from __future__ import annotations

from .fan_out import FanOut
from .flow import Flow
from .handing_up import HandingUp
from .hostile import Hostile
from .peers import Peers
from .reports import Reports
from .resend import Resend
from .rows import Rows
from .sinks import Sinks
from .sources import Sources
from .srtp import Srtp
from .switching import Switching
from .unknown_ssrcs import UnknownSsrcs


class EngineContract(
    Srtp,
    HandingUp,
    Peers,
    UnknownSsrcs,
    FanOut,
    Flow,
    Resend,
    Switching,
    Sinks,
    Sources,
    Reports,
    Rows,
    Hostile,
):
    """The suite. `make_engine` comes from the subclass."""
