"""Which extra of the `roomful` distribution brings what; for messages that say what to install."""

EXTRAS = {
    "agents": "agents",
    "console": "console",
    "demo": "demo",
    "egress": "file",
    "egress_azure": "azure",
    "egress_file": "file",
    "egress_gcs": "gcs",
    "egress_rtmp": "rtmp-out",
    "egress_s3": "s3",
    "ingress": "whip",
    "ingress_rtmp": "rtmp-in",
    "ingress_whip": "whip",
    "media_plane": "webrtc",
    "redis_bus": "redis",
    "sip": "sip",
    "webhooks": "webhooks",
    "webrtc": "webrtc",
}
"""Plugin → extra."""


def install_hint(plugin: str) -> str:
    """Return how to install a plugin: `pip install 'roomful[webrtc]'`."""
    extra = EXTRAS.get(plugin)
    return f"pip install 'roomful[{extra}]'" if extra else f"install what brings {plugin!r}"
