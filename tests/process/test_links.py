"""Sockets between the front and a stage that can't be had."""

import errno
import os
import queue
import signal
from pathlib import Path
from typing import Any

import pytest
import zmq

from ipc import channels, codec
from ipc.channels import Boot
from ipc.messages import Cancel, Heartbeat
from tests import wire
from tests.process.conftest import embedded, started
from wernicke_daemon.processes.links import Links
from wernicke_daemon.processes.local_peer import DECODERS
from wernicke_daemon.processes.peer import Identity

KILL = getattr(signal, "SIGKILL", signal.SIGTERM)

Socket = zmq.Socket[bytes]

SOME = 5000
"""Messages: more than a socket holds by itself."""


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
    links = Links(lambda link, message: None, *DECODERS)
    keys = channels.new_keys()
    with pytest.raises(zmq.ZMQError):
        links.open(Identity("asr", 0, 1), keys)
    assert [socket.closed for socket in bound] == [True, True, True]
    links.open(Identity("asr", 0, 2), keys)
    assert [socket.closed for socket in bound[3:]] == [False] * 4
    links.stop()


def test_a_fault_at_one_message_is_not_the_end_of_all() -> None:
    """The thread goes on, or no stage would ever be heard again, and a stop would wait for ever."""
    heard: queue.SimpleQueue[object] = queue.SimpleQueue()

    def deliver(link: Identity, message: object) -> None:
        heard.put(message)
        if message == Heartbeat(1.0):
            raise ValueError

    links = Links(deliver, *DECODERS)
    keys = channels.new_keys()
    at = links.open(Identity("asr", 0, 1), keys)
    with zmq.Context() as context:
        boot = Boot("asr", 0, 1, 0, None, "", "", "", at.reports, links.server_key, keys, 1.0, 1.0)
        stage = channels.connect(context, zmq.PUSH, at.reports, boot)
        for said in (Heartbeat(1.0), Heartbeat(2.0)):
            stage.send(codec.encode(said))
            assert heard.get(timeout=30) == said
        stage.close()
    links.stop()


def test_what_is_sent_arrives_in_order_whether_it_had_to_wait_or_not() -> None:
    """Before the stage has connected, while what waited is on its way, and once the way is free."""
    links = Links(lambda link, message: None, *DECODERS)
    link, keys = Identity("asr", 0, 1), channels.new_keys()
    at = links.open(link, keys)
    sent = iter(range(3 * SOME))

    def send() -> None:
        for _ in range(SOME):
            links.send_order(link, Cancel(next(sent)))

    send()
    with zmq.Context() as context:
        boot = Boot("asr", 0, 1, 0, None, "", "", at.orders, "", links.server_key, keys, 1.0, 1.0)
        stage = channels.connect(context, zmq.PULL, at.orders, boot)
        stage.setsockopt(zmq.RCVTIMEO, 30_000)
        heard = [codec.decode_to_stage(stage.recv())]
        send()
        heard += [codec.decode_to_stage(stage.recv()) for _ in range(2 * SOME - 1)]
        send()
        heard += [codec.decode_to_stage(stage.recv()) for _ in range(SOME)]
        stage.close()
    assert heard == [Cancel(number) for number in range(3 * SOME)]
    links.close(link)
    links.send_order(link, Cancel(0))  # to nobody
    links.stop()


async def test_it_is_a_start_that_failed_and_is_tried_again(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    async with started(embedded(tmp_path)) as daemon:
        bound: list[Socket] = request.getfixturevalue("bound")
        pid = daemon.pipeline.ports["asr"].status().pid
        assert pid is not None
        os.kill(pid, KILL)
        assert wire.finals(await wire.transcribe(daemon.port, wire.turn(5).astype("<f4").tobytes()))
        assert len(bound) == 3 + 4
