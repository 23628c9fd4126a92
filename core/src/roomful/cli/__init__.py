"""The command line: `roomful COMMAND`; every command is a module here or comes from a plugin.

Exit codes: 0 well, 1 something asked for was not found well (a broken plugin, an unknown
variable), 2 settings, usage or a taken port: one line on standard error says which and what to do.

Nothing heavy is imported before a command runs: `roomful --help` answers at once.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Sequence

from roomful.errors import ConfigError

WRONG_SETTINGS = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    from roomful.cli.parser import parse

    # Without logging set up (a command that is no server) records go nowhere, not to the terminal.
    logging.getLogger("roomful").addHandler(logging.NullHandler())
    # Short API secrets are named once at the start, by `KeyRing.check`, not at every token.
    warnings.filterwarnings("ignore", message="The HMAC key is")
    try:
        arguments = parse(list(sys.argv[1:] if argv is None else argv))
        return int(arguments.run(arguments) or 0)
    except ConfigError as error:
        sys.stderr.write(f"roomful: {error.message}\n")
        return WRONG_SETTINGS
    except BrokenPipeError:
        sys.stderr.close()
        return 1
