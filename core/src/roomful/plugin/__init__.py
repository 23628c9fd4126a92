"""The plugin API: what a plugin imports, and the manager the server uses."""

from roomful.plugin.base import NoConfig, Plugin
from roomful.plugin.markers import (
    API_VERSION,
    GROUP,
    check,
    choose,
    hookimpl,
    life,
    notify,
    offer,
    offer_one,
    prepare,
)
from roomful.plugin.service import Denied, HealthCheck, Offer, Service

__all__ = [
    "API_VERSION",
    "GROUP",
    "Denied",
    "HealthCheck",
    "NoConfig",
    "Offer",
    "Plugin",
    "Service",
    "check",
    "choose",
    "hookimpl",
    "life",
    "notify",
    "offer",
    "offer_one",
    "prepare",
]
