"""Fixtures that several files here share."""

import threading
from collections.abc import Iterator

import pytest
import zmq

from ipc.channels import Boot, new_keys
from stages.process.control import Control


@pytest.fixture
def control(monkeypatch: pytest.MonkeyPatch) -> Iterator[Control]:
    """A stage's, without its thread: a test obeys orders itself; nobody takes reports."""
    monkeypatch.setattr(threading.Thread, "start", lambda thread: None)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    keys = new_keys()
    yield Control(context, Boot("asr", 0, 1, 0, None, "", "", "", "inproc://reports", keys.public, keys, 1.0, 1.0), 0)
    context.destroy(linger=0)
