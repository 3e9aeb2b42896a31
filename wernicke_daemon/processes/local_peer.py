"""Processes of stages on this machine, each with sockets and keys of its own."""

import os
from collections.abc import Callable

import msgspec
import structlog
import zmq

from ipc import channels, codec
from ipc.channels import Boot, KeyPair
from ipc.messages import FromStage, Incoming, Job, ToStage
from wernicke_daemon.processes import process_tree, threads
from wernicke_daemon.processes.child import Child
from wernicke_daemon.processes.links import LinkId, Links
from wernicke_daemon.processes.peer import Events, Identity, NotLaunched
from wernicke_daemon.processes.stage_setup import StageSetup

_log = structlog.get_logger()

DECODERS = (codec.decode_incoming, codec.decode_from_stage)
"""Of what a stage process sends over its two channels."""


class LocalPeer:
    """Started by making one."""

    def __init__(
        self,
        who: Identity,
        setup: StageSetup,
        links: Links[Incoming | FromStage],
        events: Events,
        on_close: Callable[[Identity], None],
    ) -> None:
        """Raises OSError and ZMQError."""
        self._who = who
        self._links = links  # where it has its sockets
        self._on_close = on_close
        boot = msgspec.msgpack.encode(_boot(who, setup, links, channels.new_keys()))
        arguments = ["-m", "stages.process.runner", who.stage]
        variables = threads.variables(setup.threads)
        self._child = Child.start(arguments, boot, events.on_exit, events.on_line, variables)

    @property
    def pid(self) -> int:
        return self._child.pid

    def send_work(self, job: Job) -> None:
        self._links.send_work(self._who, job)

    def send_order(self, order: ToStage) -> None:
        self._links.send_order(self._who, order)

    def cpu_s(self) -> float | None:
        return self._child.cpu_s()

    def kill(self) -> None:
        self._child.kill()

    def close(self) -> None:
        self._on_close(self._who)
        if lines := self._child.dropped_lines:
            _log.warning("stage_lines_dropped", **self._who._asdict(), lines=lines)


class LocalPeers:
    """Has the sockets of all processes here."""

    def __init__(self) -> None:
        self._links = Links[Incoming | FromStage](self._deliver, *DECODERS)
        self._events: dict[LinkId, Events] = {}  # who hears of each process that is not closed

    def start(self, who: Identity, setup: StageSetup, events: Events) -> LocalPeer:
        """Raises NotLaunched."""
        self._events[who] = events
        try:
            return LocalPeer(who, setup, self._links, events, self._close)
        except (OSError, zmq.ZMQError) as error:
            self._close(who)
            raise NotLaunched(str(error)) from None

    def stop(self) -> None:
        self._links.stop()

    def _close(self, who: Identity) -> None:
        self._links.close(who)
        del self._events[who]

    def _deliver(self, who: LinkId, message: Incoming | FromStage) -> None:
        """On the links' thread."""
        if (events := self._events.get(who)) is not None:
            events.on_message(message)


def _boot(who: Identity, setup: StageSetup, links: Links[Incoming | FromStage], keys: KeyPair) -> Boot:
    """keys: of this process alone, which are let in from now on."""
    at = links.open(who, keys)
    return Boot(
        stage=who.stage,
        replica=who.replica,
        epoch=who.epoch,
        parent_pid=os.getpid(),
        parent_fd=process_tree.parent_pipe(),
        work=at.work,
        results=at.results,
        orders=at.orders,
        reports=at.reports,
        server_key=links.server_key,
        keys=keys,
        heartbeat_s=setup.heartbeat_s,
        load_limit_s=setup.limits.load_s,
    )
