"""How many files and connections the system lets this process have open at a time.

On Linux and macOS each connection, file and pipe takes one of a limited number of file descriptors. The limit
that a process begins with (often 1024, on macOS 256) is below what it may raise it to. Running out must not happen:
libzmq then ends the whole process. Windows has handles instead, millions of them; its limit for sockets is that of the
event loop (`ipc/event_loop.py`).
"""

import contextlib
import errno
import sys

import structlog

_log = structlog.get_logger()

WANTED = 4096
"""Enough for the most clients that can be configured, their journals, and a flood of others; macOS allows 10240."""

ENOUGH = 1024
"""For the settings as shipped, by far."""

USED_UP = (errno.EMFILE, errno.ENFILE)
"""The errors that say that this process, or the whole system, has none left."""

ADVICE = "allow the daemon to have more files open (ulimit -n), or end what uses them up"


def raised(soft: int, hard: int, infinity: int) -> int:
    """The soft limit to have: WANTED, or what comes closest; never less than it was. infinity: how it is written."""
    wanted = WANTED if hard == infinity else min(WANTED, hard)
    return soft if soft == infinity else max(soft, wanted)


def raise_limit() -> None:
    """For this process and those that it starts from now on. Where the system refuses, it stays as it is."""
    if sys.platform == "win32":
        return
    import resource  # there is none on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = raised(soft, hard, resource.RLIM_INFINITY)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit < ENOUGH and limit != resource.RLIM_INFINITY:
        _log.warning("few_descriptors", limit=limit, enough=ENOUGH)
