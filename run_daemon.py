"""Start the daemon; `python run_daemon.py --help` lists the options."""

import sys

from wernicke_daemon.cli import serve_main

# Stages are processes of their own: whatever starts this file again must not start a second daemon.
if __name__ == "__main__":
    sys.exit(serve_main())
