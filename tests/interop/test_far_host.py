"""Clients on another host, over TLS: tests of this suite, run again from a network namespace.

The server is `roomful serve` on this host. The inner run names it by `ROOMFUL_TEST_SERVER`.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .browser import client_script
from .far_host import SecondHost, make_certificate, second_host
from .server import start_roomful

KEY, SECRET = "otherhost", "a secret of more than thirty-two characters"
HERE = Path(__file__).parent
BROWSER = "test_browser.py::test_browser_and_python_hear_and_see_each_other"
RECONNECT = "test_browser.py::test_media_goes_on_after_reconnecting[signal-reconnect-single-pc]"
PYTHON = "test_python_media.py::test_tone_and_colours_arrive[VP8-single-pc]"
PYTHON_DUAL = "test_python_media.py::test_tone_and_colours_arrive[H264-dual-pc]"

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def other_host() -> Iterator[SecondHost]:
    client_script()  # the other host has no way to fetch it
    with second_host() as host:
        yield host


@pytest.fixture(scope="module")
def far_server(
    other_host: SecondHost, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """What the inner run's environment needs to reach a server with a certificate."""
    folder = tmp_path_factory.mktemp("far")
    files = make_certificate(folder, other_host.here)
    file = folder / "roomful.toml"
    file.write_text(
        f'bind = ["{other_host.here}"]\n'
        f'[keys]\n{KEY} = "{SECRET}"\n'
        f'[tls]\ncertificate = "{files.certificate}"\nkey = "{files.key}"\n'
        '[plugins]\nenabled = ["media_plane", "webrtc"]\n'
    )
    with start_roomful(folder, "--config", str(file), verb="serve") as server:
        assert server.url.startswith(f"wss://{other_host.here}:")
        yield {
            "ROOMFUL_TEST_SERVER": f"{server.url},{KEY},{SECRET}",
            "SSL_CERT_FILE": str(files.authority),
        }


def run_there(host: SecondHost, environment: dict[str, str], *tests: str) -> None:
    """Run tests of this folder on the other host; each must pass."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        host.command(*command, *(str(HERE / test) for test in tests)),
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    (passed,) = re.findall(r"^(\d+) passed", done.stdout, re.MULTILINE)
    assert int(passed) >= len(tests)


def test_clients_hear_and_see_each_other_over_tls(
    other_host: SecondHost, far_server: dict[str, str]
) -> None:
    run_there(other_host, far_server, PYTHON, PYTHON_DUAL, BROWSER)


def test_browser_reconnects_over_tls(other_host: SecondHost, far_server: dict[str, str]) -> None:
    run_there(other_host, far_server, RECONNECT)


def test_media_goes_over_tcp_where_udp_is_blocked(
    other_host: SecondHost, far_server: dict[str, str]
) -> None:
    other_host.block_udp()

    run_there(other_host, far_server, PYTHON, BROWSER)
