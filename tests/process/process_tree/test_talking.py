"""Interrupts, the boot record and output."""

import hashlib
import os
import signal
import subprocess
import sys
import threading

from tests.process.process_tree.relatives import (
    ECHO,
    PATIENCE,
    WATCH,
    Events,
    Listener,
    Starter,
    join_new_threads,
    posix,
)
from wernicke_daemon.processes import child as child_module
from wernicke_daemon.processes import process_tree
from wernicke_daemon.processes.child import Child

# --- Ctrl-C -----------------------------------------------------------------------------------------


@posix
def test_interrupt_of_the_group_does_not_reach_children(listener: Listener, start_parent: Starter) -> None:
    """Ctrl-C in a terminal goes to the front's process group; a child is out of it even before it ignores anything."""
    parent = start_parent(listener.code("child", WATCH, ECHO))
    child = listener.accept(1)["child"]
    os.killpg(parent.pid, signal.SIGINT)
    assert child.answers()


@posix
def test_child_ignores_an_interrupt(listener: Listener, start_parent: Starter) -> None:
    """Sent straight to the child it is ignored as well."""
    start_parent(listener.code("child", "parent_watch.ignore_interrupts()\n", WATCH, ECHO))
    child = listener.accept(1)["child"]
    os.kill(child.pid, signal.SIGINT)
    assert child.answers()


# --- the boot record --------------------------------------------------------------------------------


def test_boot_record_of_a_megabyte_arrives() -> None:
    """More than a pipe holds reaches the child whole, and start() does not wait for it."""
    events = Events()
    boot = os.urandom(1 << 20)
    read = "import hashlib\nfrom ipc.parent_watch import read_boot\n"
    code = read + "print(hashlib.sha256(read_boot()).hexdigest())"
    events.start(code, boot)
    assert events.line().decode() == hashlib.sha256(boot).hexdigest()
    assert events.exit() == 0


def test_stdin_is_the_null_device_afterwards() -> None:
    """Whatever reads stdin later finds it empty and not the pipe."""
    events = Events()
    code = (
        "import os, stat, sys\nfrom ipc.parent_watch import read_boot\nread_boot()\n"
        "print(stat.S_ISCHR(os.fstat(0).st_mode), os.read(0, 1), sys.stdin.read())"
    )
    events.start(code, b"boot")
    assert events.line().split() == [b"True", b"b''"]


def test_truncated_boot_record_ends_the_child_with_a_sentence() -> None:
    """A record that breaks off (the front died, or somebody runs the stage by hand) is no traceback."""
    for record in (b"", b"\0\0", b"\0\0\0\5ab"):
        result = subprocess.run(
            [sys.executable, "-c", "from ipc.parent_watch import read_boot; read_boot()"],
            input=record,
            capture_output=True,
            env=process_tree.environment(),
        )
        assert result.returncode == 1
        assert result.stderr.decode().count("\n") == 1
        assert b"run_daemon.py" in result.stderr


def test_child_that_never_reads_its_boot_record_is_no_obstacle() -> None:
    """Neither start nor kill waits for a child that does not read."""
    events = Events()
    child = events.start("import time\nprint('up')\ntime.sleep(600)", bytes(1 << 20))
    assert events.line() == b"up"
    child.kill()
    assert events.exit() != 0


# --- output -----------------------------------------------------------------------------------------


def test_flood_of_output_does_not_block_the_child() -> None:
    """10 MB while nobody takes the lines: the child ends all the same; what is dropped is counted, the end is kept."""
    events = Events()
    release, told = threading.Event(), []

    def slow(line: bytes) -> None:
        release.wait(PATIENCE)
        told.append(line)

    before = set(threading.enumerate())
    code = "import sys\nfor n in range(100_000): sys.stderr.write(f'{n:>104}\\n')"
    child = Child.start(["-u", "-c", code], b"", events.exits.put, slow)
    assert events.exit() == 0
    release.set()
    join_new_threads(before)
    assert len(told) + child.dropped_lines == 100_000
    assert len(told) < 3 * child_module.MAX_WAITING_LINES  # those that waited and those still in the pipe
    assert told[-1].split() == [b"99999"]


def test_line_without_end_comes_in_pieces() -> None:
    """A megabyte without a line end is bounded in memory and lost in no part."""
    events = Events()
    before = set(threading.enumerate())
    events.start("print('x' * (1 << 20), end='')")
    assert events.exit() == 0
    join_new_threads(before)
    pieces = list(events.lines.queue)
    assert max(map(len, pieces)) <= child_module.MAX_LINE_BYTES
    assert b"".join(pieces) == b"x" * (1 << 20)


def test_stdout_and_native_last_words_are_lines_too() -> None:
    """What a library prints, and the stack of a crash in native code, reach the log."""
    events = Events()
    before = set(threading.enumerate())
    events.start("import faulthandler\nprint('printed')\nfaulthandler._sigsegv()")
    assert events.exit() != 0
    join_new_threads(before)
    lines = list(events.lines.queue)
    assert lines[0] == b"printed"
    assert any(b"Current thread" in line for line in lines)
