"""The stage's side of the control channel, in a thread of its own so that it never waits behind work.

The thread answers orders and sends heartbeats. What the main thread has to say it sends itself, by `report`, through a
socket of its own to the same endpoint; it listens on `stop_signal`.
"""

import queue
import threading
from collections import deque

import psutil
import zmq

from ipc import channels, clock, codec
from ipc.channels import Boot, Socket
from ipc.messages import Cancel, FromStage, GpuMemory, Heartbeat, Hello, Init, Stop, ToStage

MOST_CANCELLED = 100
"""Kept in mind: more than a stage is given at a time (`runtime.credit`). A job is never sent again after its cancel."""


class Control:
    """Talks to the supervisor: its orders are taken, reports are sent."""

    def __init__(self, context: zmq.Context[Socket], boot: Boot, pid: int) -> None:
        """pid: this process's, for HELLO."""
        # What heartbeats say of GPU memory; set by the main thread.
        self.gpu: GpuMemory | None = None
        self._context = context  # of all sockets of this process
        self._boot = boot  # endpoints, and how often it reports
        self._pid = pid  # this process's
        self._process = psutil.Process()  # to see its memory
        # Orders that the main thread asks for when it needs them.
        self._init: queue.SimpleQueue[Init] = queue.SimpleQueue()
        self._cancelled: deque[int] = deque(maxlen=MOST_CANCELLED)  # ids of jobs that nobody needs any more
        # Reports of the main thread. libzmq's own thread sends them, whatever the main thread does next.
        self._reports = channels.connect(context, zmq.PUSH, boot.reports, boot)
        # STOP, from the control thread to the main thread, which waits for it and for work at once.
        self._stop = context.socket(zmq.PUSH)
        self._stop.bind("inproc://stop")
        self.stop_signal = context.socket(zmq.PULL)  # what the main thread waits on
        self.stop_signal.connect("inproc://stop")
        threading.Thread(target=self._run, name="control", daemon=True).start()

    def wait_for_init(self) -> Init:
        return self._init.get()

    def report(self, message: FromStage) -> None:
        """From the main thread only."""
        self._reports.send(codec.encode(message))

    def was_cancelled(self, job_id: int) -> bool:
        """Whether the job need not be started, or gone on with."""
        return job_id in self._cancelled

    # --- on the control thread ---

    def _run(self) -> None:
        reports = channels.connect(self._context, zmq.PUSH, self._boot.reports, self._boot)
        orders = channels.connect(self._context, zmq.PULL, self._boot.orders, self._boot)
        reports.send(codec.encode(Hello(self._pid)))
        beat_s = self._boot.heartbeat_s
        next_beat = clock.monotonic() + beat_s
        while True:
            if orders.poll(max(0, int((next_beat - clock.monotonic()) * 1000))):
                self._obey(codec.decode_to_stage(orders.recv()))
            if clock.monotonic() >= next_beat:
                reports.send(codec.encode(self._heartbeat()))
                next_beat = clock.monotonic() + beat_s

    def _obey(self, order: ToStage) -> None:
        match order:
            case Init():
                self._init.put(order)
            case Cancel(job_id):
                self._cancelled.append(job_id)
            case Stop():
                self._stop.send(b"")

    def _heartbeat(self) -> Heartbeat:
        return Heartbeat(self._process.memory_info().rss / 1e6, self.gpu)
