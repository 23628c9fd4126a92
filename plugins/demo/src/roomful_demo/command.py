"""The command `roomful demo` and its options."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

DEFAULT_PORT = 7880

# argparse has no public name for what add_subparsers returns
Subparsers = argparse._SubParsersAction  # pyright: ignore[reportPrivateUsage]


def add_command(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `demo`; what it needs is imported when it runs."""
    parser = subparsers.add_parser(
        "demo",
        help="a server, two participants and a page to join from",
        description=(
            "Start a server on 127.0.0.1 with two participants of the published Python SDK, show "
            "who is in the room and what flows, and print a link to a page to join from. Needs "
            "nothing else and leaves nothing behind."
        ),
    )
    parser.add_argument(
        "--once",
        action="store_true",
        help="check what arrives after decoding, print a summary and end: 0 when all is well, "
        "1 when a picture or sound is missing",
    )
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help="HTTP and WebSocket port; 0: any free one"
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    if sys.stdout.isatty():
        # What follows takes some seconds; the next line takes the place of this one.
        sys.stdout.write("starting …\r")
        sys.stdout.flush()
    from roomful.cli.preflight import preflight
    from roomful_demo.settings import demo_settings

    with tempfile.TemporaryDirectory(prefix="roomful-demo-") as data_dir:
        settings = demo_settings(arguments.port, Path(data_dir))
        preflight(settings)
        from roomful_demo.show import run

        return run(settings, once=arguments.once)
