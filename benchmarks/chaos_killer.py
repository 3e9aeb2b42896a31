"""Who kills stages' processes, when, and what each kill cost: for `chaos.py`."""

import asyncio
import contextlib
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import psutil

from benchmarks.chaos_check import tell
from benchmarks.chaos_speech import IDLE_LIMIT_S, Spoken, Stuck
from ipc.messages import STAGES, Done, Failed, StageName
from wernicke_daemon.daemon import Daemon

Who = tuple[StageName, int]
"""A stage, and which of its replicas."""

LATEST_KILL_S = 0.5
"""After a replica may be killed it is, within so many seconds ..."""
WORK_WAIT_S = 3.0
WITHIN_WORK_S = 0.05
"""... or at most so many later, and then so many into a job."""


@dataclass
class Watched:
    """A replica. may_die: it has finished a job since it was READY. job: at work on it, as far as the front knows.
    hit: the job that it was killed at. killed: when, until its next READY; unanswered: until its next answer. Times:
    seconds, or ms where it says so."""

    up: bool = False
    may_die: asyncio.Event = field(default_factory=asyncio.Event)
    at_work: asyncio.Event = field(default_factory=asyncio.Event)
    job: int | None = None
    hit: int | None = None
    killed: float | None = None
    unanswered: float | None = None
    kills: int = 0
    recovery_ms: list[float] = field(default_factory=list)
    first_answer_ms: list[float] = field(default_factory=list)
    load_ms: list[float] = field(default_factory=list)

    def is_gone(self) -> None:
        self.up = False
        self.job = None
        self.may_die.clear()
        self.at_work.clear()


class Killer:
    """Kills replicas, and listens to what the dispatcher is told of them. hits: kills by stage and job at work.
    done_again, hit_twice: utterances whose replica was killed under them, and those twice under the same job."""

    def __init__(self, daemon: Daemon, seed: int) -> None:
        self._ports = daemon.pipeline.ports
        self.replicas: dict[Who, Watched] = {
            (name, number): Watched(up=True)
            for name in STAGES
            for number in range(len(self._ports[name].status().replicas))
        }
        self.hits: Counter[tuple[StageName, int]] = Counter()
        self.done_again: set[Spoken] = set()
        self.hit_twice: set[Spoken] = set()
        self.other_deaths = 0
        self._dispatcher = daemon.pipeline.dispatcher
        self._random = random.Random(seed)

    def of(self, stage: StageName) -> list[Watched]:
        return [watched for (name, _), watched in self.replicas.items() if name == stage]

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for name in ("job_started", "job_answered", "replica_up", "replica_down"):
                heard = _and_then(getattr(self._dispatcher, name), getattr(self, f"_{name}"))
                stack.enter_context(patch.object(self._dispatcher, name, heard))
            yield

    async def kill_all(self, kills: int) -> None:
        """As many of each stage, in random order. Raises Stuck."""
        order = [*STAGES] * math.ceil(kills / len(STAGES))
        self._random.shuffle(order)
        for number, stage in enumerate(order[:kills], 1):
            await self._kill_some_time(stage)
            if number % 10 == 0:
                tell(f"    {number} of {kills} kills")

    async def _kill_some_time(self, stage: StageName) -> None:
        watched = self.replicas[await self._one_that_may_die(stage)]
        await asyncio.sleep(self._random.uniform(0, LATEST_KILL_S))
        if self._random.random() < 0.5:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WORK_WAIT_S):
                    await watched.at_work.wait()
            await asyncio.sleep(self._random.uniform(0, WITHIN_WORK_S))
        self._kill(await self._one_that_may_die(stage, watched))

    async def _one_that_may_die(self, stage: StageName, rather: Watched | None = None) -> Who:
        """Raises Stuck."""
        waits = [asyncio.create_task(one.may_die.wait()) for one in self.of(stage)]
        done, waiting = await asyncio.wait(waits, timeout=IDLE_LIMIT_S, return_when=asyncio.FIRST_COMPLETED)
        for wait in waiting:
            wait.cancel()
        if not done:
            raise Stuck(f"No {stage} process finished a job in {IDLE_LIMIT_S:.0f} s after its start.")
        able = [who for who, one in self.replicas.items() if who[0] == stage and one.may_die.is_set()]
        return next((who for who in able if self.replicas[who] is rather), self._random.choice(able))

    def _kill(self, who: Who) -> None:
        (stage, number), watched = who, self.replicas[who]
        watched.hit = watched.job
        with contextlib.suppress(psutil.NoSuchProcess):  # then it is dead all the same
            psutil.Process(self._ports[stage].status().replicas[number].pid).kill()
        watched.is_gone()
        watched.kills += 1
        watched.killed = watched.unanswered = time.monotonic()
        if watched.hit is not None:
            self._note_hit(stage, watched.hit)

    def _note_hit(self, stage: StageName, job: int) -> None:
        self.hits[stage, job] += 1
        hit = {utterance for utterance in [self._dispatcher.utterance_of(job)] if utterance is not None}
        self.done_again |= hit
        if self.hits[stage, job] > 1:
            self.hit_twice |= hit

    # --- what the dispatcher is told ---

    def _job_started(self, stage: StageName, replica: int, job_id: int) -> None:
        watched = self.replicas[stage, replica]
        if watched.up:
            watched.job = job_id
            watched.at_work.set()
        elif job_id != watched.hit:  # it had just begun, which was not known when it was killed
            watched.hit = job_id
            self._note_hit(stage, job_id)

    def _job_answered(self, stage: StageName, replica: int, answer: Done | Failed, now: float) -> None:
        watched = self.replicas[stage, replica]
        if not watched.up:
            return  # the last words of the dead
        watched.job = None
        watched.at_work.clear()
        watched.may_die.set()
        if watched.unanswered is not None:
            watched.first_answer_ms.append((time.monotonic() - watched.unanswered) * 1000)
            watched.unanswered = None

    def _replica_up(self, stage: StageName, replica: int, engine: str, live: bool, now: float) -> None:
        watched, load_ms = self.replicas[stage, replica], self._ports[stage].status().replicas[replica].load_ms
        self.other_deaths += watched.up  # a spare took over
        watched.up = True
        if watched.killed is not None and load_ms is not None:
            watched.recovery_ms.append((time.monotonic() - watched.killed) * 1000)
            watched.load_ms.append(load_ms)
            watched.killed = None

    def _replica_down(self, stage: StageName, replica: int, failed: bool, now: float) -> None:
        self.other_deaths += self.replicas[stage, replica].up
        self.replicas[stage, replica].is_gone()


def _and_then(first: Callable[..., None], second: Callable[..., None]) -> Callable[..., None]:
    def both(*args: Any) -> None:
        first(*args)
        second(*args)

    return both
