"""The whole daemon, put together: what is made of what, started in which order, and stopped in the reverse.

Log → limit on open files → job object → shared memory left by the dead → store, journal, arena → port → stages →
sessions. Where each step is taken a comment says why there.
"""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import partial
from typing import Any

import structlog

from ipc import gpu, shared_memory
from ipc.errors import WernickeError
from ipc.settings import StageSettings
from wernicke_daemon.backend import Pipeline
from wernicke_daemon.config.schema import Config, stage_settings
from wernicke_daemon.dispatch.stage_port import State
from wernicke_daemon.gateway.server import Gateway
from wernicke_daemon.hardware import budget, descriptors, sleep_watch
from wernicke_daemon.hardware.keep_awake import KeepAwake
from wernicke_daemon.hardware.profiles import ProfileChoice
from wernicke_daemon.hardware.watch import HardwareWatch
from wernicke_daemon.idle_unload import IdleUnload
from wernicke_daemon.models import ollama_placement
from wernicke_daemon.observability import logs
from wernicke_daemon.observability.figures import Figures
from wernicke_daemon.processes import process_tree, start_order
from wernicke_daemon.processes.start_order import Loaded, load_in_order
from wernicke_daemon.processes.supervisor import Supervisor
from wernicke_daemon.records import voices_file
from wernicke_daemon.records.opening import OnDisk, open_on_disk
from wernicke_daemon.records.recovery import finish_leftovers
from wernicke_daemon.records.voices_file import VoicesFile
from wernicke_daemon.sessions.ingest_tick import IngestTick
from wernicke_daemon.sessions.late_work import LateWork
from wernicke_daemon.sessions.people import People
from wernicke_daemon.sessions.recorder import Recorder
from wernicke_daemon.sessions.registry import Drained, SessionRegistry
from wernicke_daemon.status import Status
from wernicke_daemon.web_launch import WebLaunch

_log = structlog.get_logger()


class NoSharedMemory(WernickeError):
    """The machine has too little of it for the configured rings."""

    code = "NO_SHARED_MEMORY"


class NoLog(WernickeError):
    """There is no place for the log, and so for nothing else that is kept."""

    code = "START_FAILED"


class Daemon:
    """Made, started and stopped by `running`."""

    def __init__(
        self, config: Config, on_disk: OnDisk, settings: StageSettings | None = None, pages: bool = False
    ) -> None:
        """on_disk: closed by `stop`. settings: for the stages, instead of config's. pages: see `running`. Raises
        NoSharedMemory."""
        self._config = config  # as started
        # What is told of the run, and where from.
        figures = Figures()
        self._hardware = HardwareWatch()  # of the card and of Ollama
        self._on_disk = on_disk  # store and journal, closed by `stop`
        self.store, self._journal = on_disk  # results; received audio, None where it is not kept
        # who is known by voice; closed by `stop`
        self._people = People(VoicesFile(config.data_path / voices_file.FILE_NAME), config.voices.remember)
        recorder = Recorder(figures, self.store, self._journal, config.logging.log_text, people=self._people)
        # Each part knows those before it; the status is connected with those that need it to be made.
        self.status = Status(figures, self.store, self._journal, self._hardware)
        self.pipeline = self._pipeline(figures, settings or stage_settings(config))  # stages, and their work
        # has new audio examined
        self._ticks = IngestTick(self.pipeline.bench.examine, config.vad.tick_ms / 1000, figures.vad_lag_ms.add)
        # those that are not over
        self.sessions = SessionRegistry(config, self.pipeline.arena, self._ticks, self.pipeline.bench, recorder)
        # does what was given up while the recogniser was down; None without a journal
        self._late = self._late_work(recorder)
        self._postponed = recorder.postponed  # what waits for the recogniser to be back
        # Unloads the models while nobody needs them; None where they stay.
        self._idle: IdleUnload | None = None
        # the process with the pages for browsers
        self.web = WebLaunch(config, wanted=pages)
        # where clients connect
        self.gateway = Gateway(self.web.letting_in(), self.sessions, recorder, self.status, self._models_needed)
        self.status.connect(self.pipeline.ports, self.pipeline.dispatcher, self.sessions, self.gateway)
        # What goes on by itself while sessions are taken.
        self.drain_timeout_s = config.runtime.drain_timeout_s  # of the stop; less where the system allows less
        self.drained: Drained | None = None  # what became of the sessions; None before the stop
        self._tasks: list[asyncio.Task[None]] = []
        # What was given up while the recogniser was down; runs as soon as there may be something of it.
        self._doing_late: asyncio.Task[None] | None = None
        # Done when everything that a killed daemon left is finished; None before the start, and without a journal.
        self.recovery: asyncio.Task[None] | None = None

    def _late_work(self, recorder: Recorder) -> LateWork | None:
        """None without a journal: nothing is kept then to be done later."""
        if self._journal is None:
            return None
        pipeline, language, voices = self.pipeline, self._config.asr.language, self.sessions.voices_left

        def recognises() -> bool:
            return pipeline.dispatcher.recognises

        return LateWork(pipeline.arena, pipeline.bench, recognises, self._journal, recorder, language, voices)

    def _pipeline(self, figures: Figures, settings: StageSettings) -> Pipeline:
        """Raises NoSharedMemory."""
        config, status = self._config, self.status
        lines = logs.StageLines()
        try:
            return Pipeline(
                config, settings, lines, figures.job, status.stage_changed, status.shed_changed, status.slow_changed
            )
        except OSError as error:
            raise NoSharedMemory(
                f"There is too little shared memory for {config.rings} rings of "
                f"{config.audio.ring_seconds:.0f} s ({error.strerror}); make /dev/shm larger, or lower "
                "audio.ring_seconds or max_connections."
            ) from None

    @property
    def port(self) -> int:
        """The bound one."""
        return self.gateway.port

    async def start(self, progress: Callable[[str], None]) -> None:
        """Sessions are taken from now on. Raises CanNotListen or StartFailed."""
        # A taken port is the commonest reason not to start, and found in milliseconds; models may take minutes.
        await self.gateway.open()
        # Beside all else: pages can tell of the start, which may take minutes.
        self.web.start(self.port, logs.StageLines().of_web)
        self.gateway.web_port = self.web.port
        # How the stages are started depends on it.
        await self._hardware.look_at_cards()
        async with start_order.telling(self.pipeline.ports, progress):
            taken = await self._load(progress)
        for line in taken:
            progress(line)
        # Only now is there somebody who hears what is received.
        self._beside(self._ticks.run())
        # What a killed daemon left is finished beside the service: nobody waits for it.
        if self._journal is not None and self._late is not None:
            leftovers = finish_leftovers(self._journal, self.sessions.take_up, lambda: self.store.healthy, self._late)
            self.recovery = asyncio.create_task(leftovers)
            self._doing_late = asyncio.create_task(self._late.run())
        self._beside(self._watch_hardware())
        if self._config.runtime.idle_unload_s > 0:
            self._idle = self._idle_unload()
            self._beside(self._idle.run())
        self._beside(sleep_watch.run(lambda gone: self.sessions.slept(gone.asleep_s)))
        self._beside(KeepAwake().run(lambda: self.gateway.active))
        # Clients that came before were told to try again.
        self.gateway.ready = True
        self.status.serving()
        _log.info("ready", port=self.port, engines=self.status.engines()[0], models=self.pipeline.models())

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work))

    async def _load(self, progress: Callable[[str], None]) -> list[str]:
        """On a graphics card one model after another, or of none could be told what it takes. Returns that as lines."""
        if self._hardware.card is None:
            await self.pipeline.start()
            return []
        loaded: list[Loaded] = []

        async def in_order(supervisor: Supervisor) -> None:
            loaded.extend(await load_in_order(supervisor, gpu.free_mib, progress))

        await self.pipeline.start(in_order)
        await self._hardware.look_at_cards()
        return start_order.table(budget.needs(self._config), loaded, self._hardware.cards)

    def _idle_unload(self) -> IdleUnload:
        return IdleUnload(
            self._config.runtime.idle_unload_s,
            self.pipeline.supervisor,
            self._busy,
            self._unload_llm,
            self.status.loads,
            lambda: self._hardware.card is not None,
        )

    def _models_needed(self) -> None:
        if self._idle is not None:
            self._idle.need()

    def _busy(self) -> bool:
        """A session is not over, with or without its client; or work is under way, or to be done, for none."""
        recovers = self.recovery is not None and not self.recovery.done()
        return any(self.sessions) or recovers or bool(self._postponed)

    async def _unload_llm(self) -> None:
        if self.pipeline.ports["correction"].status().engine == "ollama":
            llm = self._config.llm
            _log.info("llm_unloaded", model=llm.model, done=await ollama_placement.unload(llm.host, llm.model))

    async def _watch_hardware(self) -> None:
        """Where `auto` found nothing to correct with it chooses again once there is: both may be started at logon."""
        correction = self.pipeline.ports["correction"]
        again = partial(self.pipeline.supervisor.choose_again, "correction", "Ollama has come up")
        await self._hardware.watch(
            self._config.llm,
            in_use=lambda: {replica.engine for replica in correction.status().replicas} - {None} == {"ollama"},
            come=again if self._config.correction.engine == "auto" else None,
            rests=lambda: correction.status().state in (State.UNLOADED, State.STARTING),
        )

    async def stop(self) -> None:
        """The start backwards, as far as it came. Within `runtime.drain_timeout_s` and 2 s, unless the disk does not
        answer."""
        # What these are at stays in the journal for the next start.
        for task in (self.recovery, self._doing_late):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
        # No new clients; sessions end and get their results while every stage still runs, and ingest is fed.
        self.drained = await self.gateway.drain(self.drain_timeout_s)
        for task in self._tasks:
            task.cancel()
        # Nothing is under way any more. Side by side, or the time limit of one would add to those of another: clients
        # get the last results and are told goodbye; stages end, then shared memory goes; what is on disk is closed.
        people = asyncio.to_thread(self._people.close)
        await asyncio.gather(self.gateway.close(), self.pipeline.stop(), self._on_disk.close(), people, self.web.stop())
        _log.info("stopped")


@contextlib.asynccontextmanager
async def running(
    config: Config,
    progress: Callable[[str], None],
    settings: StageSettings | None = None,
    choice: ProfileChoice | None = None,
    pages: bool = False,
) -> AsyncIterator[Daemon]:
    """A daemon that takes sessions, until the block ends. progress: told what it does while it starts. settings: for
    the stages, instead of config's. choice: how config's profile was chosen, for the log. pages: whether there are
    those for browsers, if config says so.

    Raises WernickeError with one sentence where it can't start.
    """
    try:
        # First, and stopped last, so that it can tell of all the rest.
        listener = logs.start(config.logging, config.log_path)
    except OSError as error:
        raise NoLog(
            f"The log can't be written to {config.log_path.parent} ({error.strerror}); choose another runtime.data_dir."
        ) from None
    try:
        if choice is not None:
            _log.info("profile", profile=choice.profile, why=choice.why)
        # Before anything is opened, and before the first child is started.
        descriptors.raise_limit()
        process_tree.adopt_current_process()
        # Before the arena is made: there may be no room for two.
        for name in shared_memory.sweep():
            _log.info("swept", segment=name)
        daemon = await _made(config, settings, pages)
        try:
            await daemon.start(progress)
            with _loaded_objects_out_of_collections():
                yield daemon
        finally:
            await daemon.stop()
    finally:
        listener.stop()


async def _made(config: Config, settings: StageSettings | None, pages: bool) -> Daemon:
    """Where it can't be made, nothing stays open: the data directory can be used again at once."""
    on_disk = open_on_disk(config)
    try:
        return Daemon(config, on_disk, settings, pages)
    except BaseException:
        await on_disk.close()
        raise


@contextlib.contextmanager
def _loaded_objects_out_of_collections() -> Iterator[None]:
    """What is there when sessions are taken lives as long as the daemon. With it every full collection holds up
    this process for 50 ms, without it for less than one (docs/measurements.md)."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
