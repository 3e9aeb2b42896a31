"""Start the daemon; `python run_daemon.py --help` lists the options."""

import sys
from pathlib import Path

# Stages are processes of their own: whatever starts this file again must not start a second daemon.
if __name__ == "__main__":
    try:
        from wernicke_daemon.cli import serve_main
    except Exception as error:  # a package that is missing or broken; without a console nobody would hear of it
        from ipc import dll
        from wernicke_daemon import not_started

        not_started.leave(error, None, Path(__file__).resolve().parent)
        if (why := dll.why(error)) is not None:
            sys.exit(why)
        raise
    sys.exit(serve_main())
