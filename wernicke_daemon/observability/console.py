"""What is said on a console, from a thread of its own: it may take no more at any moment (on Windows a click into its
window, elsewhere Ctrl-S or a pipe that nobody reads), and neither the log file nor the event loop waits for that."""

import contextlib
import io
import os
import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import TextIO

_MOST_WAITING = 1000
"""Calls; what comes while so many wait is dropped, and counted."""

_CLOSE_S = 1.0
"""What waits at the end has so long."""


class Aside:
    """Calls things that may block for ever, one after another."""

    def __init__(self, dropped: Callable[[int], None]) -> None:
        """dropped: told how many calls were, in their place."""
        self._dropped = dropped
        self._calls: queue.Queue[Callable[[], None] | None] = queue.Queue(_MOST_WAITING)  # None ends it
        self._lost = 0  # calls dropped since the last one that found a place
        # never waited for without a limit: it may be stuck
        self._thread = threading.Thread(target=self._run, name="console", daemon=True)
        self._thread.start()

    def post(self, call: Callable[[], None]) -> None:
        """Does not wait. call: does not raise."""
        try:
            if self._lost:
                self._calls.put_nowait(partial(self._dropped, self._lost))
                self._lost = 0
            self._calls.put_nowait(call)
        except queue.Full:
            self._lost += 1

    def close(self) -> None:
        """Waits for what was posted, though not for long. Nothing more is posted."""
        with contextlib.suppress(queue.Full):
            self._calls.put_nowait(None)
            self._thread.join(_CLOSE_S)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call()


class ConsoleStream(io.TextIOBase):
    """A text stream that never waits. What nobody reads any more is thrown away."""

    def __init__(self, stream: TextIO) -> None:
        """stream: stdout or stderr."""
        self._stream = stream
        self._raw = _unbuffered(stream)  # None where there is no file behind it
        self._aside = Aside(self._tell_dropped)

    def write(self, text: str) -> int:
        self._aside.post(partial(self._put, text))
        return len(text)

    def flush(self) -> None:
        """Each write is, in its time."""

    def close(self) -> None:
        if not self.closed:
            self._aside.close()
        super().close()

    def _tell_dropped(self, writes: int) -> None:
        self._put(f"({writes} lines were left out: the console took none)\n")

    def _put(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # nobody reads it any more
            if self._raw is None:
                self._stream.write(text)
                self._stream.flush()
            else:
                left = text.replace("\n", os.linesep).encode(self._stream.encoding, "backslashreplace")
                while left and (written := self._raw.write(left)):
                    left = left[written:]


def _unbuffered(stream: TextIO) -> io.RawIOBase | None:
    """The file behind it, opened once more: a thread that is stuck in a stream's own buffer would hold its lock, which
    the interpreter wants at its end."""
    try:
        return open(os.dup(stream.fileno()), "wb", buffering=0)  # noqa: PTH123 (no path)
    except (OSError, ValueError):
        return None
