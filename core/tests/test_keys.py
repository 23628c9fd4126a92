"""Keys that must not be used where they would be found."""

import logging

import pytest

from roomful.auth.keys import KeyRing
from roomful.errors import ConfigError

GOOD = "a secret of at least thirty-two bytes"


@pytest.mark.parametrize("bind", ["127.0.0.1", "::1", "localhost", "127.3.2.1"])
def test_dev_pair_is_fine_on_loopback(bind):
    KeyRing({"devkey": "secret"}).check([bind], serving=False)


@pytest.mark.parametrize("bind", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
def test_dev_pair_is_refused_on_other_addresses_naming_the_setting(bind):
    with pytest.raises(ConfigError, match=r"bind .*loopback"):
        KeyRing({"devkey": "secret"}).check(["127.0.0.1", bind], serving=False)


def test_dev_pair_is_refused_by_serve():
    with pytest.raises(ConfigError, match=r"\[keys\] devkey"):
        KeyRing({"devkey": "secret"}).check(["127.0.0.1"], serving=True)


def test_dev_key_with_a_secret_of_its_own_may_serve():
    KeyRing({"devkey": GOOD}).check(["0.0.0.0"], serving=True)


def test_short_secret_is_warned_of_without_showing_it(caplog):
    with caplog.at_level(logging.WARNING):
        KeyRing({"weak": "hunter2"}).check(["0.0.0.0"], serving=True)

    (record,) = caplog.records
    assert record.key == "weak"
    assert "hunter2" not in caplog.text


def test_empty_secret_is_refused():
    with pytest.raises(ConfigError, match=r"\[keys\] empty"):
        KeyRing({"empty": ""}).check([], serving=False)
