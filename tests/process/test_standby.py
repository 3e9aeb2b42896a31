"""A stage whose replacement is loaded before it is needed: real processes, engines that only take time."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import numpy as np
import psutil
import pytest
import structlog
from msgspec.structs import replace

from ipc.messages import Boundary, StageName
from ipc.settings import Fault, StageSettings
from tests.waiting import eventually
from wernicke_daemon.backend import Pipeline
from wernicke_daemon.config.schema import Config, ReplicasSettings
from wernicke_daemon.dispatch.stage_port import StageStatus, State
from wernicke_daemon.utterances.pieces import Piece
from wernicke_daemon.utterances.utterance import Utterance

KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
NAMES: tuple[StageName, ...] = ("asr", "diarization", "correction")
SLEEPS = {"asr": 600.0, "diarization": 5.0, "correction": 5.0}
LENGTH = 16_000
MOST = 2
QUICK = {"backoff_first_s": 0.1, "backoff_max_s": 60.0, "restarts_max": MOST}


class House:
    """A pipeline with a spare for one stage, and the owner of all utterances. told: of every stage that went (False)
    or came (True), with the process that works then. begun: stages of the jobs that were begun. log: what it says."""

    def __init__(
        self,
        patch: pytest.MonkeyPatch,
        standby: StageName,
        faults: dict[str, tuple[Fault, ...]],
        replicas: int = 1,
        **runtime: Any,
    ) -> None:
        """replicas: of recognition."""
        config = replace(Config(), replicas=ReplicasSettings(asr=replicas))
        config = replace(config, runtime=replace(config.runtime, standby=(standby,), **{**QUICK, **runtime}))
        self.told: list[tuple[StageName, bool, int | None]] = []
        self.begun: list[StageName] = []
        self.log: list[Any] = []
        self.settled_ones: list[Utterance] = []
        self.pipeline = Pipeline(
            config,
            StageSettings(sleep_ms=SLEEPS, faults=faults),
            on_line=lambda stage, replica, line: None,
            on_status=lambda stage, up: self.told.append((stage, up, self.stage(stage).pid)),
            names=NAMES,
        )
        dispatcher = self.pipeline.dispatcher
        job_started = dispatcher.job_started

        def noted(stage: StageName, replica: int, job_id: int) -> None:
            self.begun.append(stage)
            job_started(stage, replica, job_id)

        patch.setattr(dispatcher, "job_started", noted)
        ring = self.pipeline.arena.acquire()
        assert ring is not None
        self._ring = ring
        self._said = 0

    def stage(self, name: StageName) -> StageStatus:
        return self.pipeline.ports[name].status()

    def say(self, count: int) -> None:
        """So many utterances, all at once."""
        for _ in range(count):
            self._said += 1
            start = self._ring.written
            self._ring.append(np.zeros(LENGTH, np.float32))
            audio = self._ring.handle(start, start + LENGTH)
            boundary = Boundary(start, start + LENGTH, "silence", LENGTH, LENGTH)
            said = Utterance("s", self._said, f"buff_{self._said}", audio, boundary, "en", (), 0.0, 0.0)
            self.pipeline.bench.submit(said, self)

    async def results(self) -> list[Utterance]:
        """All utterances, settled."""
        await eventually(lambda: len(self.settled_ones) == self._said)
        return sorted(self.settled_ones, key=lambda utterance: utterance.sequence)

    async def spare_of(self, name: StageName, *old: int | None) -> int:
        """The process of its spare, loaded, once it is none of `old`."""
        await eventually(lambda: self.stage(name).spare_pid not in (None, *old) and self._spare_is_loaded(name))
        spare = self.stage(name).spare_pid
        assert spare is not None
        return spare

    def _spare_is_loaded(self, name: StageName) -> bool:
        loaded = {line["pid"] for line in self.log if line["event"] == "stage_ready"}
        return self.stage(name).spare_pid in loaded

    def deaths_of(self, name: StageName) -> list[Any]:
        return [line for line in self.log if line["event"] == "stage_died" and line["stage"] == name]

    # --- the Owner of all utterances ---

    def recognised(self, utterance: Utterance, shed: bool) -> None:
        """Nobody listens."""

    def improved(self, utterance: Utterance, shed: bool) -> None:
        """Nobody listens."""

    def heard(self, piece: Piece) -> None:
        raise AssertionError("there is no live work")

    def audio_released(self, utterance: Utterance) -> None:
        """The ring is large enough for all."""

    def settled(self, utterance: Utterance) -> None:
        self.settled_ones.append(utterance)


Open = Callable[..., AbstractAsyncContextManager[House]]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Open:
    @asynccontextmanager
    async def opened(
        standby: StageName, faults: dict[str, tuple[Fault, ...]] | None = None, **runtime: Any
    ) -> AsyncIterator[House]:
        house = House(monkeypatch, standby, faults or {}, **runtime)
        with structlog.testing.capture_logs() as house.log:
            try:
                await house.pipeline.start()
                yield house
            finally:
                await house.pipeline.stop()

    return opened


def kill(pid: int | None) -> None:
    assert pid is not None
    os.kill(pid, KILL)


def processes(name: StageName) -> set[int]:
    """Those of that stage that this process started and that live."""
    found = set()
    for child in psutil.Process().children(recursive=True):
        try:
            if child.cmdline()[-2:] == ["stages.process.runner", name]:
                found.add(child.pid)
        except psutil.Error:  # it has ended meanwhile
            continue
    return found


def texts(results: list[Utterance]) -> list[str]:
    return [line.segment.text for utterance in results for line in utterance.lines]


def spoken(count: int) -> list[str]:
    """What the sleep engine recognises in so many utterances."""
    return [f"{at * LENGTH}-{(at + 1) * LENGTH}" for at in range(count)]


def assert_whole(results: list[Utterance]) -> None:
    assert texts(results) == spoken(len(results))
    assert [(utterance.failure, utterance.warnings) for utterance in results] == [(None, [])] * len(results)


async def test_a_spare_takes_over_at_once(opened: Open) -> None:
    """kill -9 at work: a process that was loaded before does the jobs again, and another spare is loaded."""
    async with opened("asr") as house:
        asr = house.pipeline.ports["asr"].status
        spare, working = await house.spare_of("asr"), asr().pid
        house.told.clear()
        house.say(3)
        await eventually(lambda: "asr" in house.begun)
        kill(working)
        await eventually(lambda: asr().pid != working)
        assert (asr().pid, asr().state) == (spare, State.READY)
        assert house.told == [("asr", True, spare)], "it was never down"
        results = await house.results()
        assert_whole(results)
        assert [utterance.timings["asr"].attempts for utterance in results] == [2, 1, 1]
        newest = await house.spare_of("asr", spare, working)
        assert (asr().epoch, asr().deaths) == (2, 1)
        assert processes("asr") == {spare, newest}
    assert processes("asr") == set()


async def test_each_replica_has_a_spare_of_its_own(opened: Open) -> None:
    """kill -9 of one at work: its own spare takes its place, and the others keep theirs."""
    async with opened("asr", replicas=3) as house:
        status = house.pipeline.ports["asr"].status
        await eventually(lambda: all(one.spare_pid is not None for one in status().replicas))
        spares = {one.spare_pid for one in status().replicas}
        await eventually(lambda: spares <= {line["pid"] for line in house.log if line["event"] == "stage_ready"})
        before = status().replicas
        house.told.clear()
        house.say(3)
        await eventually(lambda: house.begun.count("asr") == 3)
        kill(before[1].pid)
        await eventually(lambda: status().replicas[1].pid == before[1].spare_pid)
        assert_whole(await house.results())
        assert house.told == [] and [one.deaths for one in status().replicas] == [0, 1, 0]
        assert [status().replicas[at].spare_pid for at in (0, 2)] == [before[at].spare_pid for at in (0, 2)]
    assert processes("asr") == set()


async def test_a_spare_that_dies_is_replaced_and_nothing_else(opened: Open) -> None:
    """The process that works, and its jobs, do not notice."""
    async with opened("asr") as house:
        asr = house.pipeline.ports["asr"].status
        spare, working = await house.spare_of("asr"), asr().pid
        house.told.clear()
        house.say(3)
        await eventually(lambda: "asr" in house.begun)
        kill(spare)
        newest = await house.spare_of("asr", spare)
        results = await house.results()
        assert_whole(results)
        assert [utterance.timings["asr"].attempts for utterance in results] == [1, 1, 1]
        assert house.told == []
        assert (asr().pid, asr().state) == (working, State.READY)
        assert processes("asr") == {working, newest}


async def test_spares_that_keep_dying_are_not_held_against_the_stage(opened: Open) -> None:
    """A machine without memory for two still has the one: when it dies it is back at once, and does its jobs."""
    async with opened("asr") as house:
        asr = house.pipeline.ports["asr"].status
        spare = None
        for _ in range(MOST + 1):  # now no other is started for a long time
            spare = await house.spare_of("asr", spare)
            kill(spare)
        await eventually(lambda: asr().spare_pid is None)
        working = asr().pid
        house.say(2)
        await eventually(lambda: "asr" in house.begun)
        kill(working)
        assert_whole(await house.results())
        assert not asr().failed


async def test_a_spare_that_dies_while_it_is_waited_for(opened: Open) -> None:
    """Both are gone, one after the other: one process works in the end, and one is its spare; none is left over."""
    async with opened("asr", backoff_first_s=1.0, restarts_max=5) as house:
        asr = house.pipeline.ports["asr"].status
        first = await house.spare_of("asr")
        kill(asr().pid)
        await eventually(lambda: asr().pid == first and asr().spare_pid is not None)
        second = asr().spare_pid
        kill(first)
        await eventually(lambda: asr().deaths == 2)
        kill(second)
        await eventually(lambda: asr().deaths == 3)
        due = asyncio.get_running_loop().time() + house.deaths_of("asr")[-1]["restart_in_s"]
        house.say(2)
        assert_whole(await house.results())
        spare = await house.spare_of("asr")
        await eventually(lambda: asyncio.get_running_loop().time() > due)  # no start is still to come
        assert (asr().state, processes("asr")) == (State.READY, {asr().pid, spare})


async def test_a_crash_loop_fails_the_stage_all_the_same(opened: Open) -> None:
    """Spares that crash like the process before them are no way around the limit; results go out without."""
    faults = {"diarization": (Fault("crash"),)}
    async with opened("diarization", faults) as house:
        stage = house.pipeline.ports["diarization"].status
        await house.spare_of("diarization")
        house.say(4)
        results = await house.results()
        assert texts(results) == spoken(4)
        assert [utterance.warnings for utterance in results] == [["DIARIZATION_UNAVAILABLE"]] * 4
        await eventually(lambda: stage().state is State.FAILED)
        assert stage().failed
        assert processes("diarization") <= {stage().spare_pid}
        assert house.stage("asr").deaths == 0
