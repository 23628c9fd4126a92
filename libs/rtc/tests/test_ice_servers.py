"""Credentials of TURN servers."""

from __future__ import annotations

import base64
import hashlib
import hmac

from roomful_rtc.ice_servers import IceServerSpec

URLS = ("turn:turn.example.org:3478",)


def test_credentials_are_made_for_a_time_from_the_secret():
    issued = IceServerSpec(URLS, secret="north", ttl_s=600).issue("ann", now_s=1_000)

    password = hmac.new(b"north", b"1600:ann", hashlib.sha1).digest()
    assert issued.username == "1600:ann"
    assert issued.credential == base64.b64encode(password).decode()
    assert issued.urls == URLS


def test_fixed_credentials_are_given_as_they_are():
    issued = IceServerSpec(URLS, username="u", credential="c").issue("ann", now_s=1_000)
    assert (issued.username, issued.credential) == ("u", "c")


def test_secrets_show_in_no_repr():
    spec = IceServerSpec(URLS, secret="marked", credential="marked")
    assert "marked" not in repr(spec)
    assert "marked" not in repr(
        IceServerSpec(URLS, username="u", credential="marked").issue("a", 0)
    )
