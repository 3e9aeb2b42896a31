"""How a stage stands, by how its replicas do: as the best of them does. Pure."""

from enum import IntEnum
from typing import NamedTuple

from ipc.messages import STAGES, StageName
from wernicke_daemon.dispatch.availability import Availability
from wernicke_daemon.dispatch.service_clock import ServiceClock


class Standing(IntEnum):
    """Of a replica, or of a stage; the best first."""

    UP = 0
    """It takes jobs."""
    LOADING = 1
    """A process loads its engine."""
    UNLOADED = 2
    """It was ended on purpose, and is loaded again once it is needed."""
    DOWN = 3
    """It died, and waits for its next start."""
    FAILED = 4
    """It died too often to be expected back soon, also while a rare start is under way."""


class _Engine(NamedTuple):
    name: str
    live: bool  # whether it takes live jobs


class Standings:
    """Told of replicas, as far as they have been heard of; tells how their stage stands."""

    def __init__(self, available: Availability, clock: ServiceClock) -> None:
        self._available = available  # told whether a stage takes jobs
        self._clock = clock  # told when a stage goes down
        self._replicas: dict[StageName, dict[int, Standing]] = {stage: {} for stage in STAGES}
        self._engines: dict[StageName, dict[int, _Engine]] = {stage: {} for stage in STAGES}  # of those that are up
        self._slow: dict[StageName, set[int]] = {stage: set() for stage in STAGES}  # those with too little of the CPU

    def of(self, stage: StageName) -> Standing:
        return min(self._replicas[stage].values(), default=Standing.DOWN)

    def others_up(self, stage: StageName, replica: int) -> bool:
        return any(number != replica for number in self._engines[stage])

    def takes_live(self, stage: StageName) -> bool:
        """Whether it is up, and each that is takes live jobs: any of them may get one."""
        engines = self._engines[stage].values()
        return bool(engines) and all(engine.live for engine in engines)

    def up(self, stage: StageName, replica: int, engine: str, live: bool, now: float) -> None:
        self._replicas[stage][replica] = Standing.UP
        self._engines[stage][replica] = _Engine(engine, live)
        self._sum_up(stage, now)

    def loading(self, stage: StageName, replica: int, now: float) -> None:
        """One that failed stays so meanwhile."""
        if self._replicas[stage].get(replica) is not Standing.FAILED:
            self._replicas[stage][replica] = Standing.LOADING
        self._sum_up(stage, now)

    def fell(self, stage: StageName, replica: int, standing: Standing, now: float) -> bool:
        """It lost its process. Whether the stage is down by that."""
        self._replicas[stage][replica] = standing
        self._engines[stage].pop(replica, None)
        return self._sum_up(stage, now)

    def slow(self, stage: StageName, replica: int, slow: bool) -> bool | None:
        """Whether the stage is slow now, as any of its replicas is; None where that is no news."""
        before = bool(self._slow[stage])
        (self._slow[stage].add if slow else self._slow[stage].discard)(replica)
        after = bool(self._slow[stage])
        return None if after == before else after

    def _sum_up(self, stage: StageName, now: float) -> bool:
        """Whether it is down. One that loads is only where it was up before."""
        stands, was_up = self.of(stage), self._available.is_up(stage)
        if stands is Standing.UP:
            self._available.up(stage, self._engine(stage))
            self._clock.up(stage, now)
        if stands is Standing.UNLOADED and self._available.unloaded(stage):
            self._clock.unloaded(stage, now)
        if is_down := stands >= Standing.DOWN or (stands is Standing.LOADING and was_up):
            self._available.down(stage, stands is Standing.FAILED, now)
            self._clock.down(stage, now)
        if stands is Standing.LOADING:
            self._available.loading(stage, now)
        return is_down

    def _engine(self, stage: StageName) -> str:
        """The first that is more than none: each chooses for itself where config.toml leaves it to them."""
        return next((engine.name for engine in self._engines[stage].values() if engine.name != "none"), "none")
