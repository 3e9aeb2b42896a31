"""Children that end, are killed or are not let start."""

import sys
import threading
from typing import Any

import psutil
import pytest

from tests.process.process_tree.relatives import PATIENCE, Events, join_new_threads
from wernicke_daemon.processes import process_tree
from wernicke_daemon.processes.child import Child


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


def test_cpu_time_is_all_that_its_threads_used_and_none_after_its_end() -> None:
    """As psutil has it, which counts in steps of 10 ms (POSIX) or 16 ms; asked for while nothing runs any more."""
    turn = "import threading, time\nbegan = time.process_time()\n"
    turn += "def turn():\n    while time.process_time() - began < 0.3: pass\n"
    turn += "thread = threading.Thread(target=turn); thread.start(); thread.join()\nprint('done'); time.sleep(600)"
    events = Events()
    child = events.start(turn)
    assert events.line() == b"done"
    used, times = child.cpu_s(), psutil.Process(child.pid).cpu_times()
    assert used is not None and used >= 0.3
    assert used == pytest.approx(times.user + times.system, abs=0.1)
    child.kill()
    events.exit()
    assert child.cpu_s() is None


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
