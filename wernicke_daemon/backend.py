"""The stages and what feeds them, without any client: arena, supervisor and dispatcher, put together.

The daemon puts a gateway before it; benchmarks and tests put themselves there.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from ipc.arena import Arena
from ipc.audio_handle import AudioHandle
from ipc.messages import STAGES, IngestResult, IngestWork, JobKind, StageName
from ipc.settings import StageSettings
from wernicke_daemon.config.schema import Config, RuntimeSettings
from wernicke_daemon.dispatch.dispatcher import Dispatcher
from wernicke_daemon.dispatch.policy import Policy
from wernicke_daemon.dispatch.requests import Owner
from wernicke_daemon.processes.incarnation import StageSetup
from wernicke_daemon.processes.liveness import Limits
from wernicke_daemon.processes.restart_policy import RestartPolicy
from wernicke_daemon.processes.supervisor import Supervisor
from wernicke_daemon.utterances.pieces import Piece, StageTiming
from wernicke_daemon.utterances.utterance import Utterance

_log = structlog.get_logger()

DEADLINE_TICK_S = 0.05
HELLO_S = 30.0
"""A process that has not connected by then never will: it has only small packages to import."""


class Pipeline:
    """`arena`, `dispatcher`, `supervisor`; `ports`: its stages. Made on the event loop's (main) thread; owns shared
    memory from then on."""

    def __init__(
        self,
        config: Config,
        settings: StageSettings,
        on_line: Callable[[StageName, bytes], None],
        on_job: Callable[[StageName, JobKind, StageTiming], None] = lambda stage, kind, timing: None,
        on_status: Callable[[StageName, bool], None] = lambda stage, up: None,
        on_shed: Callable[[int], None] = lambda level: None,
        names: tuple[StageName, ...] = STAGES,
    ) -> None:
        """Raises OSError where shared memory is too small. names: the stages to run."""
        runtime = config.runtime
        self.arena = Arena(config.rings, config.audio.ring_samples)
        self.dispatcher = Dispatcher(Policy.of(config), on_job, on_status, time.monotonic(), on_shed)
        setup = StageSetup(self.arena.geometry, settings, _limits(runtime), runtime.heartbeat_s)
        self.supervisor = Supervisor(
            setup,
            lambda: _restarts(runtime),
            self.dispatcher,
            on_line,
            self.arena.take_mark,
            names,
            runtime.standby,
        )
        self.ports = self.supervisor.ports
        self.dispatcher.connect(self.ports)
        self._deadlines: asyncio.Task[None] | None = None

    async def start(self, load: Callable[[Supervisor], Awaitable[object]] = Supervisor.start) -> None:
        """Every stage is ready. load: starts the stages. Raises StartFailed."""
        self._deadlines = asyncio.create_task(self._check_deadlines())
        await load(self.supervisor)

    # --- for sessions: the dispatcher, and what time it is ---

    def examine(self, work: IngestWork, answer: Callable[[IngestResult | None], None]) -> None:
        self.dispatcher.examine(work, answer, time.monotonic())

    @property
    def takes_early_work(self) -> bool:
        return self.dispatcher.takes_early_work

    @property
    def takes_live_work(self) -> bool:
        return self.dispatcher.takes_live_work

    @property
    def live_s(self) -> float:
        return self.dispatcher.pace.live_s

    def in_time(self, audio_s: float) -> bool:
        return self.dispatcher.pace.in_time(audio_s)

    def keeps(self, audio_s: float) -> bool:
        return self.dispatcher.pace.keeps(audio_s)

    def submit(self, utterance: Utterance, owner: Owner) -> None:
        utterance.models = self.models()
        self.dispatcher.submit(utterance, owner, time.monotonic())

    def begin_early(self, utterance: Utterance, owner: Owner) -> None:
        self.dispatcher.begin_early(utterance, owner, time.monotonic())

    def confirm(self, utterance: Utterance, owner: Owner) -> None:
        utterance.models = self.models()
        self.dispatcher.confirm(utterance, owner, time.monotonic())

    def withdraw(self, utterance: Utterance, kept: Piece | None = None) -> None:
        self.dispatcher.withdraw(utterance, kept)

    def listen(self, piece: Piece, utterance: Utterance, owner: Owner) -> None:
        self.dispatcher.listen(piece, utterance, owner, time.monotonic())

    def listen_to_more(self, piece: Piece, audio: AudioHandle) -> None:
        self.dispatcher.listen_to_more(piece, audio)

    def drop(self, piece: Piece) -> None:
        self.dispatcher.drop(piece)

    def models(self) -> dict[StageName, str]:
        return {name: model for name, port in self.ports.items() if (model := port.status().model)}

    async def _check_deadlines(self) -> None:
        while True:
            await asyncio.sleep(DEADLINE_TICK_S)
            try:
                self.dispatcher.check_deadlines(time.monotonic())
            except Exception:  # whatever it is: without this loop utterances wait for ever
                _log.exception("deadlines_failed")

    async def stop(self) -> None:
        """Every process is gone, and the shared memory with them."""
        if self._deadlines is not None:
            self._deadlines.cancel()
        await self.supervisor.stop()
        self.arena.close()


def _limits(runtime: RuntimeSettings) -> Limits:
    return Limits(HELLO_S, runtime.load_timeout_s, runtime.heartbeat_timeout_s)


def _restarts(runtime: RuntimeSettings) -> RestartPolicy:
    return RestartPolicy(
        most=runtime.restarts_max,
        window_s=runtime.restarts_window_s,
        first_s=runtime.backoff_first_s,
        last_s=runtime.backoff_max_s,
        stable_s=runtime.stable_after_s,
    )
