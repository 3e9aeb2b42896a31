"""All stage processes: started together or one by one, watched, stopped together."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import structlog

from ipc.messages import StageName
from wernicke_daemon.dispatch.stage_port import StageListener, StagePort
from wernicke_daemon.hardware.load import MachineLoad
from wernicke_daemon.processes import threads
from wernicke_daemon.processes.place import Place
from wernicke_daemon.processes.pool import Pool
from wernicke_daemon.processes.restart_policy import RestartPolicy
from wernicke_daemon.processes.supervised_stage import SupervisedStage

_log = structlog.get_logger()

CHECK_EVERY_S = 0.25

SLOWEST_FIRST: tuple[StageName, ...] = ("asr", "diarization", "correction", "ingest")
"""To load, so that these begin first."""


class Supervisor:
    """`ports`: the stages, as all others see them. Made and used on the event loop's (main) thread."""

    def __init__(
        self,
        places: Mapping[StageName, Sequence[Place]],
        new_policy: Callable[[], RestartPolicy],
        listener: StageListener,
        on_line: Callable[[StageName, int, bytes], None],
        standby: tuple[StageName, ...] = (),
    ) -> None:
        """places: the stages to run, with where each of their replicas runs. new_policy: for each replica its own.
        listener, on_line: as of SupervisedStage. standby: the stages each of whose replicas has a loaded spare."""
        self._checking: asyncio.Task[None] | None = None
        self._connecting: list[asyncio.Task[None]] = []  # of the first start
        self._peers = dict.fromkeys(place.peers for those in places.values() for place in those)  # where processes run
        self._pools = {
            name: Pool(
                name,
                [
                    SupervisedStage(name, number, place, new_policy(), listener, on_line, name in standby)
                    for number, place in enumerate(those)
                ],
            )
            for name, those in places.items()
        }

    @property
    def ports(self) -> Mapping[StageName, StagePort]:
        return self._pools

    def replicas(self, name: StageName) -> Sequence[SupervisedStage]:
        return self._pools[name].replicas

    @property
    def _all(self) -> list[SupervisedStage]:
        return [replica for pool in self._pools.values() for replica in pool.replicas]

    async def start(self) -> None:
        """Start every stage and wait until each is ready (see Pool.started), as many processes at the same time as
        there are cores until they have connected: more of them take longer to import than one after another. Raises
        StartFailed if a stage has no usable engine."""
        self._watch()
        room = asyncio.Semaphore(threads.cores())
        for replica in sorted(self._all, key=lambda one: (one.replica, SLOWEST_FIRST.index(one.stage))):
            await room.acquire()
            replica.start()
            self._connecting.append(asyncio.create_task(self._make_room(replica, room)))
        for pool in self._pools.values():
            await pool.started()

    @staticmethod
    async def _make_room(replica: SupervisedStage, room: asyncio.Semaphore) -> None:
        await replica.connected.wait()
        room.release()

    async def start_one(self, replica: SupervisedStage) -> None:
        """Start it; wait until it is ready or has died, and with the last of a stage until that has started (see
        Pool.started). Raises StartFailed."""
        self._watch()
        replica.start()
        await replica.settled.wait()
        pool = self._pools[replica.stage]
        if replica is pool.replicas[-1]:
            await pool.started()

    def choose_again(self, name: StageName, why: str) -> None:
        """Have `auto` choose an engine anew where it found none for that stage; what works goes on until the new one is
        loaded."""
        self._pools[name].choose_again(why)

    async def unload(self, names: Sequence[StageName]) -> None:
        """End their processes, and no other's, until `load`."""
        await asyncio.gather(*(self._pools[name].unload() for name in names))

    async def load(self, names: Sequence[StageName], one_by_one: bool) -> None:
        """Start those again that `unload` has ended. one_by_one: each once the one before is ready or has died."""
        for name in names:
            await self._pools[name].load(one_by_one)

    def _watch(self) -> None:
        if self._checking is None:
            self._checking = asyncio.create_task(self._check())

    async def _check(self) -> None:
        """What a check is late by, this process was held up (the PC slept, say, or is busy): the stages are not to
        blame."""
        loop = asyncio.get_running_loop()
        last, load = loop.time(), MachineLoad()
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            now = loop.time()
            late_s, last = max(0.0, now - last - CHECK_EVERY_S), now
            load.look()
            for replica in self._all:
                try:
                    replica.pardon(late_s)
                    replica.check(now, load.busy)
                except Exception:  # whatever it is: without this loop no hang is ever noticed
                    _log.exception("check_failed", stage=replica.stage, replica=replica.replica)

    async def stop(self) -> None:
        """Every process is gone when this returns, but one that can't be killed. Takes as long as a stage's stop."""
        for task in (self._checking, *self._connecting):
            if task is not None:
                task.cancel()
        await asyncio.gather(*(replica.stop() for replica in self._all))
        for peers in self._peers:
            peers.stop()
