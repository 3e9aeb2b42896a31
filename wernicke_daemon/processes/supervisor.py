"""All stage processes: started together or one by one, watched, stopped together."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import structlog

from ipc.errors import WernickeError
from ipc.messages import STAGES, FromStage, Incoming, StageName
from wernicke_daemon.dispatch.stage_port import StageListener, StagePort
from wernicke_daemon.hardware.load import MachineLoad
from wernicke_daemon.processes import threads
from wernicke_daemon.processes.incarnation import StageSetup
from wernicke_daemon.processes.links import LinkId, Links
from wernicke_daemon.processes.restart_policy import RestartPolicy
from wernicke_daemon.processes.supervised_stage import SupervisedStage

_log = structlog.get_logger()

CHECK_EVERY_S = 0.25

SLOWEST_FIRST: tuple[StageName, ...] = ("asr", "diarization", "correction", "ingest")
"""To load, so that these begin first."""


class StartFailed(WernickeError):
    """A stage can't be started; the message names the ways out."""

    code = "START_FAILED"


class Supervisor:
    """`ports`: the stages, as all others see them. Made and used on the event loop's (main) thread."""

    def __init__(
        self,
        setup: StageSetup,
        new_policy: Callable[[], RestartPolicy],
        listener: StageListener,
        on_line: Callable[[StageName, bytes], None],
        job_at_death: Callable[[StageName], int | None],
        names: tuple[StageName, ...] = STAGES,
        standby: tuple[StageName, ...] = (),
        progress: Callable[[StageName], int] = lambda stage: 0,
    ) -> None:
        """new_policy: for each stage its own. listener, on_line, job_at_death, progress: as of SupervisedStage. names:
        the stages to run. standby: those of which a loaded spare is kept."""
        self._loop = asyncio.get_running_loop()
        self._links = Links(self._from_links)
        self._checking: asyncio.Task[None] | None = None
        self._connecting: list[asyncio.Task[None]] = []  # of the first start
        self._stages: dict[StageName, SupervisedStage] = {
            name: SupervisedStage(
                name,
                setup,
                self._links,
                new_policy(),
                listener,
                on_line,
                partial(job_at_death, name),
                partial(progress, name),
                name in standby,
            )
            for name in names
        }

    def _from_links(self, link: LinkId, message: Incoming | FromStage) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(self._received, link, message)

    def _received(self, link: LinkId, message: Incoming | FromStage) -> None:
        for stage in self._stages.values():
            if stage.stage == link[0]:
                stage.received(link[1], message)

    @property
    def ports(self) -> Mapping[StageName, StagePort]:
        return self._stages

    async def start(self) -> None:
        """Start every stage and wait until each is ready, as many at the same time as there are cores until they have
        connected: more of them take longer to import than one after another. Raises StartFailed if one has no usable
        engine."""
        self._watch()
        room = asyncio.Semaphore(threads.cores())
        for name in sorted(self._stages, key=SLOWEST_FIRST.index):
            await room.acquire()
            self._stages[name].start()
            self._connecting.append(asyncio.create_task(self._make_room(name, room)))
        for name in self._stages:
            await self._ready(name)

    async def _make_room(self, name: StageName, room: asyncio.Semaphore) -> None:
        await self._stages[name].connected.wait()
        room.release()

    async def start_one(self, name: StageName) -> None:
        """Start this stage and wait until it is ready. Raises StartFailed."""
        self._stages[name].start()
        await self._ready(name)

    def choose_again(self, name: StageName, why: str) -> None:
        """Have `auto` choose that stage's engine anew; what works goes on until the new one is loaded."""
        self._stages[name].choose_again(why)

    async def unload(self, names: Sequence[StageName]) -> None:
        """End their processes, and no other's, until `load`."""
        await asyncio.gather(*(self._stages[name].unload() for name in names))

    async def load(self, names: Sequence[StageName], one_by_one: bool) -> None:
        """Start those again that `unload` has ended. one_by_one: each once the one before is ready or has died."""
        for name in names:
            self._stages[name].load()
            if one_by_one:
                await self._stages[name].settled.wait()

    async def _ready(self, name: StageName) -> None:
        self._watch()
        stage = self._stages[name]
        await stage.decided.wait()
        if stage.unusable is not None:
            raise StartFailed(stage.unusable)

    def _watch(self) -> None:
        if self._checking is None:
            self._checking = asyncio.create_task(self._check())

    async def _check(self) -> None:
        """What a check is late by, this process was held up (the PC slept, say, or is busy): the stages are not to
        blame."""
        last, load = self._loop.time(), MachineLoad()
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            now = self._loop.time()
            late_s, last = max(0.0, now - last - CHECK_EVERY_S), now
            load.look()
            for stage in self._stages.values():
                try:
                    stage.pardon(late_s)
                    stage.check(now, load.busy)
                except Exception:  # whatever it is: without this loop no hang is ever noticed
                    _log.exception("check_failed", stage=stage.stage)

    async def stop(self) -> None:
        """Every process is gone when this returns, but one that can't be killed. Takes as long as a stage's stop."""
        for task in (self._checking, *self._connecting):
            if task is not None:
                task.cancel()
        await asyncio.gather(*(stage.stop() for stage in self._stages.values()))
        self._links.stop()
