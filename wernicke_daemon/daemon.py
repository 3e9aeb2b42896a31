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
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from ipc import gpu, segment
from ipc.errors import WernickeError
from ipc.messages import StageName
from ipc.settings import LlmSettings, StageSettings
from wernicke_daemon import descriptors, logs, process_tree, protocol
from wernicke_daemon.availability import REQUIRED
from wernicke_daemon.config import Config, stage_settings
from wernicke_daemon.gateway import Gateway
from wernicke_daemon.hardware import budget, loading
from wernicke_daemon.hardware.keep_awake import KeepAwake
from wernicke_daemon.hardware.loading import Loaded, load_in_order
from wernicke_daemon.hardware.profiles import Choice
from wernicke_daemon.hardware.watch import HardwareWatch
from wernicke_daemon.ingest_feed import IngestFeed
from wernicke_daemon.pipeline import Pipeline
from wernicke_daemon.records import transcripts
from wernicke_daemon.records.journal import Journal
from wernicke_daemon.records.recovery import finish_leftovers
from wernicke_daemon.records.store import NoStore, ResultStore, Store
from wernicke_daemon.reporter import Reporter
from wernicke_daemon.sessions import Sessions
from wernicke_daemon.stats import Stats
from wernicke_daemon.supervised_stage import State
from wernicke_daemon.supervisor import Supervisor

_log = structlog.get_logger()

PROGRESS_EVERY_S = 0.5
SHED_IN_ORDER = ("partials", "correction", "diarization")


class NoSharedMemory(WernickeError):
    """The machine has too little of it for the configured rings."""

    code = "NO_SHARED_MEMORY"


class NoLog(WernickeError):
    """There is no place for the log, and so for nothing else that is kept."""

    code = "START_FAILED"


class Daemon:
    """`port`: the bound one. `pipeline.supervisor.stages`: what runs. `store`: where results are kept.
    `recovery`: done when everything that a killed daemon left is finished."""

    def __init__(self, config: Config, settings: StageSettings | None = None) -> None:
        """settings: for the stages, instead of config's. Raises NoSharedMemory and what a store and TLS files may."""
        self._config = config
        self._stats = Stats()
        self._degraded: dict[tuple[str, str], protocol.Degraded] = {}
        self._hardware = HardwareWatch()
        self.store = _open_store(config)
        self._journal = _open_journal(config)
        try:
            self.pipeline = Pipeline(
                config,
                settings or stage_settings(config),
                logs.StageLines(),
                self._stats.job,
                self._stage_changed,
                self._shed_changed,
            )
        except OSError as error:
            raise NoSharedMemory(
                f"There is too little shared memory for {2 * config.max_connections} rings of "
                f"{config.audio.ring_seconds:.0f} s ({error.strerror}); make /dev/shm larger, or lower "
                "audio.ring_seconds or max_connections."
            ) from None
        reporter = Reporter(self._stats, self.store, self._journal, config.logging.log_text)
        feed = IngestFeed(self.pipeline.dispatcher.examine, config.vad.tick_ms / 1000)
        self.sessions = Sessions(config, self.pipeline.arena, feed, self.pipeline.submit, reporter)
        self.gateway = Gateway(config, self.sessions, reporter, self.health, self.stats, self.engines, self.lacking)
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
        for name, stage in self.pipeline.supervisor.stages.items():
            self._quality(name, protocol.DOWN, lacking=stage.state is not State.READY, waiting=0)
        _log.info("ready", port=self.port, engines=self.engines()[0], models=self.pipeline.models())

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
        return loading.table(budget.needs(self._config), loaded, self._hardware.card)

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
            correction = self.pipeline.supervisor.stages["correction"]
            again = partial(correction.choose_again, "Ollama has come up")
            await self._hardware.await_ollama(self._config.llm, lambda: self._llm_in_use() is not None, again)
        if (llm := self._llm_in_use()) is not None:
            await self._hardware.watch_ollama(llm)

    def _llm_in_use(self) -> LlmSettings | None:
        ready = self.pipeline.supervisor.stages["correction"].ready
        return self._config.llm if ready is not None and ready.engine == "ollama" else None

    def _gpu_stats(self) -> dict[str, Any] | None:
        stages = self.pipeline.supervisor.stages.values()
        return self._hardware.stats(stage.gpu for stage in stages if stage.gpu)

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
        for name, stage in self.pipeline.supervisor.stages.items():
            if told.get(name) != stage.doing:
                told[name] = stage.doing
                progress(f"{name}: {stage.doing}")

    def _stage_changed(self, stage: StageName, up: bool) -> None:
        if self.gateway.ready:
            waiting = self.pipeline.dispatcher.depth(stage)
            self._quality(stage, protocol.DOWN, lacking=not up, waiting=waiting)

    def _shed_changed(self, level: int) -> None:
        for at, what in enumerate(SHED_IN_ORDER, 1):
            self._quality(what, protocol.OVERLOAD, lacking=level >= at, waiting=self.pipeline.dispatcher.depth("asr"))

    def _quality(self, what: str, reason: str, lacking: bool, waiting: int) -> None:
        """Clients are told once when something begins to be lacking and once when it is back. Those who come between
        get it from `lacking`."""
        if lacking == ((what, reason) in self._degraded):
            return
        if lacking:
            since = protocol.utc_text(datetime.now(UTC).timestamp())
            self._degraded[what, reason] = protocol.Degraded(what, reason, since, waiting)
            self.sessions.broadcast("status", self._degraded[what, reason])
        else:
            del self._degraded[what, reason]
            self.sessions.broadcast("status", protocol.Restored(what, reason))

    # --- what is known of it ---

    def engines(self) -> tuple[dict[str, str], list[str]]:
        """Engine by stage with the reason it was chosen, and the stages that are down."""
        stages = self.pipeline.supervisor.stages
        engines: dict[str, str] = {name: f"{s.ready.engine} ({s.ready.why})" for name, s in stages.items() if s.ready}
        return engines, [name for name, s in stages.items() if s.state is not State.READY]

    def lacking(self) -> list[protocol.Degraded]:
        """What results lack at the moment, as clients were told when that began."""
        return list(self._degraded.values())

    def health(self) -> tuple[int, dict[str, Any]]:
        """HTTP status and the /health page."""
        stages = self.pipeline.supervisor.stages
        status = self._status()
        card = self._hardware.card
        page = {
            "status": status,
            "stages": {
                name: {
                    "state": s.state,
                    "pid": s.pid,
                    "restarts": s.deaths,
                    "why_down": s.why_down,
                    "engine": s.ready.engine if s.ready else None,
                    "doing": s.doing,
                }
                for name, s in stages.items()
            },
            "active_connections": self.gateway.active,
            "problems": self._problems(),
            "overload": self.pipeline.dispatcher.shed_level,
            "gpu_available": card is not None,
            "vram_free": card["free_mib"] if card else None,
        }
        return (200 if self._is_useful() else 503), page

    def _is_useful(self) -> bool:
        """Whether what is said now is being recognised."""
        stages = self.pipeline.supervisor.stages
        return self.gateway.ready and all(stages[name].state is State.READY for name in REQUIRED)

    def _status(self) -> str:
        stages = self.pipeline.supervisor.stages
        if not self.gateway.ready:
            return "starting"
        if any(stages[name].failed for name in REQUIRED):
            return "failed"
        whole = all(stage.state is State.READY for stage in stages.values()) and not self._degraded
        return "ok" if whole and not self._problems() else "degraded"

    def _problems(self) -> list[str]:
        """What is wrong with the disk, the date or the language model's memory; serving goes on all the same."""
        journal = self._journal.problem if self._journal else None
        found = (self.store.problem, self.store.postponed, journal, *self._hardware.problems)
        return [problem for problem in found if problem]

    def stats(self) -> dict[str, Any]:
        """The /stats page."""
        dispatcher = self.pipeline.dispatcher
        return {
            "active_sessions": self.gateway.active,
            **self._stats.summary(),
            "late_answers": dispatcher.late_answers,
            "sessions": [session.summary() for session in self.sessions],
            "stages": {
                name: {
                    "queue": dispatcher.depth(name),
                    "epoch": stage.epoch,
                    "restarts": stage.deaths,
                    "why_down": stage.why_down,
                    "state": stage.state,
                    "pid": stage.pid,
                    "spare_pid": stage.spare_pid,
                    "rss_mb": round(stage.rss_mb, 1),
                    "gpu_mib": None if stage.gpu is None else loading.own_mib(stage.gpu),
                    **self._stats.stage(name),
                }
                for name, stage in self.pipeline.supervisor.stages.items()
            },
            "gpu_stats": self._gpu_stats(),
        }


def _open_store(config: Config) -> ResultStore:
    """Raises WernickeError where the data directory can't be written."""
    store: ResultStore = NoStore()
    if config.store.enabled:
        store = Store(config.data_path / transcripts.FILE_NAME, config.store.retention_days)
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
    left = sorted(journal.parent.glob(f"{Path(transcripts.FILE_NAME).stem}*")) if not config.store.enabled else []
    if any(journal.glob("*/")):
        left.append(journal)
    if left:
        _log.warning("not_deleted", paths=[str(path) for path in left])


@contextlib.asynccontextmanager
async def running(
    config: Config,
    progress: Callable[[str], None],
    settings: StageSettings | None = None,
    choice: Choice | None = None,
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
        for name in segment.sweep():
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


def serve(config: Config, choice: Choice, *, announce: Callable[[str], None]) -> int:
    """Run until Ctrl-C or a signal to end. choice: how config's profile was chosen. Returns the exit status.

    Raises WernickeError where it can't start."""
    asyncio.run(_serve(config, choice, announce))
    return 0


async def _serve(config: Config, choice: Choice, announce: Callable[[str], None]) -> None:
    announce(f"Profile {choice.profile}: {choice.why}")
    stop = asyncio.Event()
    _stop_on_signals(stop)
    stopped = asyncio.create_task(stop.wait())
    async with contextlib.AsyncExitStack() as stack:
        starting = asyncio.create_task(stack.enter_async_context(running(config, announce, choice=choice)))
        await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():  # models may take minutes to load: nobody waits for that to stop
            starting.cancel()
            await asyncio.wait({starting})
            return
        _announce_ready(config, starting.result().port, announce)
        await stopped
        announce("Stopping: sending what is under way...")


def _announce_ready(config: Config, port: int, announce: Callable[[str], None]) -> None:
    if config.runtime.profile == "embedded":
        announce("The embedded engines are in use: English only.")
    scheme = "wss" if config.tls_files else "ws"
    announce(f"Ready: {scheme}://{config.host}:{port}/transcribe (Ctrl-C ends it)")


def _stop_on_signals(stop: asyncio.Event) -> None:
    """`loop.add_signal_handler` does not exist on Windows; `signal.signal` does everywhere."""
    loop = asyncio.get_running_loop()
    names = ("SIGINT", "SIGTERM", "SIGBREAK")
    for number in [getattr(signal, name) for name in names if hasattr(signal, name)]:
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
