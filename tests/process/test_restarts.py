"""A stage that is killed again and again: how soon another process is started, and what stays of those before it.

The real supervisor, links and processes, with an engine that only takes time.
"""

import asyncio
import contextlib
import gc
import os
import signal
import sys
import time
from collections import Counter
from functools import partial
from statistics import median

import psutil
import pytest

from ipc.arena import Arena
from ipc.messages import CorrectionWork, Done, Failed, Job, StageName
from ipc.settings import StageSettings
from tests.waiting import WITHIN_S, eventually
from wernicke_daemon.processes.liveness import Limits
from wernicke_daemon.processes.local_peer import LocalPeers
from wernicke_daemon.processes.place import Place
from wernicke_daemon.processes.restart_policy import RestartPolicy
from wernicke_daemon.processes.stage_setup import StageSetup
from wernicke_daemon.processes.supervisor import Supervisor

KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
STAGE: StageName = "correction"
KILLS = 20

BACKOFF_S = 600.0
"""Longer than any test may take: a restart that waits for it does not go unnoticed."""


Held = Counter[str]
"""What this process, which is the front's, holds: how many of each."""


def handles(process: psutil.Process) -> int:
    if sys.platform == "win32":
        return process.num_handles()
    return process.num_fds()


class House:
    """A supervisor with one stage, and its listener. down_s: from each kill to the start of the next process. load_s:
    of each process, from its start until it was ready."""

    def __init__(self, patch: pytest.MonkeyPatch, arena: Arena) -> None:
        self.down_s: list[float] = []
        self.load_s: list[float] = []
        self._killed = self._started = 0.0
        self._ready, self._answered = asyncio.Event(), asyncio.Event()
        setup = StageSetup(
            arena.geometry, StageSettings(sleep_ms={STAGE: 1.0}), Limits(WITHIN_S, WITHIN_S, 30.0), heartbeat_s=1.0
        )
        self._peers = LocalPeers()
        self.supervisor = Supervisor(
            {STAGE: [Place(setup, self._peers, partial(arena.take_mark, STAGE, 0), progress=lambda: 0)]},
            lambda: RestartPolicy(KILLS, BACKOFF_S, BACKOFF_S, BACKOFF_S, stable_s=0.0),
            self,
            on_line=lambda stage, replica, line: None,
        )
        [self._stage] = self.supervisor.replicas(STAGE)
        self._start = self._stage.start
        patch.setattr(self._stage, "start", self._timed_start)

    def _timed_start(self) -> None:
        self._started = time.monotonic()
        self._start()

    async def work(self) -> None:
        """One job, done. Then all four sockets of the process are connected."""
        self._answered.clear()
        self._stage.send(Job(1, CorrectionWork(("text",), "en"), limit_s=60.0))
        await self._answered.wait()

    async def kill(self) -> None:
        """Until the next process is ready."""
        pid = self._stage.status().pid
        assert pid is not None
        self._ready.clear()
        killed = time.monotonic()
        os.kill(pid, KILL)
        await self._ready.wait()
        self.down_s.append(self._started - killed)

    def held(self) -> Held:
        process, links = psutil.Process(), self._peers._links
        return Counter(
            handles=handles(process),
            threads=process.num_threads(),
            children=len(process.children()),
            links=len(links._links),
            watched=len(links._handlers),
            keys=len(links._allowed),
            heard=len(self._peers._events),
        )

    async def left(self, before: Held) -> Held:
        """What is held beyond `before`. The end of a thread or a socket may take a moment."""
        with contextlib.suppress(AssertionError):
            await eventually(lambda: not self.held() - before, within=30)
        return self.held() - before

    # --- the StageListener ---

    def replica_up(self, stage: StageName, replica: int, engine: str, live: bool, now: float) -> None:
        self.load_s.append(time.monotonic() - self._started)
        self._ready.set()

    def replica_down(self, stage: StageName, replica: int, failed: bool, now: float) -> None:
        """Nobody asks."""

    def replica_loading(self, stage: StageName, replica: int, now: float) -> None:
        """Nobody asks."""

    def replica_unloaded(self, stage: StageName, replica: int, now: float) -> None:
        """Nobody asks."""

    def replica_slow(self, stage: StageName, replica: int, slow: bool) -> None:
        """Nobody asks."""

    def job_started(self, stage: StageName, replica: int, job_id: int) -> None:
        """Nobody asks."""

    def job_answered(self, stage: StageName, replica: int, answer: Done | Failed, now: float) -> None:
        self._answered.set()


async def test_restarts_of_a_stage_that_ran_stably_wait_for_nothing_and_leave_nothing(
    monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    """Twenty, each after a job: the next process is started in a fraction of the time that even this light engine takes
    to load, and no descriptor, thread, process, socket or key of the dead ones stays, nor waits for its collection."""
    gc.collect()
    recwarn.clear()
    arena = Arena(1, 16_000)
    house = House(monkeypatch, arena)
    try:
        await house.supervisor.start()
        await house.work()
        before = house.held()
        for _ in range(KILLS):
            await house.kill()
            await house.work()
        assert await house.left(before) == {}
        assert [str(warning.message) for warning in recwarn if "Unclosed" in str(warning.message)] == []
    finally:
        await house.supervisor.stop()
        arena.close()
    assert median(house.down_s) < median(house.load_s) / 4
