"""What a hop to an actor of a Ray cluster costs beside one to a stage process here, by length of audio.

    python benchmarks/ray_hop.py [--jobs 200] [--nodes 2] [--json FILE]

Needs the extra `ray`. A recogniser that takes no time reads its audio and answers, once as a process here and once as
an actor of a cluster of several nodes on this machine (`wernicke_daemon.cluster.practice`). Utterances of each length
go to the two in turn, so that what else the machine does hits both; one is out at a time. The hop is the time from a
job sent to its answer, less what the engine says it took.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import report
from ipc import event_loop
from ipc.arena import Arena, RingWriter
from ipc.audio_handle import SAMPLE_RATE
from ipc.messages import AsrWork, Done, Failed, Job, StageName
from wernicke_daemon.backend import supervisor_of
from wernicke_daemon.cluster import practice
from wernicke_daemon.config.schema import Config, RaySettings, RayStages, stage_settings

LENGTHS_S = (1, 5, 30)
PORT = 6398
WARM_UP = 10
"""Jobs that are not counted."""


class Stage:
    """A recogniser somewhere, and the StageListener that hears of it. answers: what came, by job."""

    def __init__(self, config: Config, arena: Arena) -> None:
        settings = replace(stage_settings(config), sleep_ms={"asr": 0.0})
        self.supervisor = supervisor_of(config, settings, arena, self, lambda *line: None, ("asr",))
        self.answered: asyncio.Future[Done | Failed] | None = None

    async def ask(self, job: Job) -> float:
        """Milliseconds of the hop."""
        self.answered = asyncio.get_running_loop().create_future()
        began = time.perf_counter()
        self.supervisor.ports["asr"].send(job, 0)
        answer = await self.answered
        assert isinstance(answer, Done), answer
        return (time.perf_counter() - began) * 1000 - answer.run_ms

    def job_answered(self, stage: StageName, replica: int, answer: Done | Failed, now: float) -> None:
        assert self.answered is not None
        self.answered.set_result(answer)

    def replica_up(self, stage: StageName, replica: int, engine: str, live: bool, now: float) -> None: ...
    def replica_down(self, stage: StageName, replica: int, failed: bool, now: float) -> None: ...
    def replica_loading(self, stage: StageName, replica: int, now: float) -> None: ...
    def replica_unloaded(self, stage: StageName, replica: int, now: float) -> None: ...
    def replica_slow(self, stage: StageName, replica: int, slow: bool) -> None: ...
    def job_started(self, stage: StageName, replica: int, job_id: int) -> None: ...


@asynccontextmanager
async def started(config: Config, arena: Arena) -> AsyncIterator[Stage]:
    stage = Stage(config, arena)
    try:
        await stage.supervisor.start()
        yield stage
    finally:
        await stage.supervisor.stop()


async def measure(jobs: int) -> dict[str, Any]:
    """The figures, by the keys of the JSON file."""
    config = Config()
    there = replace(config, ray=RaySettings(address=practice.address(PORT), stages=RayStages(asr=1)))
    arena = Arena(1, config.audio.ring_samples)
    ring = arena.acquire()
    assert ring is not None
    async with started(config, arena) as here, started(there, arena) as on_ray:
        node = on_ray.supervisor.ports["asr"].status().node
        lengths = {f"{seconds} s": await _hops(ring, seconds, jobs, here, on_ray) for seconds in LENGTHS_S}
    arena.close()
    return {"node": node, "jobs": jobs, "hop_ms": lengths}


async def _hops(ring: RingWriter, seconds: int, jobs: int, here: Stage, there: Stage) -> dict[str, dict[str, float]]:
    """By place: percentiles of milliseconds. Each utterance is another one, for both: nothing was put before."""
    taken: dict[str, list[float]] = {"here": [], "on Ray": []}
    samples = np.random.default_rng(1).uniform(-0.1, 0.1, seconds * SAMPLE_RATE).astype(np.float32)
    for number in range(WARM_UP + jobs):
        start = ring.written
        ring.raise_floor(start)
        ring.append(samples)
        job = Job(seconds * 1_000_000 + number, AsrWork(ring.handle(start, ring.written), "en"), 60.0)
        for where, stage in (("here", here), ("on Ray", there)):
            taken[where].append(await stage.ask(job))
    return {where: _percentiles(values[WARM_UP:]) for where, values in taken.items()}


def _percentiles(values: list[float]) -> dict[str, float]:
    p50, p99 = np.percentile(values, (50, 99))
    return {"p50": round(float(p50), 2), "p99": round(float(p99), 2)}


def main() -> None:
    options = report.parser(__doc__ or "")
    options.add_argument("--jobs", type=int, default=200, help="of each length (%(default)s)")
    options.add_argument("--nodes", type=int, default=2, help="of the cluster, the head included (%(default)s)")
    wanted = options.parse_args()
    with report.workplace():
        cluster = practice.nodes(wanted.nodes, PORT, cpus=2)
        try:
            figures = event_loop.run(measure(wanted.jobs))
        finally:
            cluster.shutdown()
        rows = [
            (length, where, f"{hop['p50']:.1f}", f"{hop['p99']:.1f}")
            for length, places in figures["hop_ms"].items()
            for where, hop in places.items()
        ]
        report.show(f"a hop, ms ({figures['node']})", ("audio", "stage", "p50", "p99"), rows)
        report.save(wanted.json, figures)


if __name__ == "__main__":
    main()
