"""One process that makes a summary, read in a thread, and killed from the event loop's."""

import subprocess
import threading
from collections.abc import Callable

from ipc.summary import Message, Work
from wernicke_daemon.summaries import making


class Run:
    """tell: told what it says, in the thread of `read`; nothing more once it was killed."""

    def __init__(self, work: Work, tell: Callable[[Message], object]) -> None:
        self._work = work
        self._tell = tell
        self._lock = threading.Lock()  # of the two below
        self._process: subprocess.Popen[bytes] | None = None  # from `read` on
        self.killed = False

    def read(self) -> None:
        """Start it and read it to its end. Raises OSError."""
        with self._lock:
            if self.killed:
                return
            self._process = making.started()
        for message in making.said(self._process, self._work):
            self._tell(message)

    def kill(self) -> None:
        with self._lock:
            self.killed = True
            if self._process is not None:
                self._process.kill()
