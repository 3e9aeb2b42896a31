"""The daemon with stages on a cluster, and what is said to it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from msgspec.structs import replace

from benchmarks.chaos import NO_DEADLINE_S, RESTARTS
from tests.process.conftest import embedded
from tests.ray.nodes import Nodes
from wernicke_daemon.config.schema import Config, RaySettings, RayStages, stage_settings
from wernicke_daemon.daemon import Daemon, running

ASR_MS = 300.0
"""A recogniser that only takes time, and whose text is where in the session an utterance lay, so that a wrong range
shows."""


def configured(directory: Path, ray: RaySettings, **runtime: Any) -> Config:
    """Nothing is left out because time is up: those results would differ, and rightly so."""
    config = embedded(
        directory, ray=ray, runtime={"shed_after_s": NO_DEADLINE_S, "backoff_max_s": 2.0, **RESTARTS, **runtime}
    )
    return replace(config, diarization=replace(config.diarization, deadline_s=NO_DEADLINE_S))


@asynccontextmanager
async def simulated(config: Config, asr_ms: float = ASR_MS) -> AsyncIterator[Daemon]:
    settings = replace(stage_settings(config), sleep_ms={"asr": asr_ms})
    async with running(config, lambda line: None, settings) as daemon:
        yield daemon


def on(nodes: Nodes, asr: int = 2, diarization: int = 1) -> RaySettings:
    return RaySettings(address=nodes.address, stages=RayStages(asr=asr, diarization=diarization))


@contextmanager
def at_work(daemon: Daemon, stage: str) -> Iterator[asyncio.Event]:
    """Set once a job of that stage has started from now on."""
    begun, dispatcher = asyncio.Event(), daemon.pipeline.dispatcher
    started = dispatcher.job_started

    def heard(of: Any, replica: int, job_id: int) -> None:
        started(of, replica, job_id)
        if of == stage:
            begun.set()

    with patch.object(dispatcher, "job_started", heard):
        yield begun
