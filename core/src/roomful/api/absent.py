"""Services of the wire protocol that plugins bring: what to say while none does."""

from roomful.plugin.extras import install_hint

_BRINGS = {
    "livekit.Egress": "egress",
    "livekit.Ingress": "ingress",
    "livekit.SIP": "sip",
    "livekit.AgentDispatchService": "agents",
}

ABSENT = {
    service: f"{service} is not offered here: {install_hint(plugin)}"
    for service, plugin in _BRINGS.items()
} | {"livekit.Connector": "livekit.Connector is not offered here"}
"""Service name → message of the `unimplemented` error."""
