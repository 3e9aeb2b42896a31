"""Strangers at the sockets between the front and its stages: the real links, rogue peers on the same machine.

That a stranger got nothing is shown by the stage it wanted to stand in for: that one gets every message there was.
"""

import ast
import contextlib
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest
import structlog
import zmq
from zmq.utils.monitor import recv_monitor_message

from ipc import channels, codec
from ipc.audio_handle import AudioHandle
from ipc.channels import Boot, KeyPair
from ipc.messages import AsrWork, Cancel, CorrectionResult, Done, Failed, FromStage, Hello, Incoming, Job
from wernicke_daemon.dispatch.job_queue import JobQueue
from wernicke_daemon.dispatch.turns import JobRow
from wernicke_daemon.processes.links import Links
from wernicke_daemon.processes.local_peer import DECODERS
from wernicke_daemon.processes.peer import Identity

ROOT = Path(__file__).parents[2]

Socket = zmq.Socket[bytes]
Context = zmq.Context[Socket]
Arrived = tuple[Identity, Incoming | FromStage]

LINK = Identity("asr", 0, 1)
PATIENCE_S = 10.0
"""For things that take milliseconds."""

HANDSHAKE_ENDS = (
    zmq.EVENT_HANDSHAKE_SUCCEEDED,
    zmq.EVENT_HANDSHAKE_FAILED_AUTH,
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL,
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL,
)


class Front:
    """Links with one open link, and what they delivered."""

    def __init__(self) -> None:
        self._arrived: queue.SimpleQueue[Arrived] = queue.SimpleQueue()
        self.links = Links(lambda link, message: self._arrived.put((link, message)), *DECODERS)
        self.stage_keys = channels.new_keys()
        self.at = self.links.open(LINK, self.stage_keys)

    def arrived(self) -> Incoming | FromStage:
        """The next message of the link."""
        link, message = self._arrived.get(timeout=PATIENCE_S)
        assert link == LINK
        return message

    @property
    def quiet(self) -> bool:
        return self._arrived.empty()

    def stage(self, context: Context, kind: int, endpoint: str) -> Socket:
        """The end of the stage that the link was opened for."""
        boot = Boot(
            stage="asr",
            replica=0,
            epoch=1,
            parent_pid=0,
            parent_fd=None,
            **msgspec.structs.asdict(self.at),
            server_key=self.links.server_key,
            keys=self.stage_keys,
            heartbeat_s=1.0,
            load_limit_s=1.0,
        )
        connected = channels.connect(context, kind, endpoint, boot)
        connected.setsockopt(zmq.RCVTIMEO, round(PATIENCE_S * 1000))
        return connected


@pytest.fixture
def front() -> Iterator[Front]:
    front = Front()
    yield front
    front.links.stop()


@pytest.fixture
def context() -> Iterator[Context]:
    """Of the other processes: ZeroMQ contexts share nothing."""
    context: Context = zmq.Context()
    yield context
    context.destroy(linger=0)


def done(number: int) -> Done:
    return Done(number, CorrectionResult((None,)), 1.0)


def job(number: int) -> Job:
    return Job(number, AsrWork(AudioHandle("arena", 0, 1, 0, 16_000), "en"), limit_s=1.0)


# --- strangers -------------------------------------------------------------------------------------

Credentials = tuple[bytes, KeyPair] | None
"""Server key and own keys; None: without CURVE."""


def own_keys(front: Front) -> Credentials:
    """What a stranger has who learnt the server's public key."""
    return front.links.server_key, channels.new_keys()


def no_curve(front: Front) -> Credentials:
    return None


def wrong_server_key(front: Front) -> Credentials:
    return channels.new_keys().public, front.stage_keys


def stolen_public_key(front: Front) -> Credentials:
    """The stage's public key, without the secret that belongs to it."""
    return front.links.server_key, KeyPair(front.stage_keys.public, channels.new_keys().secret)


STRANGERS = (own_keys, no_curve, wrong_server_key, stolen_public_key)

stranger_kinds = pytest.mark.parametrize("credentials", STRANGERS, ids=lambda kind: kind.__name__)


def stranger(context: Context, kind: int, endpoint: str, credentials: Credentials) -> tuple[Socket, Socket]:
    """A connecting socket and its monitor."""
    made = channels.bounded(context, kind)
    if credentials is not None:
        made.curve_serverkey, keys = credentials
        made.curve_publickey, made.curve_secretkey = keys.public, keys.secret
    monitor: Socket = made.get_monitor_socket()
    made.connect(endpoint)
    return made, monitor


def wait_for(monitor: Socket, *events: int) -> int:
    """The next of these events."""
    deadline = time.monotonic() + PATIENCE_S
    while monitor.poll(max(0, round((deadline - time.monotonic()) * 1000))):
        event = int(recv_monitor_message(monitor)["event"])
        if event in events:
            return event
    raise TimeoutError("the event did not come")


@stranger_kinds
@pytest.mark.parametrize("channel", ["work", "orders"])
def test_a_stranger_takes_no_message(
    front: Front, context: Context, credentials: Callable[[Front], Credentials], channel: str
) -> None:
    """Neither while the stage is not there yet, nor beside it."""

    def send(first: int) -> list[Job] | list[Cancel]:
        numbers = range(first, first + 20)
        if channel == "orders":
            orders = [Cancel(number) for number in numbers]
            for order in orders:
                front.links.send_order(LINK, order)
            return orders
        jobs = [job(number) for number in numbers]
        for work in jobs:
            front.links.send_work(LINK, work)
        return jobs

    sent = send(1)
    endpoint = getattr(front.at, channel)
    thief, monitor = stranger(context, zmq.PULL, endpoint, credentials(front))
    assert wait_for(monitor, *HANDSHAKE_ENDS) != zmq.EVENT_HANDSHAKE_SUCCEEDED
    stage = front.stage(context, zmq.PULL, endpoint)
    assert [stage.recv() for _ in sent] == [codec.encode(message) for message in sent]
    more = send(100)
    assert [stage.recv() for _ in more] == [codec.encode(message) for message in more]
    assert not thief.poll(0)


@stranger_kinds
@pytest.mark.parametrize("channel", ["results", "reports"])
def test_a_stranger_brings_in_no_message(
    front: Front, context: Context, credentials: Callable[[Front], Credentials], channel: str
) -> None:
    """What is delivered afterwards is the stage's own word, and that alone."""
    forged, true = (done(666), done(1)) if channel == "results" else (Hello(666), Hello(1))
    endpoint = getattr(front.at, channel)
    forger, monitor = stranger(context, zmq.PUSH, endpoint, credentials(front))
    with contextlib.suppress(zmq.Again):
        forger.send(codec.encode(forged), zmq.NOBLOCK)
    assert wait_for(monitor, *HANDSHAKE_ENDS) != zmq.EVENT_HANDSHAKE_SUCCEEDED
    stage = front.stage(context, zmq.PUSH, endpoint)
    stage.send(codec.encode(true))
    assert front.arrived() == true
    assert front.quiet


def test_the_key_of_a_dead_incarnation_opens_nothing(front: Front, context: Context) -> None:
    """It was good until its link was closed; at the next incarnation's sockets it is a stranger's."""
    old = front.links.server_key, front.stage_keys
    following = front.links.open(Identity("asr", 0, 2), channels.new_keys())
    alive = stranger(context, zmq.PULL, front.at.work, old)
    assert wait_for(alive[1], *HANDSHAKE_ENDS) == zmq.EVENT_HANDSHAKE_SUCCEEDED
    front.links.close(LINK)
    endpoints = (following.work, following.orders, following.results, following.reports)
    late = [stranger(context, zmq.PULL, endpoint, old) for endpoint in endpoints]
    outcomes = [wait_for(monitor, *HANDSHAKE_ENDS) for _, monitor in late]
    assert zmq.EVENT_HANDSHAKE_SUCCEEDED not in outcomes


# --- the stage itself, gone mad --------------------------------------------------------------------

NOT_UTF8 = codec.encode(Failed(1, "CODE", "??", 1.0)).replace(b"??", b"\xff\xfe")
NESTED = b"\x82\xa4type\xa4Done\xa5other" + b"\x91" * 100_000

GARBAGE = {
    "nothing": b"",
    "no_msgpack": b"\xc1" * 100,
    "random": bytes(range(256)) * 256,
    "cut": codec.encode(done(1))[:-1],
    "of_another_channel": codec.encode(Hello(1)),
    "of_the_other_direction": codec.encode(job(1)),
    "unknown_type": msgspec.msgpack.encode({"type": "Exec", "job_id": 1}),
    "text_that_is_none": NOT_UTF8,
    "nested_without_end": NESTED,
    "huge_claimed_length": b"\xdd\xff\xff\xff\xff",
    "a_pickle": b"\x80\x04\x95\x1b\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94.",
}


@pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE)
def test_garbage_is_logged_and_passed_over(front: Front, context: Context, data: bytes) -> None:
    """The log says whose it was; the next message of the same stage arrives."""
    stage = front.stage(context, zmq.PUSH, front.at.results)
    with structlog.testing.capture_logs() as lines:
        stage.send(data)
        stage.send(codec.encode(done(1)))
        assert front.arrived() == done(1)
    assert [(line["event"], line["stage"], line["replica"], line["epoch"]) for line in lines] == [
        ("unreadable_message", *LINK)
    ]
    assert front.quiet


def test_a_message_beyond_the_limit_is_not_taken_in(front: Front, context: Context) -> None:
    """The connection is dropped before the message is stored; the stage connects again and goes on."""
    stage = front.stage(context, zmq.PUSH, front.at.results)
    stage.send(codec.encode(done(1)))
    assert front.arrived() == done(1)
    monitor: Socket = stage.get_monitor_socket()
    stage.send(bytes(codec.MAX_MESSAGE_BYTES + 1))
    wait_for(monitor, zmq.EVENT_DISCONNECTED)
    wait_for(monitor, zmq.EVENT_HANDSHAKE_SUCCEEDED)
    stage.send(codec.encode(done(2)))
    assert front.arrived() == done(2)


def test_a_result_said_twice_counts_once(front: Front, context: Context) -> None:
    """The row of a job closes with its first result."""
    jobs = JobQueue(credit=1, max_attempts=2)
    row = JobRow(1, "session", job(1).work, limit_s=1.0, created=0.0)
    jobs.replica_up(0)
    jobs.add(row)
    jobs.take(0.0)
    stage = front.stage(context, zmq.PUSH, front.at.results)
    for _ in range(2):
        stage.send(codec.encode(done(1)))
    closed = [
        jobs.answered(0, answer.job_id) for answer in (front.arrived(), front.arrived()) if isinstance(answer, Done)
    ]
    assert closed == [row, None]


# --- a listener on the line ------------------------------------------------------------------------


class Tap:
    """A TCP relay before an endpoint, which keeps what goes to the front."""

    def __init__(self, endpoint: str) -> None:
        self.recorded = bytearray()
        self._front = urlsplit(endpoint)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"tcp://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def dial(self) -> socket.socket:
        """A connection to the front."""
        return socket.create_connection((str(self._front.hostname), self._front.port or 0), PATIENCE_S)

    def _serve(self) -> None:
        with self._server, self._server.accept()[0] as stage, self.dial() as front:
            threading.Thread(target=self._relay, args=(front, stage, bytearray()), daemon=True).start()
            self._relay(stage, front, self.recorded)

    def _relay(self, source: socket.socket, target: socket.socket, record: bytearray) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                record += data
                target.sendall(data)


def until_closed(connection: socket.socket) -> None:
    """Read until the other side ends it. Raises TimeoutError if it does not."""
    with contextlib.suppress(ConnectionError):
        while connection.recv(65_536):
            pass


def test_a_recorded_conversation_can_not_be_replayed(front: Front, context: Context) -> None:
    """The same bytes on a new connection are refused: every connection has keys of its own."""
    tap = Tap(front.at.results)
    stage = front.stage(context, zmq.PUSH, tap.endpoint)
    stage.send(codec.encode(done(1)))
    assert front.arrived() == done(1)
    recorded = bytes(tap.recorded)
    with tap.dial() as replay:
        replay.sendall(recorded)
        until_closed(replay)
    stage.send(codec.encode(done(2)))
    assert front.arrived() == done(2)
    assert front.quiet
    assert codec.encode(done(1)) not in recorded


# --- nothing is unpickled --------------------------------------------------------------------------

UNPICKLING = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "jsonpickle", "marshal", "shelve"}
HARMLESS = {"multiprocessing.resource_tracker", "multiprocessing.shared_memory"}
"""The rest of multiprocessing pickles what it passes on."""


def pickling(source: str) -> list[str]:
    """Names in a module by which objects could come out of bytes."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import():
                found += [alias.name for alias in node.names]
            case ast.ImportFrom(module=str(module)):
                found += [module, *(f"{module}.{alias.name}" for alias in node.names)]
            case ast.Attribute(attr="send_pyobj" | "recv_pyobj" as name) | ast.keyword(arg="allow_pickle" as name):
                found.append(f"pickle.{name}")
    return [name for name in found if name.partition(".")[0] in UNPICKLING or _passes_objects(name)]


def _passes_objects(name: str) -> bool:
    package, _, what = name.partition(".")
    return package == "multiprocessing" and bool(what) and not any(f"{name}.".startswith(f"{h}.") for h in HARMLESS)


@pytest.mark.parametrize("package", ["ipc", "stages", "wernicke_daemon"])
def test_nothing_is_unpickled(package: str) -> None:
    """No module imports or calls what makes objects of bytes from elsewhere."""
    sources = sorted((ROOT / package).rglob("*.py"))
    assert sources
    assert [(file.name, name) for file in sources for name in pickling(file.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import os, pickle as p",
        "from pickle import loads",
        "def f():\n    from cloudpickle import loads",
        "import shelve",
        "import multiprocessing.connection",
        "from multiprocessing import Queue",
        "from multiprocessing.connection import Client",
        "socket.recv_pyobj()",
        "numpy.load(file, allow_pickle=True)",
    ],
)
def test_the_search_finds_pickles(source: str) -> None:
    """Else its silence would mean nothing."""
    assert pickling(source)
