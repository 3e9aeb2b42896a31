"""Real processes: a child dies with its parent, is never blocked by its own output, and leaves nothing behind."""

import hashlib
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import psutil
import pytest

from stages.process import parent_watch
from wernicke_daemon.processes import child as child_module
from wernicke_daemon.processes import process_tree
from wernicke_daemon.processes.child import Child

PATIENCE = 30.0
"""Seconds after which a test gives up on an event that would come at once."""

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has PDEATHSIG")
posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX process groups and pipes")

PARENT = """
import os, signal, sys
from wernicke_daemon.processes.child import Child
from wernicke_daemon.processes.process_tree import adopt_current_process, parent_pipe
signal.signal(signal.SIGINT, lambda *_: None)
adopt_current_process()
for code in sys.argv[1:]:
    Child.start(["-c", code], repr((os.getpid(), parent_pipe())).encode(), print, print)
sys.stdin.read()
"""

REPORT = """
import ctypes, os, socket, sys
from stages.process import parent_watch
link = socket.create_connection(("127.0.0.1", {port}))
link.sendall({name!r} + b" %d\\n" % os.getpid())
"""

WATCH = "parent_watch.watch_parent(*eval(parent_watch.read_boot()))\n"
PIPE_ONLY = "parent_watch._die_with_parent = lambda: None\n"
ECHO = "link.sendall(b'ready\\n')\nwhile data := link.recv(100): link.sendall(data)\n"
STUCK_IN_C = "link.sendall(b'ready\\n')\nctypes.PyDLL(None).sleep(600)\n"


class Reporter(NamedTuple):
    """A child as seen through its connection, which the system closes whatever way it ends."""

    pid: int
    link: socket.socket

    def line(self) -> bytes:
        received = b""
        while not received.endswith(b"\n"):
            data = self.link.recv(1)
            assert data, "the child ended"
            received += data
        return received

    def answers(self) -> bool:
        self.link.sendall(b"there?\n")
        return self.line() == b"there?\n"

    def has_ended(self) -> bool:
        """Waits for the end; a socket time-out is a failure."""
        try:
            return self.link.recv(1) == b""
        except ConnectionError:
            return True


class Listener:
    """Where children report."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(PATIENCE)
        self._reporters: list[Reporter] = []

    def code(self, name: str, *parts: str) -> str:
        return "".join((REPORT.format(port=self._socket.getsockname()[1], name=name.encode()), *parts))

    def accept(self, count: int) -> dict[str, Reporter]:
        """That many children, by name, each after it said that it is ready."""
        children = {}
        for _ in range(count):
            link, _ = self._socket.accept()
            link.settimeout(PATIENCE)
            name, pid = Reporter(0, link).line().split()
            children[name.decode()] = Reporter(int(pid), link)
        self._reporters += children.values()
        for reporter in children.values():
            assert reporter.line() == b"ready\n"
        return children

    def close(self) -> None:
        for pid, link in self._reporters:
            link.close()
            if psutil.pid_exists(pid):
                psutil.Process(pid).kill()
        self._socket.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


Starter = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start_parent() -> Iterator[Starter]:
    """Starts a process that starts children, in a process group of its own."""
    parents = []

    def start(*codes: str) -> "subprocess.Popen[bytes]":
        options: dict[str, Any] = {} if sys.platform == "win32" else {"process_group": 0}
        command = [sys.executable, "-c", PARENT, *codes]
        environment = process_tree.environment()
        parent: subprocess.Popen[bytes] = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, **options)
        parents.append(parent)
        return parent

    yield start
    for parent in parents:
        parent.kill()
        parent.communicate()


class Events:
    """What the callbacks of a child were told."""

    def __init__(self) -> None:
        self.exits: queue.Queue[int] = queue.Queue()
        self.lines: queue.Queue[bytes] = queue.Queue()

    def start(self, code: str, boot: bytes = b"", **options: bool) -> Child:
        return Child.start(["-c", code], boot, self.exits.put, self.lines.put, **options)

    def exit(self) -> int:
        return self.exits.get(timeout=PATIENCE)

    def line(self) -> bytes:
        return self.lines.get(timeout=PATIENCE)


def join_new_threads(before: set[threading.Thread]) -> None:
    """Wait until children started since then have ended and all their lines are told."""
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE)
    assert set(threading.enumerate()) <= before


@pytest.fixture(autouse=True)
def nothing_left_running() -> Iterator[None]:
    """Each test starts without the last one's threads and descriptors."""
    before = set(threading.enumerate())
    yield
    join_new_threads(before)


# --- dying with the parent --------------------------------------------------------------------------


def test_child_dies_with_a_killed_parent(listener: Listener, start_parent: Starter) -> None:
    """kill -9 of the parent, which can't clean up, ends the child."""
    parent = start_parent(listener.code("child", WATCH, ECHO))
    child = listener.accept(1)["child"]
    assert child.answers()
    parent.kill()
    assert child.has_ended()


@linux
def test_child_stuck_in_native_code_dies_too(listener: Listener, start_parent: Starter) -> None:
    """While C code holds the GIL no thread of the child runs; the kernel ends it."""
    parent = start_parent(listener.code("child", WATCH, STUCK_IN_C))
    child = listener.accept(1)["child"]
    parent.kill()
    assert child.has_ended()


@posix
def test_pipe_alone_is_enough(listener: Listener, start_parent: Starter) -> None:
    """Where the kernel offers no death signal, the pipe ends the child."""
    parent = start_parent(listener.code("child", PIPE_ONLY, WATCH, ECHO))
    child = listener.accept(1)["child"]
    parent.kill()
    assert child.has_ended()


@posix
def test_siblings_do_not_keep_the_pipe_open(listener: Listener, start_parent: Starter) -> None:
    """A sibling that outlives the parent (it watches nothing) has no write end: those started around it still die."""
    watching = PIPE_ONLY, WATCH, ECHO
    parent = start_parent(
        listener.code("before", *watching), listener.code("survivor", ECHO), listener.code("after", *watching)
    )
    children = listener.accept(3)
    parent.kill()
    assert children["before"].has_ended()
    assert children["after"].has_ended()
    assert children["survivor"].answers()


@posix
def test_parent_that_is_already_gone_ends_the_child() -> None:
    """A parent that died before it could be watched is noticed by its pid."""
    events = Events()
    events.start("from stages.process import parent_watch\nparent_watch.watch_parent(1 << 30, None)\nprint('alive')")
    assert events.exit() == parent_watch.PARENT_GONE
    assert events.lines.empty()


@posix
def test_unwatchable_parent_ends_the_child() -> None:
    """A pipe that can't be read is no reason to live on unwatched."""
    events = Events()
    watch = f"from stages.process import parent_watch\nparent_watch.watch_parent({os.getpid()}, 999)\n"
    code = watch + "import time\ntime.sleep(600)"
    events.start(code)
    assert b"can't be watched" in events.line()
    assert events.exit() == parent_watch.PARENT_GONE


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
    read = "import hashlib\nfrom stages.process.parent_watch import read_boot\n"
    code = read + "print(hashlib.sha256(read_boot()).hexdigest())"
    events.start(code, boot)
    assert events.line().decode() == hashlib.sha256(boot).hexdigest()
    assert events.exit() == 0


def test_stdin_is_the_null_device_afterwards() -> None:
    """Whatever reads stdin later finds it empty and not the pipe."""
    events = Events()
    code = (
        "import os, sys\nfrom stages.process.parent_watch import read_boot\nread_boot()\n"
        "null = os.stat(os.devnull)\nprint(os.path.samestat(os.fstat(0), null), os.read(0, 1), sys.stdin.read())"
    )
    events.start(code, b"boot")
    assert events.line().split() == ([b"True", b"b''"] if sys.platform != "win32" else [b"False", b"b''"])


def test_truncated_boot_record_ends_the_child_with_a_sentence() -> None:
    """A record that breaks off (the front died, or somebody runs the stage by hand) is no traceback."""
    for record in (b"", b"\0\0", b"\0\0\0\5ab"):
        result = subprocess.run(
            [sys.executable, "-c", "from stages.process.parent_watch import read_boot; read_boot()"],
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


# --- life and death ---------------------------------------------------------------------------------


@pytest.mark.parametrize("refused", ["waiter", "reader", "teller"])
def test_child_without_its_threads_is_not_left_running(refused: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine at its limit of threads: the child can't be served, which is an error like any other at its start."""
    start, before = threading.Thread.start, psutil.Process().children()

    def start_or_refuse(thread: threading.Thread) -> None:
        if thread.name.startswith(refused):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_or_refuse)
    with pytest.raises(OSError, match="can't start new thread"):
        Child.start(["-c", "import time; time.sleep(60)"], b"", lambda code: None, lambda line: None)
    assert psutil.Process().children() == before


def test_exit_is_told_after_the_reap() -> None:
    """When on_exit is called nothing is left of the process: the next incarnation may start."""
    events = Events()
    child = events.start("raise SystemExit(7)")
    assert events.exit() == 7
    assert not psutil.pid_exists(child.pid)
    assert child.wait(0) == 7


def test_kill_ends_a_child() -> None:
    """wait() gives up after its time-out while the child lives, and gives the return code once it is killed."""
    events = Events()
    child = events.start("import time\nprint('up')\ntime.sleep(600)")
    assert events.line() == b"up"
    assert child.wait(0) is None
    child.kill()
    assert child.wait(PATIENCE) == events.exit() != 0
    child.kill()


def test_stages_do_not_get_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages download nothing, so HF_TOKEN is left out; everything else is handed on."""
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setenv("SOMETHING", "else")
    code = "import os\nprint(os.environ.get('HF_TOKEN'), os.environ['SOMETHING'])"
    events = Events()
    events.start(code)
    assert events.line() == b"None else"


def test_start_is_refused_outside_the_main_thread() -> None:
    """On Linux such a child would die with the thread that started it."""
    refused: list[BaseException] = []

    def start() -> None:
        try:
            Events().start("")
        except RuntimeError as error:
            refused.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join(PATIENCE)
    assert len(refused) == 1


def test_a_hundred_starts_leave_nothing_behind() -> None:
    """No descriptor, thread or process stays when children have ended."""
    process: Any = psutil.Process()
    count = process.num_handles if sys.platform == "win32" else process.num_fds
    process_tree.parent_pipe()
    events, threads, open_before, children = Events(), set(threading.enumerate()), count(), process.children()
    for _ in range(100):
        Child.start(["-S", "-c", ""], b"boot", events.exits.put, events.lines.put)
        assert events.exit() == 0
    join_new_threads(threads)
    assert process.children() == children
    assert count() == open_before
