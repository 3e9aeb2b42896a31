"""What a bridge does: it joins the cluster, takes orders, passes on what actors say, and watches what they all need."""

import asyncio
import threading
import traceback
from collections.abc import Callable
from functools import partial

import ray
import zmq
import zmq.asyncio

from ipc import channels, codec, event_loop
from ipc.arena import ArenaReader
from ipc.channels import Socket
from wernicke_daemon.cluster import placement
from wernicke_daemon.cluster.actor import Actor, Said
from wernicke_daemon.cluster.audio import SharedAudio
from wernicke_daemon.cluster.last_words import leave
from wernicke_daemon.cluster.messages import (
    Begin,
    BridgeBoot,
    FromBridge,
    Gone,
    Kill,
    Lost,
    ToBridge,
    Unreachable,
    decode_to_bridge,
)
from wernicke_daemon.processes.peer import Identity

CONNECT_S = 30.0
"""For the cluster to let it in. Ray itself would try for minutes."""

HEAD_S = 5.0
"""For the head to answer."""

LOOK_S = 1.0
"""Between two looks at it."""


def run(boot: BridgeBoot, reports: Socket) -> None:
    """reports: where all is said. Does not return."""
    join(boot.address, partial(leave, reports))
    event_loop.run(_Bridge(boot, reports).serve())


def join(address: str, give_up: Callable[[Unreachable], object]) -> None:
    """Be a driver of that cluster. give_up: called where there is none; does not return."""
    what = f"The Ray cluster at {address!r} ([ray] address) can't be reached"
    late = threading.Timer(CONNECT_S, give_up, [Unreachable(f"{what}: nothing answered within {CONNECT_S:.0f} s.")])
    late.daemon = True
    late.start()
    try:
        ray.init(address=address, logging_level="warning")
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        give_up(Unreachable(f"{what}: {str(error).splitlines()[0]}"))
    finally:
        late.cancel()


class _Bridge:
    """Has all actors, from Begin to Gone."""

    def __init__(self, boot: BridgeBoot, reports: Socket) -> None:
        self._address = boot.address
        self._arena = ArenaReader(boot.arena)
        self._audio = SharedAudio(self._arena)
        orders = channels.connect(reports.context, zmq.PULL, boot.link.work, boot.link)
        self._orders = zmq.asyncio.Socket.from_socket(orders)
        self._reports = reports
        self._actors: dict[Identity, Actor] = {}
        self._lives: dict[Identity, asyncio.Task[None]] = {}  # of each of them
        self._node = str(ray.get_runtime_context().get_node_id())  # the one whose part of Ray this process uses
        self._watching: asyncio.Task[None] | None = None  # of head and node

    async def serve(self) -> None:
        """Does not return."""
        self._watching = asyncio.create_task(self._watch())
        while True:
            self._obey(decode_to_bridge(await self._orders.recv()))

    def _obey(self, order: ToBridge) -> None:
        who, what = order.who, order.what
        if isinstance(what, Begin):
            self._actors[who] = Actor(who, what, self._arena, self._audio, partial(self._say, who))
            self._lives[who] = asyncio.create_task(self._live(who))
        elif who not in self._actors:
            return  # it has ended meanwhile, and that is said
        elif isinstance(what, Kill):
            self._lives[who].cancel()
        else:
            self._actors[who].told(what)

    async def _live(self, who: Identity) -> None:
        try:
            how = await self._actors[who].run()
        except asyncio.CancelledError:
            how = "was killed"
        except Exception as error:  # whatever it is: a replica whose end is not told is never started again
            traceback.print_exc()
            how = f"can't go on: {error}"
        del self._actors[who], self._lives[who]
        self._say(who, Gone(how))

    def _say(self, who: Identity, what: Said) -> None:
        self._reports.send(codec.encode(FromBridge(who, what)))

    async def _watch(self) -> None:
        while True:
            if (lost := await self._what_is_lost()) is not None:
                leave(self._reports, Lost(f"was lost: {lost}"))
            await asyncio.sleep(LOOK_S)

    async def _what_is_lost(self) -> str | None:
        """Of what all actors need."""
        try:
            async with asyncio.timeout(HEAD_S):
                nodes = await asyncio.to_thread(ray.nodes)
        except Exception:
            return f"the head of Ray's cluster at {self._address} does not answer"
        return None if placement.is_up(self._node, nodes) else "this machine is no node of Ray's cluster any more"
