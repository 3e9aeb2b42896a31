"""The front's ZeroMQ sockets, and the one thread that waits for them.

It polls every socket and hands what arrives to a callback, and takes no time from the event loop nor adds its own to
it, as with zmq.asyncio. What is to be sent the event loop sends itself, as that costs a job one switch of threads less;
only what a socket won't take at once is left to the thread. A link is the four sockets of one stage incarnation:
work and orders out, results and reports in. They are made for that incarnation and closed with it, so what arrives on
a link is known to come from exactly that process, and a result of an old one can't be mistaken for a new one's.

Nothing is dropped while a link is open: what a socket won't take yet (its peer is still connecting) waits here.
ZAP (https://rfc.zeromq.org/spec/27/) is answered in this thread too: each link is a ZAP domain that lets in one public
key, that of its incarnation. CURVE alone lets in anybody who learns the server's public key.
"""

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec
import structlog
import zmq
import zmq.utils.z85

from ipc import channels, codec
from ipc.channels import KeyPair, Socket
from ipc.messages import Message

LinkId = tuple[str, int, int]
"""Of one process (`peer.Identity`), or what is one for whoever opens it."""

M = TypeVar("M")

_log = structlog.get_logger()


class Endpoints(msgspec.Struct, frozen=True):
    work: str
    results: str
    orders: str
    reports: str


class _Sender:
    """A PUSH socket and what it would not take yet. A ZeroMQ socket may go from one thread to another behind a lock:
    it is the event loop's while nothing waits, and the ZeroMQ thread's from then on until all has left."""

    def __init__(self, socket: Socket) -> None:
        self.socket = socket
        self._waiting: deque[bytes] = deque()
        self._lock = threading.Lock()

    def send(self, data: bytes) -> bool:
        """On the event loop's thread. False if it has to wait and is the first that does: then `flush` it."""
        with self._lock:
            if not self._waiting and self._sent(data):
                return True
            self._waiting.append(data)
            return len(self._waiting) > 1

    def flush(self) -> bool:
        """On the ZeroMQ thread. Send what can be sent; True if nothing is left."""
        with self._lock:
            while self._waiting and self._sent(self._waiting[0]):
                self._waiting.popleft()
            return not self._waiting

    def _sent(self, data: bytes) -> bool:
        try:
            self.socket.send(data, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True


class _Link:
    def __init__(self, work: Socket, orders: Socket, results: Socket, reports: Socket) -> None:
        self.work = _Sender(work)
        self.orders = _Sender(orders)
        self.results = results
        self.reports = reports

    @property
    def sockets(self) -> tuple[Socket, ...]:
        return self.work.socket, self.orders.socket, self.results, self.reports


class Links(Generic[M]):
    """Used from one thread (the event loop's); `deliver` is called on the ZeroMQ thread."""

    def __init__(
        self,
        deliver: Callable[[LinkId, M], None],
        result: Callable[[bytes], M],
        report: Callable[[bytes], M],
    ) -> None:
        """result, report: decode what comes over the two channels. Raise msgspec.DecodeError."""
        self._deliver = deliver  # told of each message that comes
        self._result, self._report = result, report  # decode it
        self._context: zmq.Context[Socket] = zmq.Context()  # of all sockets of this process
        # The front's CURVE keys, the same for all links; and which public key each link's ZAP domain lets in.
        self._keys = channels.new_keys()
        self._allowed: dict[str, bytes] = {}
        self._open: dict[LinkId, _Link] = {}  # links that may be sent to
        # What the thread is to do next; each is announced by a message from `_wake` to `_woken`.
        self._commands: deque[Callable[[], None]] = deque()
        self._woken = self._context.socket(zmq.PULL)
        self._woken.bind("inproc://wake")
        self._wake = self._context.socket(zmq.PUSH)
        self._wake.connect("inproc://wake")
        # Where libzmq asks who may connect.
        self._zap = self._context.socket(zmq.REP)
        self._zap.bind("inproc://zeromq.zap.01")
        # The thread's own: the open links, what it polls, and what to do when a socket has something.
        self._links: dict[LinkId, _Link] = {}
        self._poller = zmq.Poller()
        self._handlers: dict[Socket, Callable[[], None]] = {}
        self._running = True  # until `close`; the thread's own
        self._thread = threading.Thread(target=self._run, name="links", daemon=True)  # the ZeroMQ thread
        self._thread.start()

    @property
    def server_key(self) -> bytes:
        return self._keys.public

    def open(self, link: LinkId, peer: KeyPair) -> Endpoints:
        """Bind four sockets for an incarnation whose public key is let in from now on.

        Raises ZMQError where they can't be had, with none left open. That is all that can be done here: in some places
        libzmq does not say that file descriptors have run out, it ends the process. `hardware.descriptors` and the
        gateway's limit on connections see to it that they don't.
        """
        domain = _domain(link)
        kinds = (zmq.PUSH, zmq.PUSH, zmq.PULL, zmq.PULL)
        bound = []
        with contextlib.ExitStack() as undo:
            for kind in kinds:
                bound.append(channels.bind(self._context, kind, self._keys, domain))
                undo.callback(bound[-1][0].close)
            undo.pop_all()
        (work, at_work), (orders, at_orders), (results, at_results), (reports, at_reports) = bound
        self._allowed[domain] = peer.public
        opened = self._open[link] = _Link(work, orders, results, reports)
        self._post(lambda: self._add(link, opened))
        return Endpoints(at_work, at_results, at_orders, at_reports)

    def send_work(self, link: LinkId, message: Message) -> None:
        if link in self._open:  # else it is gone: its open jobs are dispatched again by the ledger
            self._send(link, self._open[link].work, message)

    def send_order(self, link: LinkId, message: Message) -> None:
        if link in self._open:
            self._send(link, self._open[link].orders, message)

    def _send(self, link: LinkId, sender: _Sender, message: Message) -> None:
        if not sender.send(codec.encode(message)):
            self._post(lambda: self._flush(link, sender))

    def close(self, link: LinkId) -> None:
        """Close an incarnation's sockets; what it still had to say is lost, its key is let in no more."""
        self._allowed.pop(_domain(link), None)
        self._open.pop(link, None)
        self._post(lambda: self._remove(link))

    def stop(self) -> None:
        """Close everything and end the thread."""
        self._open.clear()
        self._post(self._end)
        self._thread.join()
        self._wake.close(0)
        self._context.term()

    def _post(self, command: Callable[[], None]) -> None:
        self._commands.append(command)
        self._wake.send(b"")

    # --- from here on the ZeroMQ thread ---

    def _run(self) -> None:
        self._watch(self._woken, self._obey)
        self._watch(self._zap, self._answer_zap)
        while self._running:
            for socket, _ in self._poller.poll():
                handler = self._handlers.get(socket)
                if handler is not None:
                    self._handle(handler)
        for link in list(self._links):
            self._remove(link)
        self._zap.close(0)
        self._woken.close(0)

    def _handle(self, handler: Callable[[], None]) -> None:
        try:
            handler()
        except Exception:  # whatever it is: without this thread no stage is ever heard again, and a stop never ends
            _log.exception("links_failed")

    def _watch(self, socket: Socket, handler: Callable[[], None], events: int = zmq.POLLIN) -> None:
        self._handlers[socket] = handler
        self._poller.register(socket, events)

    def _unwatch(self, socket: Socket) -> None:
        if self._handlers.pop(socket, None) is not None:
            self._poller.unregister(socket)

    def _end(self) -> None:
        self._running = False

    def _obey(self) -> None:
        self._woken.recv()
        self._commands.popleft()()

    def _add(self, name: LinkId, link: _Link) -> None:
        self._links[name] = link
        self._watch(link.results, lambda: self._receive(name, link.results, self._result))
        self._watch(link.reports, lambda: self._receive(name, link.reports, self._report))

    def _remove(self, name: LinkId) -> None:
        link = self._links.pop(name, None)
        for socket in link.sockets if link else ():
            self._unwatch(socket)
            socket.close(0)

    def _flush(self, link: LinkId, sender: _Sender) -> None:
        if link not in self._links:
            return  # closed meanwhile
        if sender.flush():
            self._unwatch(sender.socket)
        else:
            self._watch(sender.socket, lambda: self._flush(link, sender), zmq.POLLOUT)

    def _receive(self, name: LinkId, socket: Socket, decode: Callable[[bytes], M]) -> None:
        try:
            message = decode(socket.recv(zmq.NOBLOCK))
        except zmq.Again:
            return
        except msgspec.DecodeError as error:
            stage, replica, epoch = name
            _log.error("unreadable_message", stage=stage, replica=replica, epoch=epoch, reason=str(error))
            return
        self._deliver(name, message)

    def _answer_zap(self) -> None:
        version, request, domain, _address, _identity, _mechanism, *credentials = self._zap.recv_multipart()
        allowed = self._allowed.get(domain.decode(errors="replace"))
        known = len(credentials) == 1 and zmq.utils.z85.encode(credentials[0]) == allowed
        code, text = (b"200", b"OK") if known else (b"400", b"unknown key")
        self._zap.send_multipart([version, request, code, text, b"", b""])


def _domain(link: LinkId) -> str:
    return ".".join(map(str, link))
