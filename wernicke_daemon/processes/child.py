"""One running stage process and the three threads that serve it.

- The waiter hands over the boot record (it may be more than the pipe holds, and the child may never read it) and then
  waits for the process's end.
- The reader does nothing but read what the child prints, as an unread pipe blocks the child after 64 KiB.
- The teller passes the lines on, in its own time, those of a stack together. If it falls behind, the oldest lines are
  dropped and counted: the last words of a crash are what matters.
"""

import contextlib
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType

import psutil

from ipc import boot_record
from wernicke_daemon.processes import process_tree
from wernicke_daemon.processes.stacks import Stacks

MAX_LINE_BYTES = 16 * 1024
"""A longer line is passed on in pieces."""

MAX_WAITING_LINES = 1000

STACK_ENDS_S = 0.5
"""Without another line, a stack is whole."""


class Child:
    """Made by `start`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process  # what was started
        self._watched: psutil.Process | None = None  # the same, to ask what it uses; None where it had ended
        with contextlib.suppress(psutil.Error):  # it may have ended already
            self._watched = psutil.Process(process.pid)
        self._exited = threading.Event()  # it has ended, and was waited for
        # What it printed, for `on_line`; None ends them.
        self._lines: queue.Queue[bytes | None] = queue.Queue(MAX_WAITING_LINES)
        self._dropped_lines = 0  # that nobody took in time

    @classmethod
    def start(
        cls,
        arguments: list[str],
        boot: bytes,
        on_exit: Callable[[int], None],
        on_line: Callable[[bytes], None],
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> "Child":
        """Start `python ARGUMENTS`, from the main thread: Linux kills a child with the *thread* that started it.

        boot: what the child's `read_boot` returns. on_exit: called with the return code (negative: the signal, on
        POSIX) once the process is reaped, which may be before this returns. on_line: called with each line of stdout
        and stderr without its end; with all lines of a stack at once. Both come on threads of this child and must not
        raise. variables: of its environment, where this process has none of that name.
        Raises OSError if the process can't be started.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("Stage processes must be started from the main thread.")
        process: subprocess.Popen[bytes] = subprocess.Popen(
            [process_tree.python(), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=process_tree.environment(variables),
            **process_tree.popen_options(),
        )
        child = cls(process)
        try:
            child._serve(boot, on_exit, on_line)
        except RuntimeError as error:  # no room for another thread
            process.kill()
            process.wait()
            raise OSError(str(error)) from None
        return child

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def dropped_lines(self) -> int:
        """How many lines `on_line` never saw because it was too slow."""
        return self._dropped_lines

    def cpu_s(self) -> float | None:
        """CPU seconds that all its threads have used; None once it has ended, or where the system does not say."""
        if sys.platform == "linux":  # asked for with each message of a stage: this takes 1 us, psutil 40 and more
            with contextlib.suppress(OSError):
                return time.clock_gettime(_cpu_clock(self.pid))
        with contextlib.suppress(psutil.Error):
            if self._watched is not None:
                times = self._watched.cpu_times()
                return float(times.user + times.system)
        return None

    def kill(self) -> None:
        """End the process at once, without clean-up; nothing if it has ended."""
        with contextlib.suppress(PermissionError):  # on Windows: it is ending already, and stuck in a driver
            self._process.kill()

    def wait(self, timeout: float | None = None) -> int | None:
        """The return code once the process is reaped, None if that takes more than `timeout` seconds."""
        return self._process.returncode if self._exited.wait(timeout) else None

    def _serve(self, boot: bytes, on_exit: Callable[[int], None], on_line: Callable[[bytes], None]) -> None:
        for name, work, arguments in (
            ("waiter", self._boot_and_wait, (boot, on_exit)),
            ("reader", self._read, ()),
            ("teller", self._tell, (on_line,)),
        ):
            threading.Thread(target=work, args=arguments, name=f"{name}-{self.pid}", daemon=True).start()

    def _boot_and_wait(self, boot: bytes, on_exit: Callable[[int], None]) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        with contextlib.suppress(OSError), stdin:  # a child that is gone already says so by its return code
            stdin.write(boot_record.framed(boot))
        code = self._process.wait()
        self._exited.set()
        on_exit(code)

    def _read(self) -> None:
        output = self._process.stdout
        assert output is not None
        with output:
            while line := output.readline(MAX_LINE_BYTES):
                self._keep(line)
        self._lines.put(None)

    def _keep(self, line: bytes) -> None:
        """Only the reader puts, so there is room after the oldest is out."""
        if self._lines.full():
            with contextlib.suppress(queue.Empty):
                self._lines.get_nowait()
                self._dropped_lines += 1
        self._lines.put_nowait(line)

    def _tell(self, on_line: Callable[[bytes], None]) -> None:
        stacks = Stacks()
        more = True
        while more:
            texts: list[bytes] = []
            try:
                line = self._lines.get(timeout=STACK_ENDS_S if stacks.pending else None)
                more = line is not None
                texts = stacks.rest() if line is None else stacks.take(line.rstrip(b"\r\n"))
            except queue.Empty:
                texts = stacks.rest()
            for text in texts:
                on_line(text)


def _cpu_clock(pid: int) -> int:
    """Of a process, all its threads together, as clock_getcpuclockid(3) has it on Linux (`CPUCLOCK_SCHED`)."""
    return ~pid << 3 | 2
