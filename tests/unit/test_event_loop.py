"""The loop that everything runs on: nothing takes another one, signals wake it, and no reset ends a service on it."""

import ast
import asyncio
import signal
import socket
import threading
from pathlib import Path

import pytest

from ipc import event_loop

ROOT = Path(__file__).parents[2]
SOURCES = [path for package in ("wernicke_daemon", "stages", "ipc") for path in sorted((ROOT / package).rglob("*.py"))]

OTHER_WAYS = {"run", "Runner", "new_event_loop", "ProactorEventLoop", "SelectorEventLoop"}
"""Of asyncio, to a loop of its choice."""


def test_nothing_takes_a_loop_elsewhere() -> None:
    """On Windows asyncio would choose the other one."""
    found = {
        str(path.relative_to(ROOT))
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and node.attr in OTHER_WAYS
        and isinstance(node.value, ast.Name)
        and node.value.id == "asyncio"
    }
    assert found == {str(Path("ipc", "event_loop.py"))}


def test_a_signal_is_handled_while_nothing_else_happens() -> None:
    """Though it comes to another thread, as Ctrl-C does on Windows: nothing else wakes the loop."""
    before = signal.getsignal(signal.SIGINT)
    try:
        event_loop.run(_interrupted())
    finally:
        signal.signal(signal.SIGINT, before)


async def _interrupted() -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    signal.signal(signal.SIGINT, lambda *_: loop.call_soon_threadsafe(stop.set))
    threading.Timer(0.2, signal.raise_signal, (signal.SIGINT,)).start()  # the loop is waiting by then
    async with asyncio.timeout(30):  # far longer: what wakes it is the signal
        began = loop.time()
        await stop.wait()
    assert loop.time() - began < 25


def test_without_a_handler_a_signal_interrupts() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's `&` has it ignored
    try:
        with pytest.raises(KeyboardInterrupt):
            event_loop.run(_interrupts_itself())
    finally:
        signal.signal(signal.SIGINT, before)


async def _interrupts_itself() -> None:
    threading.Timer(0.2, signal.raise_signal, (signal.SIGINT,)).start()  # the loop is waiting by then
    await asyncio.sleep(30)


def test_a_thread_may_run_one() -> None:
    """Signals are none of its business."""
    came: list[int] = []
    thread = threading.Thread(target=lambda: came.append(event_loop.run(asyncio.sleep(0, 7))))
    thread.start()
    thread.join()
    assert came == [7]


def test_what_woke_signals_before_does_so_again() -> None:
    reader, writer = socket.socketpair()
    with reader, writer:
        writer.setblocking(False)
        before = signal.set_wakeup_fd(writer.fileno())
        try:
            event_loop.run(asyncio.sleep(0))
            assert signal.set_wakeup_fd(before) == writer.fileno()
        finally:
            signal.set_wakeup_fd(before)


def test_its_timers_are_on_the_clock_of_all_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which stands still while the machine sleeps, as not every system's own does."""
    monkeypatch.setattr(event_loop.clock, "monotonic", lambda: 12.5)
    loop = event_loop.new()
    try:
        assert loop.time() == 12.5
    finally:
        loop.close()
