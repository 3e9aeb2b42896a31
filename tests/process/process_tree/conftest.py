"""Fixtures that several files here share."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.process.process_tree.relatives import PARENT, Listener, Starter, join_new_threads
from wernicke_daemon.processes import process_tree


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


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


@pytest.fixture(autouse=True)
def nothing_left_running() -> Iterator[None]:
    """Each test starts without the last one's threads and descriptors."""
    before = set(threading.enumerate())
    yield
    join_new_threads(before)
