"""Actors of a Ray cluster in the place of stage processes: the front's half.

Ray is in a process of its own, the *bridge* (`bridge.py`), which has an actor for each of these peers: a crash in Ray's
native code, or its own way of ending a process whose cluster is gone, takes no connection down. The bridge is started
with the first actor that is wanted, and again with the next one after its end; when it ends, all its actors have.
"""

import asyncio
import os
import re
import threading
from collections.abc import Callable
from functools import partial

import msgspec
import structlog
import zmq

from ipc import channels
from ipc.channels import Boot
from ipc.messages import STAGES, Job, StageName, ToStage, Unusable
from wernicke_daemon.cluster.messages import (
    Begin,
    BridgeBoot,
    FromBridge,
    FromCluster,
    Gone,
    Kill,
    Lost,
    Share,
    ToBridge,
    Unreachable,
    decode_from_cluster,
)
from wernicke_daemon.processes import process_tree, threads
from wernicke_daemon.processes.child import Child
from wernicke_daemon.processes.exit_codes import told
from wernicke_daemon.processes.links import LinkId, Links
from wernicke_daemon.processes.peer import Events, Identity, NotLaunched
from wernicke_daemon.processes.stage_setup import StageSetup

MODULE = "wernicke_daemon.cluster.bridge"

KILL_PATIENCE_S = 5.0
"""For the bridge to say that an actor is gone that was to be killed. It does not wait for the actor: where it says
nothing it hangs, and is killed itself."""

GONE_S = 2.0
"""For a killed bridge to be gone at a stop."""

_PREFIX = re.compile(rb"(?:\x1b\[\d+m)?\((%s)\.(\d+)\.(\d+) [^)]*\)(?:\x1b\[0m)? " % "|".join(STAGES).encode())
"""What Ray puts before a line of an actor: its repr, pid and address, in a colour."""


_log = structlog.get_logger()


class RayPeer:
    """An actor. Made by RayPeers."""

    def __init__(
        self, who: Identity, events: Events, bridge: LinkId, order: Callable[[ToBridge], None], end: Callable[[], None]
    ) -> None:
        """bridge: that has it. order: tells it something. end: kills it, with all its actors."""
        self.events = events
        self.bridge = bridge
        self._who = who
        self._order = order
        self._end_bridge = end
        self._insisting: asyncio.TimerHandle | None = None  # from a kill on, until it is gone

    @property
    def pid(self) -> None:
        """It is on another machine, or may be."""
        return None

    def send_work(self, job: Job) -> None:
        self._order(ToBridge(self._who, job))

    def send_order(self, order: ToStage) -> None:
        self._order(ToBridge(self._who, order))

    def cpu_s(self) -> None:
        """Not known: its limits are by the clock on the wall."""
        return None

    def kill(self) -> None:
        self._order(ToBridge(self._who, Kill()))
        if self._insisting is None:
            self._insisting = asyncio.get_running_loop().call_later(KILL_PATIENCE_S, self._end_bridge)

    def close(self) -> None:
        if self._insisting is not None:
            self._insisting.cancel()


class RayPeers:
    """Starts actors. Used on the event loop's (main) thread, but for what is told on others."""

    def __init__(self, address: str, arena: str, share: Callable[[StageName, StageSetup], Share]) -> None:
        """address: of the cluster, as in config.toml. arena: geometry for ArenaReader. share: what Ray is asked for,
        for an actor."""
        self._address = address
        self._arena = arena
        self._share = share
        self._links = Links[FromCluster](self._deliver, decode_from_cluster, decode_from_cluster)
        self._last: LinkId = ("ray", 0, 0)  # the bridge that was started last, by its number
        self._child: Child | None = None  # its process
        self._lock = threading.Lock()  # of the two that follow
        self._peers: dict[Identity, RayPeer] = {}  # those that are not gone
        self._current: LinkId | None = None  # the bridge that gets actors; None where one is to be started first

    def start(self, who: Identity, setup: StageSetup, events: Events) -> RayPeer:
        """Raises NotLaunched."""
        bridge = self._current or self._start_bridge()
        peer = RayPeer(who, events, bridge, partial(self._links.send_work, bridge), partial(self._kill, bridge))
        with self._lock:
            if self._current != bridge:
                raise NotLaunched("the bridge to Ray has ended at once")
            self._peers[who] = peer
        share = self._share(who.stage, setup)
        begin = Begin(share, threads.variables(share.cpus), setup.heartbeat_s, setup.limits.load_s)
        self._links.send_work(bridge, ToBridge(who, begin))
        return peer

    def stop(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.wait(GONE_S)
        self._links.stop()

    def _kill(self, bridge: LinkId) -> None:
        if self._child is not None and bridge == self._last:
            self._child.kill()

    def _start_bridge(self) -> LinkId:
        """Raises NotLaunched."""
        self._links.close(self._last)
        bridge = self._last = self._current = (*self._last[:2], self._last[2] + 1)
        try:
            boot = msgspec.msgpack.encode(self._boot(bridge))
            self._child = Child.start(["-m", MODULE], boot, partial(self._exited, bridge), self._printed)
        except (OSError, zmq.ZMQError) as error:
            self._current = None
            self._links.close(bridge)
            raise NotLaunched(f"the bridge to Ray: {error}") from None
        return bridge

    def _boot(self, bridge: LinkId) -> BridgeBoot:
        keys = channels.new_keys()
        at = self._links.open(bridge, keys)
        own = Boot(
            stage=bridge[0],
            replica=bridge[1],
            epoch=bridge[2],
            parent_pid=os.getpid(),
            parent_fd=process_tree.parent_pipe(),
            work=at.work,
            results=at.results,
            orders=at.orders,
            reports=at.reports,
            server_key=self._links.server_key,
            keys=keys,
            heartbeat_s=0.0,
            load_limit_s=0.0,
        )
        return BridgeBoot(own, self._address, self._arena)

    # --- on other threads ---

    def _deliver(self, bridge: LinkId, message: FromCluster) -> None:
        match message:
            case Lost(how):
                self._lost(bridge, how)
            case Unreachable(why):
                self._lost(bridge, "found no Ray cluster", Unusable(why))
            case FromBridge(who, said) if (peer := self._peers.get(who)) is not None:
                if isinstance(said, Gone):
                    self._gone(who, said.how)
                else:
                    peer.events.on_message(said)

    def _gone(self, who: Identity, how: str) -> None:
        with self._lock:
            peer = self._peers.pop(who, None)
        if peer is not None:
            peer.events.on_exit(how)

    def _exited(self, bridge: LinkId, code: int) -> None:
        self._lost(bridge, f"was lost with the bridge to Ray, which ended with {told(code)}")

    def _lost(self, bridge: LinkId, how: str, last_words: Unusable | None = None) -> None:
        """With all its actors. Told twice of one that says so itself, and then ends."""
        with self._lock:
            if self._current == bridge:
                self._current = None
            lost = [who for who, peer in self._peers.items() if peer.bridge == bridge]
            peers = [self._peers.pop(who) for who in lost]
        for peer in peers:
            if last_words is not None:
                peer.events.on_message(last_words)
            peer.events.on_exit(how)

    def _printed(self, line: bytes) -> None:
        """By an actor, which says so before it, or by anybody else."""
        whose = _PREFIX.match(line)
        peer = self._peers.get(_identity(whose)) if whose else None
        if whose is None or peer is None:
            _log.info("ray_output", text=line.decode(errors="replace"))
        else:
            peer.events.on_line(line[whose.end() :])


def _identity(prefix: re.Match[bytes]) -> Identity:
    stage, replica, epoch = prefix.groups()
    return Identity(msgspec.convert(stage.decode(), StageName), int(replica), int(epoch))
