"""The stages and what feeds them, without any client: arena, supervisor and dispatcher, put together.

The daemon puts a gateway before it; benchmarks and tests put themselves there.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from ipc import clock
from ipc.arena import Arena
from ipc.messages import STAGES, JobKind, StageName
from ipc.settings import StageSettings
from wernicke_daemon.cluster.places import ray_places
from wernicke_daemon.config.schema import Config
from wernicke_daemon.dispatch.bench import Bench
from wernicke_daemon.dispatch.dispatcher import Dispatcher
from wernicke_daemon.dispatch.policy import Policy
from wernicke_daemon.dispatch.stage_port import StageListener
from wernicke_daemon.processes.local_places import local_places
from wernicke_daemon.processes.restart_policy import RestartPolicy
from wernicke_daemon.processes.supervisor import Supervisor
from wernicke_daemon.utterances.pieces import StageTiming

_log = structlog.get_logger()

DEADLINE_TICK_S = 0.05


class Pipeline:
    """Made on the event loop's (main) thread; owns shared memory from then on."""

    def __init__(
        self,
        config: Config,
        settings: StageSettings,
        on_line: Callable[[StageName, int, bytes], None],
        on_job: Callable[[StageName, JobKind, StageTiming], None] = lambda stage, kind, timing: None,
        on_status: Callable[[StageName, bool], None] = lambda stage, up: None,
        on_shed: Callable[[int], None] = lambda level: None,
        on_slow: Callable[[StageName, bool], None] = lambda stage, slow: None,
        names: tuple[StageName, ...] = STAGES,
    ) -> None:
        """Raises OSError where shared memory is too small. names: the stages to run."""
        self.arena = Arena(config.rings, config.audio.ring_samples)  # sessions' audio, which stages read
        # what goes to which stage when
        self.dispatcher = Dispatcher(Policy.of(config), on_job, on_status, clock.monotonic(), on_shed, on_slow)
        # starts and watches their processes
        self.supervisor = supervisor_of(
            config, settings, self.arena, self.dispatcher, on_line, names, config.runtime.standby
        )
        self.ports = self.supervisor.ports  # its stages
        self.dispatcher.connect(self.ports)
        self.bench = Bench(self.dispatcher, clock.monotonic, self.models)  # where sessions bring their work
        self._deadlines: asyncio.Task[None] | None = None  # calls `check_deadlines` while the pipeline runs

    async def start(self, load: Callable[[Supervisor], Awaitable[object]] = Supervisor.start) -> None:
        """Every stage is ready. load: starts the stages. Raises StartFailed."""
        self._deadlines = asyncio.create_task(self._check_deadlines())
        await load(self.supervisor)

    def models(self) -> dict[StageName, str]:
        return {name: model for name, port in self.ports.items() if (model := port.status().model)}

    async def _check_deadlines(self) -> None:
        while True:
            await asyncio.sleep(DEADLINE_TICK_S)
            try:
                self.dispatcher.check_deadlines(clock.monotonic())
            except Exception:  # whatever it is: without this loop utterances wait for ever
                _log.exception("deadlines_failed")

    async def stop(self) -> None:
        """Every process is gone, and the shared memory with them."""
        if self._deadlines is not None:
            self._deadlines.cancel()
        await self.supervisor.stop()
        self.arena.close()


def supervisor_of(
    config: Config,
    settings: StageSettings,
    arena: Arena,
    listener: StageListener,
    on_line: Callable[[StageName, int, bytes], None],
    names: tuple[StageName, ...],
    standby: tuple[StageName, ...] = (),
) -> Supervisor:
    """Of stages that read that arena."""
    places = local_places(config, settings, arena, names) | ray_places(config, settings, arena, names)
    return Supervisor(places, lambda: RestartPolicy.of(config.runtime), listener, on_line, standby)
