"""Parents and children as real processes."""

import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import NamedTuple

import psutil
import pytest

from wernicke_daemon.processes.child import Child

PATIENCE = 30.0
"""Seconds after which a test gives up on an event that would come at once."""
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
from ipc import parent_watch
link = socket.create_connection(("127.0.0.1", {port}))
link.sendall({name!r} + b" %d\\n" % os.getpid())
"""

WATCH = "parent_watch.watch_parent(*eval(parent_watch.read_boot()))\n"
ECHO = "link.sendall(b'ready\\n')\nwhile data := link.recv(100): link.sendall(data)\n"


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


Starter = Callable[..., "subprocess.Popen[bytes]"]


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
