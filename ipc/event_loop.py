"""The event loop that everything here runs on: asyncio's selector loop, on every system.

Windows' default, the Proactor loop, closes the listening socket for good when an accept fails, as it does for a
connection that is reset before it is accepted (https://github.com/python/cpython/issues/93821): a few of those end a
service. It also counts a client that disconnects hard as connected for ever. What it has and the selector loop lacks,
child processes and pipes, is not needed.
"""

import asyncio
import contextlib
import signal
import socket
import sys
import threading
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

from ipc import clock

T = TypeVar("T")

MOST_SOCKETS = 512 if sys.platform == "win32" else None
"""That the loop can serve at a time: FD_SETSIZE of CPython's `select` on Windows (Modules/selectmodule.c). One more
ends the loop. None where there is no such limit."""

_MOST_SIGNALS = 4096
"""Bytes read at a time, one for each signal."""


class _Loop(asyncio.SelectorEventLoop):
    def time(self) -> float:
        """The clock of all else: timers do not run while the machine sleeps."""
        return clock.monotonic()


def new() -> asyncio.AbstractEventLoop:
    """For a thread that runs it by itself. The caller closes it."""
    return _Loop()


def run(main: Coroutine[Any, Any, T]) -> T:
    """In place of `asyncio.run`. What `signal.signal` has set is called at once, also while nothing else happens."""
    with asyncio.Runner(loop_factory=new) as runner, _woken_by_signals(runner.get_loop()):
        return runner.run(main)


@contextlib.contextmanager
def _woken_by_signals(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """A signal that comes to another thread, as all do on Windows, is handled by the main one as soon as that wakes."""
    if threading.current_thread() is not threading.main_thread():
        yield  # which handles none
        return
    reader, writer = socket.socketpair()
    with reader, writer:
        reader.setblocking(False)
        writer.setblocking(False)
        loop.add_reader(reader, reader.recv, _MOST_SIGNALS)
        before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            loop.remove_reader(reader)
