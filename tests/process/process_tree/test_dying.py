"""A child dies with its parent."""

import os
import sys

import pytest

from ipc import parent_watch
from tests.process.process_tree.relatives import ECHO, WATCH, Events, Listener, Starter, posix

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has PDEATHSIG")
PIPE_ONLY = "parent_watch._die_with_parent = lambda: None\n"
STUCK_IN_C = "link.sendall(b'ready\\n')\nctypes.PyDLL(None).sleep(600)\n"


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
    events.start("from ipc import parent_watch\nparent_watch.watch_parent(1 << 30, None)\nprint('alive')")
    assert events.exit() == parent_watch.PARENT_GONE
    assert events.lines.empty()


@posix
def test_unwatchable_parent_ends_the_child() -> None:
    """A pipe that can't be read is no reason to live on unwatched."""
    events = Events()
    watch = f"from ipc import parent_watch\nparent_watch.watch_parent({os.getpid()}, 999)\n"
    code = watch + "import time\ntime.sleep(600)"
    events.start(code)
    assert b"can't be watched" in events.line()
    assert events.exit() == parent_watch.PARENT_GONE
