"""The whole daemon, put together: what is started in which order, and stopped in which.

Start: log → limit on open files → job object → shared memory left by the dead is swept → store, journal, arena → port
(a taken one is the commonest reason not to start, and found in milliseconds) → stages → sessions are taken.
Stop: sessions end and drain while every stage still runs. Then nothing is under way any more, and side by side, so
that none waits for another's time limit: clients get the last results and are told goodbye; stages end, then the arena
goes; journal and store are closed. Log last, so that it can tell.
"""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path

import structlog

from ipc import gpu, shared_memory
from ipc.errors import WernickeError
from ipc.messages import StageName
from ipc.settings import LlmSettings, StageSettings
from wernicke_daemon.backend import Pipeline
from wernicke_daemon.config.schema import Config, stage_settings
from wernicke_daemon.gateway.server import Gateway
from wernicke_daemon.hardware import budget, descriptors
from wernicke_daemon.hardware.keep_awake import KeepAwake
from wernicke_daemon.hardware.profiles import ProfileChoice
from wernicke_daemon.hardware.watch import HardwareWatch
from wernicke_daemon.observability import logs
from wernicke_daemon.observability.figures import Figures
from wernicke_daemon.processes import process_tree, start_order
from wernicke_daemon.processes.start_order import Loaded, load_in_order
from wernicke_daemon.processes.supervisor import Supervisor
from wernicke_daemon.records import transcript_file
from wernicke_daemon.records.journal import Journal
from wernicke_daemon.records.recovery import finish_leftovers
from wernicke_daemon.records.store import NoStore, ResultStore, Store
from wernicke_daemon.sessions.ingest_tick import IngestTick
from wernicke_daemon.sessions.recorder import Recorder
from wernicke_daemon.sessions.registry import SessionRegistry
from wernicke_daemon.status import Status

_log = structlog.get_logger()

PROGRESS_EVERY_S = 0.5


class NoSharedMemory(WernickeError):
    """The machine has too little of it for the configured rings."""

    code = "NO_SHARED_MEMORY"


class NoLog(WernickeError):
    """There is no place for the log, and so for nothing else that is kept."""

    code = "START_FAILED"


class Daemon:
    """`port`: the bound one. `status`: what is known of it. `store`: where results are kept.
    `recovery`: done when everything that a killed daemon left is finished."""

    def __init__(self, config: Config, settings: StageSettings | None = None) -> None:
        """settings: for the stages, instead of config's. Raises NoSharedMemory and what a store and TLS files may."""
        self._config = config
        figures = Figures()
        self._hardware = HardwareWatch()
        self.store = _open_store(config)
        self._journal = _open_journal(config)
        self.status = Status(figures, self.store, self._journal, self._hardware)
        try:
            self.pipeline = Pipeline(
                config,
                settings or stage_settings(config),
                logs.StageLines(),
                figures.job,
                self.status.stage_changed,
                self.status.shed_changed,
            )
        except OSError as error:
            raise NoSharedMemory(
                f"There is too little shared memory for {config.rings} rings of "
                f"{config.audio.ring_seconds:.0f} s ({error.strerror}); make /dev/shm larger, or lower "
                "audio.ring_seconds or max_connections."
            ) from None
        recorder = Recorder(figures, self.store, self._journal, config.logging.log_text)
        feed = IngestTick(self.pipeline.examine, config.vad.tick_ms / 1000)
        self.sessions = SessionRegistry(config, self.pipeline.arena, feed, self.pipeline, recorder)
        self.gateway = Gateway(config, self.sessions, recorder, self.status)
        self.status.connect(self.pipeline.ports, self.pipeline.dispatcher, self.sessions, self.gateway)
        self._feed = feed
        self._feeding: asyncio.Task[None] | None = None
        self._awake: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self.recovery: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        return self.gateway.port

    async def start(self, progress: Callable[[str], None]) -> None:
        """Sessions are taken from now on. Raises PortTaken or StartFailed."""
        await self.gateway.open()
        await self._hardware.look_at_card()
        telling = asyncio.create_task(self._tell(progress))
        try:
            taken = await self._load(progress)
        finally:
            telling.cancel()
            await asyncio.wait([telling])
        for line in taken:
            progress(line)
        self._feeding = asyncio.create_task(self._feed.run())
        if self._journal is not None:
            leftovers = finish_leftovers(self._journal, self.sessions.take_up, lambda: self.store.healthy)
            self.recovery = asyncio.create_task(leftovers)
        self._watching = asyncio.create_task(self._watch())
        self._awake = asyncio.create_task(KeepAwake().run(lambda: self.gateway.active))
        self.gateway.ready = True
        self.status.serving()
        _log.info("ready", port=self.port, engines=self.status.engines()[0], models=self.pipeline.models())

    async def _load(self, progress: Callable[[str], None]) -> list[str]:
        """On a graphics card one model after another, or of none could be told what it takes. Returns that as lines."""
        if self._hardware.card is None:
            await self.pipeline.start()
            return []
        loaded: list[Loaded] = []

        async def in_order(supervisor: Supervisor) -> None:
            loaded.extend(await load_in_order(supervisor, gpu.free_mib, progress))

        await self.pipeline.start(in_order)
        await self._hardware.look_at_card()
        return start_order.table(budget.needs(self._config), loaded, self._hardware.card)

    async def stop(self) -> None:
        """Within `runtime.drain_timeout_s` and 2 s, unless the disk does not answer."""
        if self.recovery is not None:
            self.recovery.cancel()  # what it is at stays in the journal for the next start
            await asyncio.wait([self.recovery])
        await self.gateway.drain(self._config.runtime.drain_timeout_s)
        for task in (self._feeding, self._watching, self._awake):
            if task is not None:
                task.cancel()
        await asyncio.gather(self.gateway.close(), self.pipeline.stop(), self._close_journal(), self.store.close())
        _log.info("stopped")

    async def _close_journal(self) -> None:
        if self._journal is not None:
            await asyncio.to_thread(self._journal.close)

    async def _watch(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._hardware.watch_card())
            tasks.create_task(self._watch_ollama())

    async def _watch_ollama(self) -> None:
        """Where `auto` found nothing to correct with it chooses again once there is: both may be started at logon."""
        if self._config.correction.engine == "auto":
            again = partial(self.pipeline.supervisor.choose_again, "correction", "Ollama has come up")
            await self._hardware.await_ollama(self._config.llm, lambda: self._llm_in_use() is not None, again)
        if (llm := self._llm_in_use()) is not None:
            await self._hardware.watch_ollama(llm)

    def _llm_in_use(self) -> LlmSettings | None:
        return self._config.llm if self.pipeline.ports["correction"].status().engine == "ollama" else None

    async def _tell(self, progress: Callable[[str], None]) -> None:
        """What the stages are doing while they start, whenever it changes, and once more at the end."""
        told: dict[StageName, str] = {}
        try:
            while True:
                self._tell_changes(progress, told)
                await asyncio.sleep(PROGRESS_EVERY_S)
        finally:
            self._tell_changes(progress, told)

    def _tell_changes(self, progress: Callable[[str], None], told: dict[StageName, str]) -> None:
        for name, port in self.pipeline.ports.items():
            doing = port.status().doing
            if told.get(name) != doing:
                told[name] = doing
                progress(f"{name}: {doing}")


def _open_store(config: Config) -> ResultStore:
    """Raises WernickeError where the data directory can't be written."""
    store: ResultStore = NoStore()
    if config.store.enabled:
        store = Store(config.data_path / transcript_file.FILE_NAME, config.store.retention_days)
    store.open()
    return store


def _open_journal(config: Config) -> Journal | None:
    """None without a store, too: audio is journalled to be finished into it, and would else be a trace for nothing."""
    directory = config.data_path / "journal"
    if config.store.enabled and config.journal.enabled:
        return Journal(directory, config.journal.max_mib)
    _tell_what_earlier_runs_left(config, directory)
    return None


def _tell_what_earlier_runs_left(config: Config, journal: Path) -> None:
    """What is switched off is not deleted with it: it may be all that there is of a meeting, and so is its owner's to
    delete, who has to know of it."""
    left = sorted(journal.parent.glob(f"{Path(transcript_file.FILE_NAME).stem}*")) if not config.store.enabled else []
    if any(journal.glob("*/")):
        left.append(journal)
    if left:
        _log.warning("not_deleted", paths=[str(path) for path in left])


@contextlib.asynccontextmanager
async def running(
    config: Config,
    progress: Callable[[str], None],
    settings: StageSettings | None = None,
    choice: ProfileChoice | None = None,
) -> AsyncIterator[Daemon]:
    """A daemon that takes sessions, until the block ends. progress: told what it does while it starts. settings: for
    the stages, instead of config's. choice: how config's profile was chosen, for the log.

    Raises WernickeError with one sentence where it can't start.
    """
    try:
        listener = logs.start(config.logging, config.log_path)
    except OSError as error:
        raise NoLog(
            f"The log can't be written to {config.log_path.parent} ({error.strerror}); choose another runtime.data_dir."
        ) from None
    try:
        if choice is not None:
            _log.info("profile", profile=choice.profile, why=choice.why)
        descriptors.raise_limit()
        process_tree.adopt_current_process()
        for name in shared_memory.sweep():
            _log.info("swept", segment=name)
        daemon = Daemon(config, settings)
        try:
            await daemon.start(progress)
            with _loaded_objects_out_of_collections():
                yield daemon
        finally:
            await daemon.stop()
    finally:
        listener.stop()


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
