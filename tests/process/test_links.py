"""Sockets between the front and a stage that can't be had."""

import errno
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import zmq

from ipc import channels
from tests import wire
from tests.process.conftest import embedded, started
from wernicke_daemon.links import Links

KILL = getattr(signal, "SIGKILL", signal.SIGTERM)

Socket = zmq.Socket[bytes]


@pytest.fixture
def bound(monkeypatch: pytest.MonkeyPatch) -> list[Socket]:
    """The sockets that were to be bound from now on; with the third it fails."""
    sockets: list[Socket] = []
    bind = zmq.Socket.bind_to_random_port

    def bind_or_fail(socket: Socket, *arguments: Any) -> int:
        sockets.append(socket)
        if len(sockets) == 3:
            raise zmq.ZMQError(errno.EMFILE)
        return bind(socket, *arguments)

    monkeypatch.setattr(zmq.Socket, "bind_to_random_port", bind_or_fail)
    return sockets


def test_a_link_that_fails_half_way_leaves_nothing_open(bound: list[Socket]) -> None:
    links = Links(lambda link, message: None)
    keys = channels.new_keys()
    with pytest.raises(zmq.ZMQError):
        links.open(("asr", 1), keys)
    assert [socket.closed for socket in bound] == [True, True, True]
    links.open(("asr", 2), keys)
    assert [socket.closed for socket in bound[3:]] == [False] * 4
    links.stop()


async def test_it_is_a_start_that_failed_and_is_tried_again(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    async with started(embedded(tmp_path)) as daemon:
        bound: list[Socket] = request.getfixturevalue("bound")
        pid = daemon.pipeline.supervisor.stages["asr"].pid
        assert pid is not None
        os.kill(pid, KILL)
        assert wire.finals(await wire.transcribe(daemon.port, wire.turn(5).astype("<f4").tobytes()))
        assert len(bound) == 3 + 4
