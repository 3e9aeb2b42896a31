"""Stage processes belong to the front and die with it, whatever ends it: the stage's half, per platform.

Order at start: `ignore_interrupts`, `read_boot`, `watch_parent`, all in the main thread and before any heavy import.

- Linux: the kernel is asked to kill this process when its parent ends, which works even while C code holds the GIL.
- POSIX: a thread reads the pipe that only the front has the other end of.
- Windows: a thread waits for the front's process handle. (The job object that the front put itself in is the
  other, and stronger, tie: see `wernicke_daemon.processes.process_tree`.)
"""

import ctypes
import functools
import os
import signal
import sys
import threading
from collections.abc import Callable

from ipc import boot_record, win32

PARENT_GONE = 1
"""Exit status; nobody is left to read it."""

PR_SET_PDEATHSIG = 1
"""linux/prctl.h"""


def ignore_interrupts() -> None:
    """Ctrl-C reaches every process of a terminal; the front alone decides what it means and tells stages to stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "win32":
        signal.signal(signal.SIGBREAK, signal.SIG_IGN)


def read_boot() -> bytes:
    """The boot record from stdin, which is the null device afterwards: on Windows a thread left reading a piped stdin
    makes `import numpy` hang (numpy #24290).

    Raises SystemExit if the front ended, or closed the pipe, before the record was whole.
    """
    record = boot_record.read(sys.stdin.buffer)
    if record is None:
        raise SystemExit("A stage process is started by the daemon; run `python run_daemon.py` instead.")
    _close_stdin()
    return record


def watch_parent(parent_pid: int, pipe_fd: int | None) -> None:
    """End this process when the front has ended, at once if it already has.

    parent_pid: the front's. pipe_fd: what `wernicke_daemon.processes.process_tree.parent_pipe` returned in the front.
    """
    if sys.platform == "win32":
        _end_after(functools.partial(wait_for_process, win32.load_kernel32(), parent_pid))
        return
    if sys.platform == "linux":
        _die_with_parent()
    if os.getppid() != parent_pid:  # it ended before it could be watched
        os._exit(PARENT_GONE)
    if pipe_fd is not None:
        _end_after(functools.partial(_wait_for_end_of_file, pipe_fd))


def wait_for_process(kernel32: win32.Kernel32, pid: int) -> None:
    """Block until that process has ended. Raises OSError if there is none, or it can't be waited for."""
    process = kernel32.OpenProcess(win32.SYNCHRONIZE, False, pid)
    kernel32.WaitForSingleObject(process, win32.INFINITE)


if sys.platform == "linux":

    def _die_with_parent() -> None:
        """Should the kernel refuse, the pipe still ends this process."""
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))


def _close_stdin() -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)


def _wait_for_end_of_file(fd: int) -> None:
    while os.read(fd, 1):  # nothing is ever written
        pass


def _end_after(wait: Callable[[], None]) -> None:
    threading.Thread(target=_wait_and_end, args=(wait,), name="parent-watch", daemon=True).start()


def _wait_and_end(wait: Callable[[], None]) -> None:
    """A parent that can't be watched is taken for gone: a stage that nobody would end is the worse mistake."""
    try:
        wait()
    except OSError as error:
        print(f"This stage ends because the daemon's process can't be watched: {error}", file=sys.stderr, flush=True)
    os._exit(PARENT_GONE)
