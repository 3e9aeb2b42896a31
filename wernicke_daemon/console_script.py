"""The console script `wernicke`: the command line, or in a sentence why it can't be loaded."""

import sys

from ipc import dll


def main() -> int:
    """Returns an exit code."""
    try:
        from wernicke_daemon import cli
    except ImportError as error:
        if (why := dll.why(error)) is None:
            raise
        sys.exit(why)
    return cli.main()
